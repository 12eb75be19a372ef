import type { CpuState } from "./cpu_state.ts";

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

/** Consecutive pages with the same permissions. */
export interface MappedRange {
  /** Guest virtual address, page aligned */
  readonly start: bigint;
  /** Bytes, a multiple of the page size */
  readonly size: bigint;
  readonly writable: boolean;
  readonly executable: boolean;
}

/** What is mapped, and whether that is all. */
export interface MappedRanges {
  /** Ascending; neighbours differ in their permissions */
  readonly ranges: readonly MappedRange[];
  /** `false` if a table could not be read, or there were too many */
  readonly complete: boolean;
}

/** A guest's memory with what tells where its kernel is. */
export interface KernelMemory extends GuestMemory {
  /** State of each virtual CPU; there is at least one */
  readonly cpus: readonly CpuState[];
  /**
   * Copies guest memory to where it is wanted, however much it is.
   *
   * @param address Guest kernel virtual address
   * @param bytes Where to: all of it is written
   * @throws {UnreadableMemoryError} If one byte of the range is unreadable
   */
  readInto(address: bigint, bytes: Uint8Array): void;
  /**
   * What the kernel's page tables map in a range of addresses.
   *
   * @param start Guest virtual address, page aligned
   * @param end The first address after the range, in the same half of the
   *   address space
   * @param onlyExecutable Leave out what is not executable
   */
  mapped(start: bigint, end: bigint, onlyExecutable?: boolean): MappedRanges;
  /**
   * Takes these page tables for all that is read from now on, whatever the
   * virtual CPUs use.
   *
   * @param root Frame of the root page table
   * @param copied Take it as it is now: that of a process does not last
   */
  useRoot(root: bigint, copied?: boolean): void;
  /**
   * Frame that an address leads to.
   *
   * @throws {UnreadableMemoryError} If it leads nowhere
   */
  frame(address: bigint): bigint;
}
