import { assert, assertEquals } from "@std/assert";
import { findAliases } from "./aliases.ts";
import { ForeignFrames } from "./foreign_frames.ts";
import { entryBits, walkPageTables } from "./page_walk.ts";
import { TableCache } from "./table_cache.ts";
import { Machine } from "./testing/machine.ts";

const KERNEL = 0xffff_ffff_8000_5000n;
const DIRECT_MAP = 0xffff_8880_0123_4000n;
/** The first page of the kernel half, and the last one */
const FIRST = 0xffff_8800_0000_0000n;
const LAST = 0xffff_ffff_ffff_f000n;

const { present, writable, large } = entryBits;

function scan(machine: Machine, root: bigint, ...frames: bigint[]) {
  const tables = new TableCache(new ForeignFrames(machine.libraries).of(7));
  try {
    return findAliases(tables, root, new Set(frames));
  } finally {
    tables.clear();
  }
}

Deno.test("every mapping of a frame is found, with its permission", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const frame = machine.map(root, KERNEL, { flags: present });
  for (const address of [DIRECT_MAP, FIRST, LAST]) {
    machine.map(root, address, { frame });
    // A neighbour that is not looked for
    machine.map(root, address ^ 0x1000n);
  }
  const { aliases, complete } = scan(machine, root, frame);
  assertEquals(complete, true);
  assertEquals(
    aliases.map(({ address, writable }) => [address, writable]).sort(),
    [[FIRST, true], [DIRECT_MAP, true], [KERNEL, false], [LAST, true]],
  );
});

Deno.test("the entry that is told is the one of the page walk", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const frame = machine.map(root, KERNEL);
  const [alias] = scan(machine, root, frame).aliases;
  const walk = walkPageTables(
    (table, index) => machine.entry(table, index),
    root,
    KERNEL,
    4,
  );
  assertEquals(alias!.step, walk.steps.at(-1));
  assertEquals([alias!.frame, alias!.address], [frame, KERNEL]);
});

Deno.test("several frames are found at once, others not at all", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const frames = [0n, 1n, 2n].map((page) =>
    machine.map(root, KERNEL + page * 4096n)
  );
  const { aliases } = scan(machine, root, frames[0]!, frames[2]!);
  assertEquals(aliases.map(({ frame }) => frame), [frames[0], frames[2]]);
});

Deno.test("frames above 32 bits are told apart", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const high = 0xab_1234_5678n;
  machine.map(root, KERNEL, { frame: high });
  machine.map(root, DIRECT_MAP, { frame: high & 0xffff_ffffn });
  const { aliases } = scan(machine, root, high);
  assertEquals(aliases.map(({ address, frame }) => [address, frame]), [
    [KERNEL, high],
  ]);
});

Deno.test("user space and Xen's own slots are not searched", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const frame = machine.map(root, 0x40_0000n);
  machine.map(root, 0xffff_8000_0000_0000n, { frame });
  assertEquals(scan(machine, root, frame), { aliases: [], complete: true });
});

Deno.test("an entry that is not present or large is no way on", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const frame = machine.map(root, KERNEL);
  const { table } = machine.leaf(root, DIRECT_MAP);
  machine.setEntry(table, 0, frame << 12n | writable);
  machine.setEntry(root, 300, frame << 12n | writable);
  const upper = machine.allocate();
  machine.setEntry(root, 301, upper << 12n | present);
  machine.setEntry(upper, 0, 1n << 30n | present | large);
  const { aliases, complete } = scan(machine, root, frame);
  assertEquals(aliases.map(({ address }) => address), [KERNEL]);
  assertEquals(complete, true);
});

Deno.test("tables that lead to themselves end the search", () => {
  using machine = new Machine();
  const root = machine.allocate();
  machine.setEntry(root, 511, root << 12n | present | writable);
  const { aliases } = scan(machine, root, root);
  assert(aliases.length <= 512);
});

Deno.test("a table that Xen refuses makes the search incomplete and hides no other", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const frame = machine.map(root, KERNEL);
  machine.map(root, DIRECT_MAP, { frame });
  machine.refused.add(machine.leaf(root, KERNEL).table);
  const { aliases, complete } = scan(machine, root, frame);
  assertEquals(aliases.map(({ address }) => address), [DIRECT_MAP]);
  assertEquals(complete, false);
});

Deno.test("a frame that is mapped without end is not followed without end", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const frame = machine.map(root, KERNEL);
  for (let table = 0; table < 4; table++) {
    const { table: last } = machine.leaf(root, FIRST + BigInt(table << 21));
    for (let index = 0; index < 512; index++) {
      machine.setEntry(last, index, frame << 12n | present | writable);
    }
  }
  const { aliases, complete } = scan(machine, root, frame);
  assertEquals(complete, false);
  assert(aliases.length > 1000 && aliases.length < 2000);
});

Deno.test("with no root there is nothing to search", () => {
  using machine = new Machine();
  const root = machine.allocate();
  machine.refused.add(root);
  assertEquals(scan(machine, root, 5n), { aliases: [], complete: false });
});

Deno.test("a guest with too many tables makes the search incomplete", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const upper = machine.allocate();
  machine.setEntry(root, 511, upper << 12n | present);
  for (let slot = 0; slot < 16; slot++) {
    const middle = machine.allocate();
    machine.setEntry(upper, slot, middle << 12n | present);
    for (let index = 0; index < 512; index++) {
      // Frames of no table: their number is what counts
      machine.setEntry(
        middle,
        index,
        BigInt(20 + slot * 300 + index) << 12n | present,
      );
    }
  }
  assertEquals(scan(machine, root, 5n).complete, false);
});
