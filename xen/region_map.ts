import {
  entryBits,
  type Levels,
  type Mapped,
  type NotMapped,
  walkPageTables,
} from "./page_walk.ts";
import { PAGE_SIZE } from "./layouts.ts";
import type { TableCache, TableWords } from "./table_cache.ts";

/** Low-word bits that the processor sets by itself */
const ACCESSED_DIRTY = Number(entryBits.accessed | entryBits.dirty);

/** The entries of one table that a region's walks went through. */
interface Dependency {
  readonly words: TableWords;
  /** Word positions of the entries, even */
  readonly at: Uint16Array;
  readonly low: Uint32Array;
  readonly high: Uint32Array;
}

/**
 * Where the pages of a region lead, kept and checked for changes without
 * walking again: only the entries on the way are compared.
 */
export class RegionMap {
  readonly start: bigint;
  readonly pages: number;
  #tables: TableCache;
  #levels: Levels;
  #root: bigint | undefined;
  #walks: readonly (Mapped | NotMapped)[] = [];
  #dependencies: Dependency[] = [];
  #generation = -1;

  /**
   * @param start Guest virtual address, page aligned
   * @param pages Number of pages
   */
  constructor(
    tables: TableCache,
    levels: Levels,
    start: bigint,
    pages: number,
  ) {
    this.#tables = tables;
    this.#levels = levels;
    this.start = start;
    this.pages = pages;
  }

  /**
   * The walk of each page as the guest's tables are now. The same array as
   * before where nothing but accessed and dirty bits changed.
   *
   * @param root Frame of the root page table
   */
  walks(root: bigint): readonly (Mapped | NotMapped)[] {
    if (this.#root === root && this.#unchanged()) return this.#walks;
    this.#walk(root);
    return this.#walks;
  }

  #unchanged(): boolean {
    if (this.#generation !== this.#tables.generation) return false;
    for (const { words, at, low, high } of this.#dependencies) {
      for (let index = 0; index < at.length; index++) {
        const position = at[index]!;
        const changed = (words[position]! ^ low[index]!) & ~ACCESSED_DIRTY;
        if (changed !== 0 || words[position + 1] !== high[index]) return false;
      }
    }
    return this.#dependencies.length > 0;
  }

  #walk(root: bigint): void {
    const walks: (Mapped | NotMapped)[] = [];
    const entries = new Map<bigint, Map<number, bigint>>();
    let complete = true;
    for (let page = 0; page < this.pages; page++) {
      const walk = walkPageTables(
        this.#tables.entry,
        root,
        this.start + BigInt(page * PAGE_SIZE),
        this.#levels,
      );
      walks.push(walk);
      complete &&= walk.kind === "mapped";
      for (const { table, index, entry } of walk.steps) {
        let of = entries.get(table);
        if (of === undefined) entries.set(table, of = new Map());
        of.set(index, entry);
      }
    }
    this.#walks = walks;
    this.#root = root;
    this.#dependencies = [];
    // What is not mapped is walked again each time
    if (!complete) return;
    this.#generation = this.#tables.generation;
    for (const [table, of] of entries) {
      const words = this.#tables.words(table);
      if (words === undefined) {
        this.#dependencies = [];
        return;
      }
      const list = [...of];
      this.#dependencies.push({
        words,
        at: Uint16Array.from(list, ([index]) => 2 * index),
        low: Uint32Array.from(list, ([, entry]) => Number(entry & 0xffffffffn)),
        high: Uint32Array.from(list, ([, entry]) => Number(entry >> 32n)),
      });
    }
  }
}
