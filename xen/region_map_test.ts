import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { ForeignFrames } from "./foreign_frames.ts";
import { entryBits } from "./page_walk.ts";
import { RegionMap } from "./region_map.ts";
import { TableCache } from "./table_cache.ts";
import { Machine } from "./testing/machine.ts";

const START = 0xffff_ffff_8000_0000n;
const PAGES = 3;
/** One that shares no lower table with the region */
const FAR = 0xffff_8880_0000_0000n;

function setUp(machine: Machine) {
  const root = machine.allocate();
  const frames = Array.from(
    { length: PAGES },
    (_, page) => machine.map(root, START + BigInt(page) * 4096n),
  );
  const tables = new TableCache(new ForeignFrames(machine.libraries).of(7));
  const map = new RegionMap(tables, 4, START, PAGES);
  const stack = new DisposableStack();
  stack.defer(() => tables.clear());
  return { root, frames, tables, map, stack };
}

function framesOf(map: RegionMap, root: bigint): (bigint | string)[] {
  return map.walks(root).map((walk) =>
    walk.kind === "mapped" ? walk.frame : walk.kind
  );
}

Deno.test("each page leads to its frame", () => {
  using machine = new Machine();
  const { root, frames, map, stack } = setUp(machine);
  using _ = stack;
  assertEquals(framesOf(map, root), frames);
});

Deno.test("where nothing changed the same walks are given", () => {
  using machine = new Machine();
  const { root, map, stack } = setUp(machine);
  using _ = stack;
  const walks = map.walks(root);
  machine.map(root, FAR);
  assert(map.walks(root) === walks);
});

Deno.test("accessed and dirty bits are no change", () => {
  using machine = new Machine();
  const { root, map, stack } = setUp(machine);
  using _ = stack;
  const walks = map.walks(root);
  const { table, index } = machine.leaf(root, START);
  machine.setEntry(
    table,
    index,
    machine.entry(table, index) | entryBits.accessed | entryBits.dirty,
  );
  assert(map.walks(root) === walks);
});

Deno.test("a change at any level is seen", () => {
  for (const bit of [entryBits.user, entryBits.noExecute, 1n << 40n]) {
    for (let level = 0; level < 4; level++) {
      using machine = new Machine();
      const { root, map, stack } = setUp(machine);
      using _ = stack;
      const walks = map.walks(root);
      const middle = walks[1]!.steps[level]!;
      machine.setEntry(middle.table, middle.index, middle.entry ^ bit);
      assertNotEquals(map.walks(root)[1], walks[1]);
    }
  }
});

Deno.test("a page that was swapped leads to its new frame", () => {
  using machine = new Machine();
  const { root, frames, map, stack } = setUp(machine);
  using _ = stack;
  map.walks(root);
  const swapped = machine.map(root, START + 4096n);
  assertEquals(framesOf(map, root), [frames[0]!, swapped, frames[2]!]);
});

Deno.test("another root is another way", () => {
  using machine = new Machine();
  const { root, map, stack } = setUp(machine);
  using _ = stack;
  map.walks(root);
  const other = machine.allocate();
  const frame = machine.map(other, START);
  assertEquals(framesOf(map, other), [frame, "not-present", "not-present"]);
});

Deno.test("a page that comes back is walked again", () => {
  using machine = new Machine();
  const { root, frames, map, stack } = setUp(machine);
  using _ = stack;
  const { table, index } = machine.leaf(root, START);
  const entry = machine.entry(table, index);
  machine.setEntry(table, index, 0n);
  assertEquals(framesOf(map, root)[0], "not-present");
  machine.setEntry(table, index, entry);
  assertEquals(framesOf(map, root), frames);
});

Deno.test("tables that were unmapped meanwhile are not looked at", () => {
  using machine = new Machine();
  const { root, frames, tables, map, stack } = setUp(machine);
  using _ = stack;
  map.walks(root);
  tables.clear();
  // Reading an old mapping would end this process
  assertEquals(framesOf(map, root), frames);
});

Deno.test("a table that Xen refuses is told", () => {
  using machine = new Machine();
  const { root, map, stack } = setUp(machine);
  using _ = stack;
  machine.refused.add(machine.leaf(root, START).table);
  assertEquals(framesOf(map, root), ["no-frame", "no-frame", "no-frame"]);
});
