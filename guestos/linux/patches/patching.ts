import type { GuestReader } from "../guest_reader.ts";
import type { Btf } from "../btf.ts";
import type { KernelSymbols } from "../kernel_symbols.ts";
import type { CodeTable, ImagePart } from "../linux_image.ts";

/** Code that the kernel patches: its own, or a module's. */
export interface CodeImage {
  /** Guest virtual address that offsets count from */
  readonly base: bigint;
  /** The code, and behind it the tables that tell of it */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly btf: Btf;
  /** Those of the code itself */
  readonly symbols: KernelSymbols;
  section(name: string): ImagePart | undefined;
  sectionsOf(prefix: string): Iterable<[string, ImagePart]>;
  /** Offset of a symbol of the kernel or of the code; perhaps negative */
  offset(name: string): number | undefined;
  /** @throws {SyntaxError} If there is none such */
  need(name: string): number;
  /** Names of all symbols at an offset */
  namesAt(offset: number): IteratorObject<string>;
  table(name: CodeTable): ImagePart | undefined;
}

/** A kernel's text on its way from the file to what the guest must have. */
export interface Patching {
  readonly image: CodeImage;
  /** The bytes as patched so far, from `_text` on: all of the image's own */
  readonly text: Uint8Array;
  /** First offset behind the text */
  readonly end: number;
  /** The text as it was read from the guest, for what only sites tell */
  readonly found: Uint8Array;
  /** The guest's data, for what decides between forms */
  readonly guest: GuestReader;
  /** Whether it is a PV guest of Xen */
  readonly pv: boolean;
}

/** Offsets that a table of `s32`, each relative to its own place, names. */
export function* relativeOffsets(
  { view }: Pick<CodeImage, "view">,
  part: ImagePart | undefined,
): Generator<number> {
  if (part === undefined) return;
  for (let at = part.offset; at + 4 <= part.offset + part.size; at += 4) {
    const distance = view.getInt32(at, true);
    // Tables are padded to whole pages
    if (distance !== 0) yield at + distance;
  }
}

/** Whether a site lies in the text: others are in code that was freed. */
export function inText(
  { end }: Pick<Patching, "end">,
  offset: number,
  size: number,
): boolean {
  return offset >= 0 && offset + size <= end;
}

/**
 * Whether a site lies in the image, if not in its text: code that replaces
 * other code is patched before it does.
 */
export function inImage(
  { text }: Pick<Patching, "text">,
  offset: number,
  size: number,
): boolean {
  return offset >= 0 && offset + size <= text.length;
}
