/**
 * Why guest memory could not be read.
 *
 * - `non-canonical`: the address is no address of the architecture
 * - `not-present`: the guest's page tables map nothing there
 * - `no-frame`: the page tables name a frame that cannot be mapped
 */
export type UnreadableReason =
  | "non-canonical"
  | "not-present"
  | "no-frame";

/**
 * Guest memory that could not be read. It is a state of its own: a detector
 * that meets it could not tell, which is never the same as "clean".
 */
export class UnreadableMemoryError extends Error {
  override readonly name = "UnreadableMemoryError";

  /**
   * @param address Guest virtual address that could not be read
   * @param reason Why not
   */
  constructor(readonly address: bigint, readonly reason: UnreadableReason) {
    super(`Guest memory at 0x${address.toString(16)} is unreadable: ${reason}`);
  }
}

/**
 * Guest memory as a profile sees it, whatever is behind it: a live guest, a
 * core file, a test's synthetic guest.
 */
export interface GuestMemory {
  /**
   * Copies guest memory through the guest's current page tables.
   *
   * @param address Guest kernel virtual address
   * @param length Bytes, at most 16 MiB
   * @throws {UnreadableMemoryError} If one byte of the range is unreadable
   * @throws {RangeError} If the length is not between 0 and 16 MiB
   */
  read(address: bigint, length: number): Uint8Array;
}
