import type { DescriptorTable } from "../guestos/cpu_state.ts";

/**
 * How a guest is kept from writing to a range of its memory.
 *
 * - `trap`: each write is dropped and told at once (a PVH or HVM guest's pages
 *   that `mem_access` lets it read and execute; processors of Intel)
 * - `gate`: of data, each write is dropped and told at once, whoever makes it
 *   (a PVH or HVM guest's pages of type `HVMMEM_ioreq_server`); of what runs,
 *   each write is dropped (`HVMMEM_ram_ro`)
 * - `lock`: its page-table entries lead, read-only, to frames of Dom0's, which
 *   no hypercall of a PV guest writes or maps writable; it faults (data)
 * - `protect`: its page-table entries are read-only; a PV guest faults, and may
 *   ask Xen to write in spite of that
 * - `dirty`: not at all, but Xen logs which pages it writes to, and only those
 *   are compared again (PVH and HVM guests without gated pages)
 * - `poll`: not at all; what it wrote is found
 */
export const rungs = [
  "trap",
  "gate",
  "lock",
  "protect",
  "dirty",
  "poll",
] as const;
export type Rung = typeof rungs[number];

/**
 * What is taken unless the operator names others. A log has the guest fault
 * once for each page that it writes to, and its large pages, as Xen keeps them,
 * are split for good: that is for the operator to decide.
 */
export const defaultRungs: readonly Rung[] = rungs.filter((rung) =>
  rung !== "dirty"
);

/** A range of a guest's memory that nobody but its own kernel may change. */
export interface InvariantRange {
  /** Guest virtual address, page aligned */
  readonly start: bigint;
  /** Bytes, a multiple of the page size */
  readonly size: number;
  readonly kind: "code" | "data";
  /** Of data, pages that run all the same */
  readonly executed?: { readonly start: bigint; readonly size: number };
  /** Whether the kernel is up, and changes the way to it no more */
  readonly settled?: boolean;
  /** Whether its own kernel writes to it: the listener knows what */
  readonly patched?: boolean;
  /** What it bears, and may be done to it */
  readonly rungs: readonly Rung[];
}

/** An entry of a page table on the way to a protected page. */
export interface TableEntry {
  /** 1 at the last table */
  readonly level: number;
  /** The first protected page that it leads to: guest virtual address */
  readonly address: bigint;
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
  /** Bytes in all, where that is known and `data` does not tell it */
  readonly size?: number;
  /** What was to be written, where that is known */
  readonly data?: Uint8Array;
  /** The entry that it may reach, if the frame is that of a page table */
  readonly entry?: TableEntry;
}

/**
 * A write to what the kernel itself writes to, before it lands, and by its way:
 * through a mapping in the lower half, which processes have.
 */
export interface PlannedWrite {
  /** Guest virtual address in the range */
  readonly address: bigint;
  /** All of it is on one page */
  readonly data: Uint8Array;
}

/** A register that a virtual CPU is about to change. */
export interface RegisterChange {
  readonly vcpu: number;
  /** Guest virtual address of the instruction */
  readonly ip: bigint;
  readonly register: "cr0" | "cr4" | "lstar" | "cstar" | "sysenterIp";
  readonly value: bigint;
  readonly before: bigint;
}

/** A descriptor table register that a virtual CPU is about to load. */
export interface TableLoad {
  readonly vcpu: number;
  /** Guest virtual address of the instruction */
  readonly ip: bigint;
  readonly register: "idt" | "gdt";
  /** Where it is to lead */
  readonly value: DescriptorTable;
}

/**
 * What is found at the next pass instead of being stopped, or compared at each
 * pass instead of being known from a log.
 *
 * - `log`: which pages are written to
 * - `pages`: writes to some pages, until they were closed again
 * - `tables`: changes of page tables on the way to pages
 * - `text`: writes to code that the kernel itself writes to
 * - `registers`: loads of descriptor tables
 */
export type Weakened = "log" | "pages" | "tables" | "text" | "registers";

/** Who is told of what works less well than it did. */
export interface WeakenedListener {
  /** Gets what it is, and why; for how long, if not for good */
  weakened(what: Weakened, reason: string): void;
}

/** Who is asked before registers change. */
export interface RegisterListener extends WeakenedListener {
  /** Bits of the control registers whose changes it is asked about */
  readonly bits: { readonly cr0: bigint; readonly cr4: bigint };
  /** Whether it may happen; the virtual CPU waits */
  mayChange(change: RegisterChange): boolean;
  /**
   * Whether it may happen. The virtual CPU waits; nobody may pause the guest
   * yet, which would load the table after all if it is let run with no monitor.
   */
  mayLoad(load: TableLoad): boolean;
  /** Gets a load that did not happen, when the guest may be paused */
  denied(load: TableLoad): void;
  /** A table was loaded of which nobody could read where it is */
  loadedUnread(): void;
}

/** Who is told of what was stopped. */
export interface GuestListener extends WeakenedListener {
  /** Gets each write that did not land, before the guest goes on */
  stopped(write: StoppedWrite): void;
  /** Whether `stopped` may pause the guest, which stands at the write then */
  readonly pauses: boolean;
  /** Whether a write to a patched range may land; the virtual CPU waits */
  mayPatch(write: PlannedWrite): boolean;
  /** Left out if every register may change */
  readonly registers?: RegisterListener;
}

/** What protecting some ranges came to. */
export interface Protection {
  /** One for each range, in order */
  readonly rungs: readonly Rung[];
  /** Page-table entries that were made read-only, or to lead to a lock */
  readonly entries: number;
  /** Whether the listener is asked before registers change */
  readonly registers: boolean;
  /** Why a range, or a register, is not kept as it could be */
  readonly refused?: string;
  /** Ranges could not be locked because the toolstack asks something */
  readonly asked?: true;
}
