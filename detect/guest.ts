import type { KernelMemory } from "../guestos/memory.ts";
import type { AliasScan } from "../xen/aliases.ts";
import type { EntryUpdate } from "../xen/hypercalls.ts";
import type { LookDepth } from "../xen/look_depth.ts";
import type { Mapped, NotMapped } from "../xen/page_walk.ts";

/** Bytes of a guest page */
export const PAGE_SIZE = 4096;

/** The domain that a finding is about. */
export interface GuestDomain {
  readonly id: number;
  readonly name: string;
  readonly uuid: string;
}

/**
 * A guest as detectors see it: no raw API, and nothing that depends on how the
 * memory is reached.
 */
export interface Guest extends KernelMemory {
  readonly domain: GuestDomain;
  /**
   * Looks at the virtual CPUs anew; all else answers from what they say.
   *
   * @param depth With `full`, `compare` looks also where nothing can have been
   *   written; `cpus` if left out
   */
  refresh(depth?: LookDepth): void;
  /**
   * Makes sure that what was seen was seen of a guest that still exists.
   *
   * @throws {Error} If it is gone or being taken apart
   */
  assertAlive(): void;
  /** Where each page of a page-aligned range leads at this moment. */
  walks(start: bigint, size: number): readonly (Mapped | NotMapped)[];
  /**
   * Compares a page-aligned range with a trusted copy through the current
   * page tables.
   *
   * @param also Positions of pages that are compared even if it is known that
   *   nothing was written to them
   * @returns Positions of the pages that differ
   */
  compare(
    start: bigint,
    trusted: Uint8Array<ArrayBuffer>,
    also?: Iterable<number>,
  ): number[];
  /** A copy of bytes, placed so that `compare` is fast with it. */
  trustedCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
  /**
   * Every mapping of some frames in the kernel half. Given the same set again,
   * nothing is looked at again while the page tables stay as they are.
   */
  aliases(frames: ReadonlySet<bigint>): AliasScan;
}

/** A guest that stands still, and whose memory can be put right. */
export interface WritableGuest {
  /** Writes through the page tables as they are now, whatever they permit. */
  writeMemory(address: bigint, bytes: Uint8Array): void;
  /** Replaces entries of page tables. */
  writeEntries(updates: readonly EntryUpdate[]): void;
}
