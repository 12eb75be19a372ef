import type { GuestMemory } from "../memory.ts";

const READ_SIZE = 1 << 24;

/**
 * Reads what is more than one reading may be.
 *
 * @param start Guest virtual address
 * @param size Bytes
 * @throws {UnreadableMemoryError} If one byte cannot be read
 */
export function readAll(
  memory: GuestMemory,
  start: bigint,
  size: number,
): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += READ_SIZE) {
    const length = Math.min(READ_SIZE, size - at);
    bytes.set(memory.read(start + BigInt(at), length), at);
  }
  return bytes;
}
