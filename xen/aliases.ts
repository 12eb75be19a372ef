import { entryFrame, type WalkStep } from "./page_walk.ts";
import type { TableCache } from "./table_cache.ts";

/** Root slots of a PV guest's kernel half; 256 to 271 are Xen's own. */
const FIRST_SLOT = 272;
const SLOTS = 512;
/** Tables that are looked at: 8 GiB of guest memory mapped with 4 KiB pages */
const MAX_TABLES = 4096;
/** Mappings that are told: a few of each frame, and some more */
const MAX_ALIASES_PER_FRAME = 4;
const MAX_MORE_ALIASES = 1024;

const PRESENT = 1;
const LARGE = 0x80;

/** One mapping of a frame. */
export interface Alias {
  /** Guest virtual address of the page */
  readonly address: bigint;
  readonly frame: bigint;
  readonly writable: boolean;
  /** The last entry */
  readonly step: WalkStep;
}

/** The mappings that were found, and whether these are all that there are. */
export interface AliasScan {
  readonly aliases: Alias[];
  readonly complete: boolean;
}

/**
 * Finds every mapping of some frames in the kernel half of a PV guest's
 * address space (4 KiB pages only: PV has no others). A table that serves
 * several address ranges is looked at once: its entries are the same ones. A
 * guest that maps a frame without end is not followed without end.
 *
 * @param tables Page tables of the guest
 * @param root Frame of the root page table
 * @param frames The frames that are looked for
 */
export function findAliases(
  tables: TableCache,
  root: bigint,
  frames: ReadonlySet<bigint>,
): AliasScan {
  // Frames fit into 40 bits: numbers are much faster than BigInt here
  const wanted = new Set(Array.from(frames, Number));
  let complete = true;
  let level: { table: bigint; base: bigint }[] = [{ table: root, base: 0n }];
  let looked = 0;
  for (let depth = 4; depth > 1; depth--) {
    tables.load(level.map(({ table }) => table));
    const next = new Map<bigint, bigint>();
    for (const { table, base } of level) {
      const words = tables.words(table);
      if (words === undefined) {
        complete = false;
        continue;
      }
      for (let index = depth === 4 ? FIRST_SLOT : 0; index < SLOTS; index++) {
        const low = words[2 * index]!;
        if ((low & PRESENT) === 0 || (depth < 4 && (low & LARGE) !== 0)) {
          continue;
        }
        const child = BigInt(frameOf(low, words[2 * index + 1]!));
        if (next.has(child)) continue;
        if (++looked > MAX_TABLES) {
          complete = false;
          break;
        }
        const shift = BigInt(12 + 9 * (depth - 1));
        next.set(child, base | BigInt(index) << shift);
      }
    }
    level = Array.from(next, ([table, base]) => ({ table, base }));
  }
  tables.load(level.map(({ table }) => table));
  const aliases: Alias[] = [];
  const most = MAX_ALIASES_PER_FRAME * frames.size + MAX_MORE_ALIASES;
  for (const { table, base } of level) {
    const words = tables.words(table);
    if (words === undefined) {
      complete = false;
      continue;
    }
    for (let index = 0; index < SLOTS; index++) {
      const low = words[2 * index]!;
      if ((low & PRESENT) === 0) continue;
      const high = words[2 * index + 1]!;
      if (!wanted.has(frameOf(low, high))) continue;
      if (aliases.length === most) return { aliases, complete: false };
      const entry = BigInt(low) | BigInt(high) << 32n;
      aliases.push({
        // Slots of the kernel half all have bit 47 set
        address: BigInt.asUintN(
          64,
          BigInt.asIntN(48, base | BigInt(index) << 12n),
        ),
        frame: entryFrame(entry),
        writable: (low & 2) !== 0,
        step: { level: 1, table, index, entry },
      });
    }
  }
  return { aliases, complete };
}

function frameOf(low: number, high: number): number {
  return (high & 0xfffff) * 2 ** 20 + (low >>> 12);
}
