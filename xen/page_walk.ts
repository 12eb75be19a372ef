import type { UnreadableReason } from "../guestos/memory.ts";

/** Bits of a page-table entry (Intel SDM vol. 3A, 4.5; AMD APM vol. 2, 5.3) */
export const entryBits = {
  present: 1n << 0n,
  writable: 1n << 1n,
  user: 1n << 2n,
  writeThrough: 1n << 3n,
  cacheDisable: 1n << 4n,
  accessed: 1n << 5n,
  dirty: 1n << 6n,
  large: 1n << 7n,
  global: 1n << 8n,
  noExecute: 1n << 63n,
} as const;

const FRAME_MASK = 0x000f_ffff_ffff_f000n;
const PAGE_SHIFT = 12n;
const INDEX_BITS = 9n;

/** Paging levels: 4 for 48-bit addresses, 5 for 57-bit ones (CR4.LA57). */
export type Levels = 4 | 5;

/** One entry on the way from the root table to the page. */
export interface WalkStep {
  /** 5 or 4 at the root, 1 at the last table */
  readonly level: number;
  /** Frame of the table */
  readonly table: bigint;
  /** Index of the entry in the table, 0 to 511 */
  readonly index: number;
  readonly entry: bigint;
}

/** An address that leads to memory. */
export interface Mapped {
  readonly kind: "mapped";
  /** Frame of the 4 KiB page that holds the address */
  readonly frame: bigint;
  /** Bytes that the last entry maps: 4 KiB, 2 MiB or 1 GiB */
  readonly pageSize: number;
  /** Permissions of all levels together */
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  /** From the root to the last entry */
  readonly steps: readonly WalkStep[];
}

/** An address that leads nowhere, and where the way ended. */
export interface NotMapped {
  readonly kind: UnreadableReason;
  readonly steps: readonly WalkStep[];
}

/**
 * Reads one entry of a page table.
 *
 * @param table Frame of the table
 * @param index 0 to 511
 * @returns The entry, or undefined if the frame cannot be read
 */
export type ReadEntry = (table: bigint, index: number) => bigint | undefined;

/** Frame that an entry points to. */
export function entryFrame(entry: bigint): bigint {
  return (entry & FRAME_MASK) >> PAGE_SHIFT;
}

/** Whether an address is canonical for the number of levels. */
export function isCanonical(address: bigint, levels: Levels): boolean {
  const bits = PAGE_SHIFT + INDEX_BITS * BigInt(levels);
  return address >= 0n && address < 1n << 64n &&
    BigInt.asUintN(64, BigInt.asIntN(Number(bits), address)) === address;
}

/**
 * Walks page tables of 64-bit x86 as the processor does. The tables are
 * hostile; the walk ends after one entry a level whatever they hold.
 *
 * @param read Reads one entry
 * @param root Frame of the root table (CR3)
 * @param address Virtual address, 64 bits unsigned
 * @param levels Paging levels
 *
 * @example
 * ```ts
 * const tables = new Map([[1n, 2n], [2n, 3n], [3n, 4n], [4n, 5n]]);
 * const walk = walkPageTables(
 *   (table) => ((tables.get(table) ?? 0n) << 12n) | 1n,
 *   1n,
 *   0x1000n,
 *   4,
 * );
 * console.assert(walk.kind === "mapped" && walk.frame === 5n);
 * ```
 */
export function walkPageTables(
  read: ReadEntry,
  root: bigint,
  address: bigint,
  levels: Levels,
): Mapped | NotMapped {
  const steps: WalkStep[] = [];
  if (!isCanonical(address, levels)) return { kind: "non-canonical", steps };
  let table = root;
  let writable = true;
  let user = true;
  let executable = true;
  for (let level: number = levels;; level--) {
    const shift = PAGE_SHIFT + INDEX_BITS * BigInt(level - 1);
    const index = Number((address >> shift) & 0x1ffn);
    const entry = read(table, index);
    if (entry === undefined) return { kind: "no-frame", steps };
    steps.push({ level, table, index, entry });
    if ((entry & entryBits.present) === 0n) {
      return { kind: "not-present", steps };
    }
    writable &&= (entry & entryBits.writable) !== 0n;
    user &&= (entry & entryBits.user) !== 0n;
    executable &&= (entry & entryBits.noExecute) === 0n;
    const large = (level === 2 || level === 3) &&
      (entry & entryBits.large) !== 0n;
    if (level === 1 || large) {
      // The low bits of a large page's entry hold flags (PAT), no address
      const within = (1n << shift) - 1n;
      const base = (entry & FRAME_MASK) & ~within;
      return {
        kind: "mapped",
        frame: (base | (address & within)) >> PAGE_SHIFT,
        pageSize: Number(1n << shift),
        writable,
        user,
        executable,
        steps,
      };
    }
    table = entryFrame(entry);
  }
}
