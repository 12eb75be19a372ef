import { ElfFile } from "./elf_file.ts";
import { fileDigests } from "./file_digests.ts";
import { readBoundedFile } from "./read_bounded_file.ts";
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
  readonly elf: ElfFile;
  /** MD5 of the file, lower-case hexadecimal; not to be trusted */
  readonly md5: string;
  /** SHA-256 of the file, lower-case hexadecimal */
  readonly sha256: string;

  /**
   * @param path Absolute path, for messages and for the store of digests
   * @param bytes The whole file
   * @throws {SyntaxError} If it is no ELF file for x86-64
   */
  constructor(readonly path: string, bytes: Uint8Array) {
    this.elf = new ElfFile(bytes, path);
    const { md5, sha256 } = fileDigests(bytes);
    this.md5 = md5;
    this.sha256 = sha256;
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
 * Reads a kernel file.
 *
 * @param path The file; symbolic links are followed
 * @throws {Deno.errors.NotFound} If there is no such file
 * @throws {Deno.errors.IsADirectory} If it is a directory
 * @throws {TypeError} If it is another thing that is no regular file
 * @throws {RangeError} If it has more than 512 MiB
 * @throws {SyntaxError} If it is no ELF file for x86-64
 */
export async function readKernelFile(path: string): Promise<KernelFile> {
  const bytes = await readBoundedFile(path);
  return new KernelFile(await Deno.realPath(path), bytes);
}
