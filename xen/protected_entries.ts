import { PAGE_SIZE } from "./layouts.ts";
import type { Mapped, NotMapped } from "./page_walk.ts";
import type { TableEntry } from "./protection.ts";

const ENTRY_SIZE = 8;
const ENTRIES = PAGE_SIZE / ENTRY_SIZE;

/**
 * The entries of page tables that lead to protected pages, but for those of the
 * root table: each process has its own.
 */
export class ProtectedEntries {
  /** By frame of the table and index */
  #tables = new Map<bigint, Map<number, TableEntry>>();

  /**
   * Adds those that lead to a range.
   *
   * @param start Guest virtual address
   * @param walks Of each page
   */
  add(start: bigint, walks: readonly (Mapped | NotMapped)[]): void {
    for (const [page, { steps }] of walks.entries()) {
      const address = start + BigInt(page * PAGE_SIZE);
      for (const { level, table, index } of steps.slice(1)) {
        const entries = this.#tables.get(table) ?? new Map();
        this.#tables.set(table, entries);
        if (!entries.has(index)) entries.set(index, { level, address });
      }
    }
  }

  /** Frames of the tables. */
  get tables(): readonly bigint[] {
    return [...this.#tables.keys()];
  }

  /** Whether a frame is one of the tables. */
  isTable(frame: bigint): boolean {
    return this.#tables.has(frame);
  }

  /**
   * The entry that a write to a table reaches, if it reaches one.
   *
   * @param offset Of its first byte
   * @param size Bytes; left out, it may reach every entry
   */
  reached(
    table: bigint,
    offset: number,
    size?: number,
  ): TableEntry | undefined {
    const entries = this.#tables.get(table);
    if (entries === undefined) return undefined;
    const end = size === undefined
      ? ENTRIES
      : Math.ceil((offset + size) / ENTRY_SIZE);
    for (let index = Math.floor(offset / ENTRY_SIZE); index < end; index++) {
      const entry = entries.get(index);
      if (entry !== undefined) return entry;
    }
    return size === undefined ? entries.values().next().value : undefined;
  }
}
