import { alignUp } from "./align_up.ts";
import { nameEnd } from "./elf_name.ts";

/** A note in an ELF file. */
export interface ElfNote {
  /** Who says what the type means: `Xen`, `GNU` */
  readonly owner: string;
  readonly type: number;
  /** What it says; a view of the file */
  readonly description: Uint8Array;
}

/** Where notes are in an ELF file: a segment or section. */
export interface ElfNoteRange {
  /** Position in the file, bytes; the range lies within the file */
  readonly offset: number;
  readonly size: number;
  readonly alignment: number;
}

/** A kernel has a few; a hostile file cannot make the reader work for long. */
const MAX_NOTES = 1024;

/**
 * The notes of an ELF file, which look the same in files of 32 and of 64 bits.
 *
 * @param bytes The whole file
 * @param malformed Makes the error that says what is wrong
 * @throws {Error} That one
 */
export function readElfNotes(
  bytes: Uint8Array,
  ranges: readonly ElfNoteRange[],
  malformed: (reason: string) => Error,
): ElfNote[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Segments and sections mostly show the same notes twice
  const seen = new Set<number>();
  const notes: ElfNote[] = [];
  let read = 0;
  for (const { offset, size, alignment } of ranges) {
    const unit = alignment === 8 ? 8 : 4;
    let at = 0;
    // The rest of a range may be padding that is too short for a note
    while (at + 12 <= size) {
      const ownerSize = view.getUint32(offset + at, true);
      const descriptionSize = view.getUint32(offset + at + 4, true);
      const descriptionAt = alignUp(at + 12 + ownerSize, unit);
      const end = descriptionAt + descriptionSize;
      if (end > size) {
        throw malformed("a note reaches beyond its segment or section");
      }
      if (read++ === MAX_NOTES) {
        throw malformed(`it has more than ${MAX_NOTES} notes`);
      }
      if (!seen.has(offset + at)) {
        seen.add(offset + at);
        notes.push({
          owner: ownerOf(bytes, offset + at + 12, ownerSize),
          type: view.getUint32(offset + at + 8, true),
          description: bytes.subarray(offset + descriptionAt, offset + end),
        });
      }
      at = alignUp(end, unit);
    }
  }
  return notes;
}

function ownerOf(bytes: Uint8Array, at: number, size: number): string {
  const end = nameEnd(bytes, at, at + size);
  if (end === undefined) return "";
  return String.fromCharCode(...bytes.subarray(at, end));
}
