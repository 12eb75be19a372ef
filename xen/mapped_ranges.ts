import type { MappedRange, MappedRanges } from "../guestos/memory.ts";
import type { Levels } from "./page_walk.ts";
import type { TableCache } from "./table_cache.ts";

/** Tables that are looked at: the kernel half of 32 GiB in 4 KiB pages */
const MAX_TABLES = 16_384;
/** Ranges that are told */
const MAX_RANGES = 65_536;

const SLOTS = 512;
const PRESENT = 1;
const WRITABLE = 2;
/** Ours, for what no entry says in its low word */
const EXECUTABLE = 4;
const LARGE = 0x80;
/** In the high word of an entry */
const NO_EXECUTE = 0x8000_0000;

const PAGE_SHIFT = 12;
const INDEX_BITS = 9;

/**
 * Every range of pages that page tables map between two addresses, with the
 * permissions of all levels together. Tables are hostile: each is looked at
 * once for each place that it serves, up to a limit.
 *
 * @param tables Page tables of the guest
 * @param root Frame of the root page table
 * @param start Page aligned
 * @param end Page aligned, in the same half of the address space
 * @param levels Paging levels
 * @param onlyExecutable Leave out what is not executable
 */
export function mappedRanges(
  tables: TableCache,
  root: bigint,
  start: bigint,
  end: bigint,
  levels: Levels,
  onlyExecutable = false,
): MappedRanges {
  const ranges: { -readonly [K in keyof MappedRange]: MappedRange[K] }[] = [];
  let complete = true;
  let looked = 0;
  let full = false;

  const add = (at: bigint, size: bigint, permissions: number) => {
    const writable = (permissions & WRITABLE) !== 0;
    const executable = (permissions & EXECUTABLE) !== 0;
    const from = at < start ? start : at;
    const to = at + size > end ? end : at + size;
    const last = ranges.at(-1);
    const joins = last !== undefined && last.start + last.size === from &&
      last.writable === writable && last.executable === executable;
    if (joins) {
      last.size += to - from;
    } else if (ranges.length === MAX_RANGES) {
      full = true;
      complete = false;
    } else {
      ranges.push({ start: from, size: to - from, writable, executable });
    }
  };

  const look = (
    table: bigint,
    level: number,
    base: bigint,
    allowed: number,
  ) => {
    let words = ++looked > MAX_TABLES ? undefined : tables.words(table);
    if (words === undefined) {
      complete = false;
      return;
    }
    const size = 1n << BigInt(PAGE_SHIFT + INDEX_BITS * (level - 1));
    const first = start > base ? Number((start - base) / size) : 0;
    const beyond = end - base;
    const last = beyond >= size * BigInt(SLOTS)
      ? SLOTS
      : Number((beyond + size - 1n) / size);
    const at = (index: number) => base + BigInt(index) * size;
    // Pages are told together: BigInt is too slow for each of them
    let since = first;
    let pages = 0;
    const tell = (index: number, next: number) => {
      if (pages !== 0) add(at(since), BigInt(index - since) * size, pages);
      since = index;
      pages = next;
    };
    for (let index = first; index < last && !full; index++) {
      const low = words[2 * index]!;
      const high = words[2 * index + 1]!;
      const executable = (high & NO_EXECUTE) === 0 ? EXECUTABLE : 0;
      const own = allowed & (low & (PRESENT | WRITABLE) | executable);
      const counts = (own & PRESENT) !== 0 &&
        !(onlyExecutable && (own & EXECUTABLE) === 0);
      const isPage = level === 1 || level < 4 && (low & LARGE) !== 0;
      const next = counts && isPage ? own : 0;
      if (next !== pages) tell(index, next);
      if (counts && !isPage) {
        const child = (high & 0xfffff) * 2 ** 20 + (low >>> PAGE_SHIFT);
        look(BigInt(child), level - 1, at(index), own);
        // Too many tables unmap all others, this one too
        words = tables.words(table);
        if (words === undefined) {
          complete = false;
          return;
        }
      }
    }
    tell(last, 0);
  };

  const bits = PAGE_SHIFT + INDEX_BITS * levels;
  // Addresses of one half: above its first, tables need no sign extension
  const half = start >> 63n === 0n
    ? 0n
    : BigInt.asUintN(64, -1n << BigInt(bits));
  look(root, levels, half, PRESENT | WRITABLE | EXECUTABLE);
  return { ranges, complete };
}
