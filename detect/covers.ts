/**
 * Whether an address is in a range.
 *
 * @example
 * ```ts
 * import { covers } from "./covers.ts";
 *
 * const page = { start: 0x1000n, size: 0x1000 };
 * console.assert(covers(page, 0x1fffn) && !covers(page, 0x2000n));
 * ```
 */
export function covers(
  { start, size }: { readonly start: bigint; readonly size: number },
  address: bigint,
): boolean {
  return address >= start && address < start + BigInt(size);
}
