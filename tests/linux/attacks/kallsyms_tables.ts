import type { ImagePart } from "../../../guestos/linux/linux_image.ts";
import type { Target } from "./target.ts";

/** Where a kernel keeps its symbols, by offsets from its start. */
export interface KallsymsTables {
  /** Addresses of symbols, 4 bytes each, in the order of the symbols */
  readonly addresses: number;
  /** The character `9` among the parts that names consist of */
  readonly nine: number;
}

function* find(
  bytes: Uint8Array,
  { offset, size }: ImagePart,
  wanted: Uint8Array,
): Generator<number> {
  const first = wanted[0]!;
  const end = offset + size - wanted.length;
  for (let at = offset; at <= end; at++) {
    at = bytes.indexOf(first, at);
    if (at < 0 || at > end) return;
    if (wanted.every((byte, index) => bytes[at + index] === byte)) yield at;
  }
}

/** Finds the tables by what they must hold: old kernels do not name them. */
export function kallsymsTables({ image }: Target): KallsymsTables {
  const rodata = image.section(".rodata")!;
  const digits = new TextEncoder().encode("0\x001\x002\x003\x004\x00");
  const tokens = [...find(image.bytes, rodata, digits)].at(-1)!;
  // Up to 6.3 the base and the number of symbols stand behind the addresses
  const behind = new Uint8Array(12);
  const view = new DataView(behind.buffer);
  view.setBigUint64(0, image.base, true);
  view.setUint32(8, image.symbols.size, true);
  const named = image.offset("kallsyms_offsets");
  const [base = 0] = named === undefined
    ? find(image.bytes, rodata, behind)
    : [];
  const size = Math.ceil(image.symbols.size * 4 / 8) * 8;
  return { addresses: named ?? base - size, nine: tokens + 2 * 9 };
}
