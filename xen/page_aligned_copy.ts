import { PAGE_SIZE } from "./layouts.ts";

/**
 * A copy that begins at a page of our own memory, as the guest's pages do:
 * libc compares two ranges of equal alignment up to twice as fast.
 *
 * @param bytes Any length
 */
export function pageAlignedCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const buffer = new ArrayBuffer(bytes.length + PAGE_SIZE);
  const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer));
  const offset = Number(-BigInt(address) & BigInt(PAGE_SIZE - 1));
  const copy = new Uint8Array(buffer, offset, bytes.length);
  copy.set(bytes);
  return copy;
}
