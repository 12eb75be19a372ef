/**
 * The 8 bytes of a value as x86 keeps it in memory.
 *
 * @param value 64 bits, unsigned
 */
export function littleEndian(value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return new Uint8Array(view.buffer);
}
