/**
 * How a guest is kept from writing to a range of its memory.
 *
 * - `trap`: each write is dropped and told at once (a PVH or HVM guest's pages
 *   that `mem_access` lets it read and execute; processors of Intel)
 * - `gate`: of data, each write is dropped and told at once, whoever makes it
 *   (a PVH or HVM guest's pages of type `HVMMEM_ioreq_server`); of code, each
 *   write is dropped (`HVMMEM_ram_ro`)
 * - `protect`: its page-table entries are read-only; a PV guest faults, and may
 *   ask Xen to write in spite of that
 * - `poll`: not at all; what it wrote is found
 */
export const rungs = ["trap", "gate", "protect", "poll"] as const;
export type Rung = typeof rungs[number];

/** A range of a guest's memory that nobody but its own kernel may change. */
export interface InvariantRange {
  /** Guest virtual address, page aligned */
  readonly start: bigint;
  /** Bytes, a multiple of the page size */
  readonly size: number;
  readonly kind: "code" | "data";
  /** What it bears, and may be done to it */
  readonly rungs: readonly Rung[];
}

/** A write that did not land. */
export interface StoppedWrite {
  /** Who wrote: it stands at the instruction until this has been told */
  readonly vcpu: number;
  /** Guest virtual address of the instruction */
  readonly ip: bigint;
  /** Guest frame, and where on it the first byte lies */
  readonly frame: bigint;
  readonly offset: number;
  /** Bytes in all, where that is known */
  readonly size?: number;
  /** What was to be written, where that is known */
  readonly data?: Uint8Array;
}

/** Who is told of writes that did not land. */
export interface WriteListener {
  /** Gets each write before the guest goes on */
  stopped(write: StoppedWrite): void;
  /** Whether `stopped` may pause the guest, which stands at the write then */
  readonly pauses: boolean;
}

/** What protecting some ranges came to. */
export interface Protection {
  /** One for each range, in order */
  readonly rungs: readonly Rung[];
  /** Page-table entries that were made read-only */
  readonly entries: number;
  /** Why a range is not on the rung that it could be on */
  readonly refused?: string;
}
