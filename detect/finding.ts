import type { WritableGuest } from "./guest.ts";
import type { PlannedWrite, TableLoad } from "../xen/protection.ts";
import type { Rule } from "./rules.ts";

/**
 * How something was seen.
 *
 * - `fault`: the guest's page-fault handler announced a write that did not land
 * - `stop`: Xen told of a write that did not land
 * - `compare`: contents differ from the trusted copy
 * - `drift`: the way to the contents, or a handler, is not what it was
 */
export type Seen = "fault" | "stop" | "compare" | "drift";

/**
 * How a page table or its use changed.
 *
 * - `writable`: a read-only page became writable
 * - `swapped`: the address leads to another frame
 * - `alias`: the frame has a new writable mapping elsewhere
 * - `unmapped`: the address leads nowhere
 * - `entry`: something else in an entry on the way
 */
export type Drift = "writable" | "swapped" | "alias" | "unmapped" | "entry";

/**
 * How the bytes were written, as far as the page tables tell.
 *
 * - `direct write`: an ordinary instruction, stopped by the read-only page
 * - `remap`: the page was made writable first
 * - `alias`: through another mapping of the frame
 * - `swap`: the page was replaced by another frame
 * - `hypercall`: its entries were read-only and never changed: Xen wrote for
 *   the guest (mmu_update), or the mapping that was used is gone
 *
 * Left out where the tables tell nothing.
 */
export type Method =
  | "direct write"
  | "remap"
  | "alias"
  | "swap"
  | "hypercall";

/** One thing that is not as it must be. */
export interface Finding {
  readonly rule: Rule;
  readonly seen: Seen;
  /** Region or object: `sys_call_table` */
  readonly what: string;
  /** Guest virtual address of the first byte concerned */
  readonly address: bigint;
  /** The address in words: `shutdown+0x12` */
  readonly symbol: string;
  /** One sentence of what happened, without symbol and address */
  readonly summary: string;
  /** What must be there; at most 64 bytes */
  readonly expected?: Uint8Array;
  /** What is there, as long as `expected` */
  readonly found?: Uint8Array;
  /** What would be there, as far as that is known */
  readonly attempted?: Uint8Array;
  readonly drift?: Drift;
  readonly method?: Method;
  /** Guest instruction that did it, where known */
  readonly ip?: bigint;
  readonly ipSymbol?: string;
  /** Virtual CPU that did it, where known */
  readonly vcpu?: number;
  /** Tells one state of an incident from another: same key, same state */
  readonly key: string;
}

/** A place where it could not be told whether all is well. */
export interface Unreadable {
  readonly rule: Rule;
  readonly what: string;
  /** Left out where it is not about one place */
  readonly address?: bigint;
  readonly reason: string;
}

/**
 * A hook in the kernel that the kernel itself knows of and accounts for: no
 * attack by what it is, and worth knowing all the same.
 */
export interface Instrumentation {
  readonly rule: Rule;
  /** What it is and whose: `kprobe of module lab` */
  readonly by: string;
  /** Guest virtual address of the first place */
  readonly address: bigint;
  /** The address in words */
  readonly symbol: string;
  /** Places that have it */
  readonly places: number;
}

/** What a detector has to say. */
export type Told = Finding | Unreadable | Instrumentation;

/** What one look at the guest gave. */
export interface PassResult {
  readonly findings: readonly Finding[];
  readonly unreadable: readonly Unreadable[];
  readonly instrumentation: readonly Instrumentation[];
}

/**
 * Puts right what a finding is about.
 *
 * @throws {Error} If that fails
 */
export type Remedy = (guest: WritableGuest) => void;

/** One rule at work on one guest. */
export interface Detector {
  readonly rule: Rule;
  /**
   * Looks at the guest as it is now, and says also where it cannot tell.
   *
   * @param full Do also what is too slow for every pass
   * @throws {UnreadableMemoryError} If it cannot tell anything more
   */
  check(full: boolean): Iterable<Told>;
  /** How a finding of it can be put right, if it can. */
  remedy?(finding: Finding): Remedy | undefined;
  /**
   * Judges the load of a descriptor table before it happens.
   *
   * @returns Nothing if it may happen
   * @throws {UnreadableMemoryError} If it cannot tell
   */
  judgeLoad?(load: TableLoad): Finding | undefined;
  /**
   * Judges a write to code by the kernel's own way before it lands.
   *
   * @returns Whether it may be the kernel's work
   * @throws {UnreadableMemoryError} If it cannot tell
   */
  mayPatch?(write: PlannedWrite): boolean;
}
