import { ElfFile } from "./elf_file.ts";
import { type ElfNote, readElfNotes } from "./elf_notes.ts";
import { XenNote } from "./xen_note.ts";

const EM_386 = 3;
const HEADER_SIZE = 52;
const SEGMENT_SIZE = 32;
const PT_NOTE = 4;
/** Far more than a boot loader has */
const MAX_SEGMENTS = 64;

/**
 * Whether a file that Xen boots is a boot loader (GRUB), which loads the
 * guest's kernel from elsewhere: then the file tells nothing of that kernel.
 *
 * GRUB for PV guests names itself in a note. GRUB for PVH guests is an ELF
 * file of 32 bits whose notes hold an entry point for Xen, and no name.
 *
 * Source: util/grub-mkimagexx.c in GRUB.
 *
 * @param bytes The whole file; a malformed one is no boot loader
 */
export function isBootLoader(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const is32 = bytes.length >= HEADER_SIZE &&
    view.getUint32(0) === 0x7f454c46 && bytes[4] === 1 && bytes[5] === 1 &&
    view.getUint16(18, true) === EM_386;
  let notes: readonly ElfNote[];
  try {
    notes = is32 ? notesOf32(bytes, view) : new ElfFile(bytes).notes;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
  const note = (wanted: number) =>
    notes.find(({ owner, type }) => owner === "Xen" && type === wanted);
  const name = note(XenNote.GUEST_OS);
  if (name === undefined) {
    return is32 && note(XenNote.PHYS32_ENTRY) !== undefined;
  }
  return new TextDecoder().decode(name.description) === "GRUB\0";
}

/** The notes of an ELF file of 32 bits. */
function notesOf32(bytes: Uint8Array, view: DataView): ElfNote[] {
  const malformed = (reason: string) => new SyntaxError(reason);
  const table = view.getUint32(28, true);
  const count = view.getUint16(44, true);
  if (
    view.getUint16(42, true) !== SEGMENT_SIZE || count > MAX_SEGMENTS ||
    table + count * SEGMENT_SIZE > bytes.length
  ) throw malformed("its program headers");
  const ranges = Array.from({ length: count }, (_, i) => {
    const at = table + i * SEGMENT_SIZE;
    return {
      type: view.getUint32(at, true),
      offset: view.getUint32(at + 4, true),
      size: view.getUint32(at + 16, true),
      alignment: view.getUint32(at + 28, true),
    };
  }).filter(({ type }) => type === PT_NOTE);
  if (ranges.some(({ offset, size }) => offset + size > bytes.length)) {
    throw malformed("its notes");
  }
  return readElfNotes(bytes, ranges, malformed);
}
