import { ElfFile } from "./elf_file.ts";
import { kernelImagePayload } from "./kernel_image_payload.ts";
import { readBoundedFile } from "./read_bounded_file.ts";
import { sha256 } from "./sha256.ts";
import { XenNote } from "./xen_note.ts";

/** The notes that hold text; the others hold numbers. */
const TEXT_NOTES: ReadonlySet<number> = new Set([
  XenNote.XEN_VERSION,
  XenNote.GUEST_OS,
  XenNote.GUEST_VERSION,
  XenNote.LOADER,
  XenNote.PAE_MODE,
  XenNote.FEATURES,
  XenNote.BSD_SYMTAB,
]);

/** The file that a guest's kernel was started from. */
export class KernelFile {
  /**
   * What the file unpacks to, or the file itself if it is not compressed: an
   * ELF file, and after it perhaps the list of its relocations
   */
  readonly payload: Uint8Array;
  /** The kernel proper, read from the payload */
  readonly elf: ElfFile;
  /** SHA-256 of the file, lower-case hexadecimal */
  readonly sha256: string;

  /**
   * @param path Absolute path, for messages and for the store of digests
   * @param bytes The whole file, an ELF file or a bzImage; it must not change
   *   afterwards
   * @throws {SyntaxError} If it is no kernel for x86-64, is damaged, is packed
   *   in a way that is not understood or unpacks to more than 512 MiB
   */
  constructor(readonly path: string, bytes: Uint8Array) {
    this.payload = kernelImagePayload(bytes, path);
    this.elf = new ElfFile(
      this.payload,
      this.payload === bytes ? path : `The kernel in ${path}`,
    );
    this.sha256 = sha256(bytes);
  }

  /**
   * What the kernel tells Xen by an ELF note.
   *
   * @param type `XEN_ELFNOTE_*`, see {@linkcode XenNote}
   * @returns Text of a note that holds text, if it is printable ASCII; else
   *   its bytes; `undefined` if there is no such note
   */
  xenNote(type: number): string | Uint8Array | undefined {
    const note = this.elf.notes.find((note) =>
      note.owner === "Xen" && note.type === type
    );
    if (note === undefined) return undefined;
    if (!TEXT_NOTES.has(type)) return note.description;
    const end = note.description.indexOf(0);
    const text = note.description.subarray(0, end < 0 ? undefined : end);
    if (!text.every((byte) => byte >= 0x20 && byte <= 0x7e)) {
      return note.description;
    }
    return new TextDecoder().decode(text);
  }
}

/**
 * Reads a kernel file, and unpacks it if it is compressed.
 *
 * @param path The file; symbolic links are followed
 * @throws {Deno.errors.NotFound} If there is no such file
 * @throws {Deno.errors.IsADirectory} If it is a directory
 * @throws {TypeError} If it is another thing that is no regular file
 * @throws {RangeError} If it has more than 512 MiB
 * @throws {SyntaxError} If it is no kernel file that is understood, see
 *   {@linkcode KernelFile}
 */
export async function readKernelFile(path: string): Promise<KernelFile> {
  const bytes = await readBoundedFile(path);
  return new KernelFile(await Deno.realPath(path), bytes);
}
