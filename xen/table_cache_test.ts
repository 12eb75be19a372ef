import { assert, assertEquals } from "@std/assert";
import { ForeignFrames } from "./foreign_frames.ts";
import { TableCache } from "./table_cache.ts";
import { Machine } from "./testing/machine.ts";

const DOMAIN = 7;

function setUp(machine: Machine): TableCache {
  return new TableCache(new ForeignFrames(machine.libraries).of(DOMAIN));
}

Deno.test("an entry is read as the guest's memory is now", () => {
  using machine = new Machine();
  const tables = setUp(machine);
  const frame = machine.allocate();
  machine.setEntry(frame, 511, 0x8000_0000_1234_5067n);
  assertEquals(tables.entry(frame, 511), 0x8000_0000_1234_5067n);
  machine.setEntry(frame, 511, 1n);
  assertEquals(tables.entry(frame, 511), 1n);
  tables.clear();
});

Deno.test("a table is mapped once", () => {
  using machine = new Machine();
  const tables = setUp(machine);
  const frame = machine.allocate();
  for (let index = 0; index < 512; index++) tables.entry(frame, index);
  assertEquals(machine.mapCalls, 1);
  tables.clear();
});

Deno.test("a frame that Xen refuses has no entries and hides no other's", () => {
  using machine = new Machine();
  const tables = setUp(machine);
  const frames = Array.from({ length: 5 }, () => machine.allocate());
  frames.forEach((frame) => machine.setEntry(frame, 0, frame));
  machine.refused.add(frames[0]!).add(frames[3]!);
  tables.load(frames);
  const calls = machine.mapCalls;
  assertEquals(
    frames.map((frame) => tables.entry(frame, 0)),
    [undefined, frames[1], frames[2], undefined, frames[4]],
  );
  assertEquals(machine.mapCalls - calls, 2);
  // The mapping with the refused ones was given back
  assertEquals(machine.mappedPages, 3);
  tables.clear();
});

Deno.test("many tables are mapped in few calls", () => {
  using machine = new Machine();
  const tables = setUp(machine);
  const frames = Array.from({ length: 600 }, () => machine.allocate());
  frames.forEach((frame) => machine.setEntry(frame, 0, frame));
  tables.load([...frames, ...frames]);
  assertEquals(machine.mapCalls, 3);
  assertEquals(machine.mappedPages, 600);
  assert(frames.every((frame) => tables.entry(frame, 0) === frame));
  tables.clear();
});

Deno.test("clearing unmaps every table and says so by the generation", () => {
  using machine = new Machine();
  const tables = setUp(machine);
  const frame = machine.allocate();
  tables.load([frame, machine.allocate()]);
  const before = tables.generation;
  tables.clear();
  assertEquals(machine.mappedPages, 0);
  assert(tables.generation > before);
  machine.setEntry(frame, 1, 5n);
  assertEquals(tables.entry(frame, 1), 5n);
  tables.clear();
});

Deno.test("a pinned table answers as it was, until it is unpinned", () => {
  using machine = new Machine();
  const tables = setUp(machine);
  const frame = machine.allocate();
  machine.setEntry(frame, 3, 0x1003n);
  tables.pin(frame);
  machine.setEntry(frame, 3, 0x2003n);
  assertEquals(tables.entry(frame, 3), 0x1003n);
  tables.clear();
  assertEquals(tables.entry(frame, 3), 0x1003n);
  const { generation } = tables;
  tables.unpin();
  assertEquals(tables.entry(frame, 3), 0x2003n);
  assertEquals(tables.generation > generation, true);
});

Deno.test("tables that are mapped again show what came in their place, and words stay good", () => {
  using machine = new Machine();
  const tables = setUp(machine);
  const frame = machine.allocate();
  machine.setEntry(frame, 0, 1n);
  const words = tables.words(frame)!;
  const { generation } = tables;
  const other = machine.allocate();
  machine.setEntry(other, 0, 2n);
  machine.replaced.set(frame, other);
  assertEquals(tables.entry(frame, 0), 1n);
  tables.renew();
  assertEquals([tables.entry(frame, 0), words[0]], [2n, 2]);
  assertEquals(tables.generation, generation);
  tables.clear();
});

Deno.test("where a table is no more then, the others are had anew at once", () => {
  using machine = new Machine();
  const tables = setUp(machine);
  const frames = Array.from({ length: 600 }, () => machine.allocate());
  frames.forEach((frame) => machine.setEntry(frame, 0, frame));
  tables.load(frames);
  const { generation } = tables;
  const lost = frames[300]!;
  machine.refused.add(lost);
  tables.renew();
  // Whoever has words from before must not use them
  assert(tables.generation > generation);
  assertEquals(machine.mappedPages, 599);
  const { mapCalls } = machine;
  const others = frames.filter((frame) => frame !== lost);
  assert(others.every((frame) => tables.entry(frame, 0) === frame));
  assertEquals(machine.mapCalls, mapCalls);
  assertEquals(tables.entry(lost, 0), undefined);
  tables.clear();
  assertEquals(machine.mappedPages, 0);
});
