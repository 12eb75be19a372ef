import { assertEquals } from "@std/assert";
import type { Mapped } from "./page_walk.ts";
import { ProtectedEntries } from "./protected_entries.ts";

const START = 0xffff_ffff_8000_3000n;

/** A page behind a table of each level: 11, 12, 13 and 14 from the root on. */
function way(page: number): Mapped {
  return {
    kind: "mapped",
    frame: 100n + BigInt(page),
    pageSize: 4096,
    writable: false,
    user: false,
    executable: false,
    steps: [4, 3, 2, 1].map((level) => ({
      level,
      table: BigInt(15 - level),
      index: level === 1 ? 3 + page : 500,
      entry: 1n,
    })),
  };
}

function twoPages(): ProtectedEntries {
  const entries = new ProtectedEntries();
  entries.add(START, [way(0), way(1)]);
  return entries;
}

Deno.test("the tables on the way are known, but for the root", () => {
  const entries = twoPages();
  assertEquals(entries.tables, [12n, 13n, 14n]);
  assertEquals([entries.isTable(11n), entries.isTable(12n)], [false, true]);
});

Deno.test("a write reaches the entries that its bytes are in", () => {
  const entries = twoPages();
  const reached = (offset: number, size?: number) =>
    entries.reached(14n, offset, size)?.address;
  assertEquals(reached(3 * 8, 8), START);
  assertEquals(reached(4 * 8 + 7, 1), START + 0x1000n);
  // It goes on into the next one
  assertEquals(reached(3 * 8 - 1, 2), START);
  assertEquals(reached(3 * 8 - 1, 1), undefined);
  assertEquals(reached(2 * 8, 8), undefined);
  assertEquals(reached(5 * 8, 8), undefined);
});

Deno.test("a write of nobody knows how many bytes may reach each entry", () => {
  const entries = twoPages();
  const reached = (offset: number) => entries.reached(14n, offset)?.address;
  assertEquals(reached(0), START);
  assertEquals(reached(4 * 8), START + 0x1000n);
  // It may go backwards
  assertEquals(reached(511 * 8), START);
});

Deno.test("an entry is that of the first page that it leads to", () => {
  const entries = twoPages();
  assertEquals(entries.reached(13n, 500 * 8, 8), { level: 2, address: START });
  assertEquals(entries.reached(12n, 500 * 8, 8), { level: 3, address: START });
});

Deno.test("a frame that is no table has no entries", () => {
  assertEquals(twoPages().reached(11n, 500 * 8, 8), undefined);
});
