import { assert, assertEquals, assertLess } from "@std/assert";
import { libc } from "./ffi.ts";
import { FrameMapping, type FrameSource } from "./frame_mapping.ts";
import { openFirst, sonames } from "./libraries.ts";
import { mappedRanges } from "./mapped_ranges.ts";
import { entryBits, type Levels } from "./page_walk.ts";
import { TableCache } from "./table_cache.ts";

const { present, writable, large, noExecute } = entryBits;
const realLibc = openFirst(sonames.libc, libc);

const K = 1n << 12n;
const M = 1n << 21n;
const G = 1n << 30n;

/** The kernel half by levels, and an address in it, 512 GiB aligned */
const HALVES: readonly [levels: Levels, start: bigint, address: bigint][] = [
  [4, 0xffff_8000_0000_0000n, 0xffff_8880_0000_0000n],
  [5, 0xff00_0000_0000_0000n, 0xff11_0080_0000_0000n],
];
const END = 1n << 64n;
const [[, KERNEL, ADDRESS]] = HALVES as [typeof HALVES[0]];

/** Page tables in memory; a mapping of them that was given back is rubbish. */
class Tables implements FrameSource {
  #next = 1n;
  readonly frames = new Map<bigint, BigUint64Array<ArrayBuffer>>();
  readonly root = this.add();
  /** All frames that were not added are tables without entries */
  endless = false;
  /** Held: whoever uses one too late must see rubbish, not end the process */
  #buffers: BigUint64Array<ArrayBuffer>[] = [];

  constructor(readonly levels: Levels = 4) {}

  add(frame?: bigint): bigint {
    frame ??= this.#next++;
    this.frames.set(frame, new BigUint64Array(512));
    return frame;
  }

  map(frames: readonly bigint[]): FrameMapping | number[] {
    const missing = [...frames.keys()].filter((at) =>
      !this.endless && !this.frames.has(frames[at]!)
    );
    if (missing.length > 0) return missing;
    const words = new BigUint64Array(frames.length * 512);
    frames.forEach((frame, at) => {
      const entries = this.frames.get(frame);
      if (entries !== undefined) words.set(entries, at * 512);
    });
    this.#buffers.push(words);
    return new FrameMapping(
      realLibc,
      Deno.UnsafePointer.of(words)!,
      frames.length,
      () => void words.fill(0x666n << 12n | present),
    );
  }

  /** Table and index of an address's entry of a level; makes tables. */
  at(address: bigint, level: number): [BigUint64Array, number] {
    let table = this.root;
    for (let at: number = this.levels;; at--) {
      const index = Number((address >> BigInt(12 + 9 * (at - 1))) & 0x1ffn);
      const entries = this.frames.get(table)!;
      if (at === level) return [entries, index];
      if (entries[index] === 0n) {
        entries[index] = this.add() << 12n | present | writable;
      }
      table = (entries[index]! & ~noExecute) >> 12n;
    }
  }

  /** Puts an entry for an address; one that maps a page where left out. */
  set(address: bigint, level = 1, entry = present | writable): void {
    const [entries, index] = this.at(address, level);
    entries[index] = entry;
  }

  /** What is mapped in a range, in words: `1000+2000 wx`, by its start. */
  ranges(start: bigint, end: bigint, onlyExecutable = false) {
    const { complete, ranges } = this.look(start, end, onlyExecutable);
    return [
      ...ranges.map(({ start: at, size, writable, executable }) =>
        `${(at - start).toString(16)}+${size.toString(16)} ` +
        `${writable ? "w" : "-"}${executable ? "x" : "-"}`
      ),
      ...(complete ? [] : ["incomplete"]),
    ];
  }

  look(start: bigint, end: bigint, onlyExecutable = false) {
    const tables = new TableCache(this);
    const { root, levels } = this;
    return mappedRanges(tables, root, start, end, levels, onlyExecutable);
  }
}

for (const [levels, half, address] of HALVES) {
  Deno.test(`pages of every size are told through ${levels} levels`, () => {
    const tables = new Tables(levels);
    tables.set(address, 3, present | large | writable);
    tables.set(address + 2n * G, 2, present | large | noExecute);
    tables.set(address + 2n * G + 2n * M);
    assertEquals(tables.ranges(address, address + 3n * G), [
      "0+40000000 wx",
      "80000000+200000 --",
      "80400000+1000 wx",
    ]);
  });

  Deno.test(`the first and the last page of the half are told through ${levels} levels`, () => {
    const tables = new Tables(levels);
    for (const at of [half, address, END - K]) tables.set(at);
    assertEquals(
      tables.look(half, END).ranges.map(({ start, size }) => [start, size]),
      [[half, K], [address, K], [END - K, K]],
    );
  });

  Deno.test(`each half is told for itself through ${levels} levels`, () => {
    const tables = new Tables(levels);
    const user = 1n << BigInt(11 + 9 * levels);
    const last = user - K;
    for (const at of [0n, last, half]) tables.set(at);
    assertEquals(tables.ranges(half, END), ["0+1000 wx"]);
    assertEquals(
      tables.look(0n, user).ranges.map(({ start }) => start),
      [0n, last],
    );
  });

  Deno.test(`a page needs the permission of each of ${levels} levels`, () => {
    for (let level: number = levels; level > 0; level--) {
      const tables = new Tables(levels);
      tables.set(address);
      const [entries, index] = tables.at(address, level);
      entries[index] = entries[index]! & ~writable;
      assertEquals(tables.ranges(half, END).length, 1);
      assertEquals(tables.ranges(address, END), ["0+1000 -x"]);
      entries[index] = entries[index]! | noExecute;
      assertEquals(tables.ranges(address, END), ["0+1000 --"]);
      entries[index] = entries[index]! | writable;
      assertEquals(tables.ranges(address, END), ["0+1000 w-"]);
    }
  });
}

Deno.test("a permission that a table lacks is of its own pages only", () => {
  const tables = new Tables();
  tables.set(ADDRESS);
  tables.set(ADDRESS + M);
  const [entries, index] = tables.at(ADDRESS, 2);
  entries[index] = (entries[index]! & ~writable) | noExecute;
  assertEquals(tables.ranges(ADDRESS, END), ["0+1000 --", "200000+1000 wx"]);
});

Deno.test("a range may begin and end inside a large page", () => {
  for (const [level, size] of [[2, M], [3, G]] as const) {
    const tables = new Tables();
    tables.set(ADDRESS, level, present | large);
    const [from, to] = [ADDRESS + 3n * K, ADDRESS + size - 5n * K];
    assertEquals(tables.ranges(from, to), [
      `0+${(size - 8n * K).toString(16)} -x`,
    ]);
    assertEquals(tables.ranges(from, from + K), ["0+1000 -x"]);
    assertEquals(tables.ranges(ADDRESS - K, from), ["1000+3000 -x"]);
    assertEquals(tables.ranges(to, ADDRESS + size + K), ["0+5000 -x"]);
  }
});

Deno.test("what lies before and behind a range is not told", () => {
  const tables = new Tables();
  for (const page of [0n, 1n, 2n, 3n]) tables.set(ADDRESS + page * K);
  assertEquals(tables.ranges(ADDRESS + K, ADDRESS + 3n * K), ["0+2000 wx"]);
  assertEquals(tables.ranges(ADDRESS + K, ADDRESS + K), []);
  assertEquals(tables.ranges(ADDRESS + 4n * K, END), []);
  assertEquals(tables.ranges(KERNEL, ADDRESS), []);
});

Deno.test("neighbours with the same permissions are one range, over tables and sizes", () => {
  const tables = new Tables();
  tables.set(ADDRESS + 2n * M - K);
  tables.set(ADDRESS + 2n * M, 2, present | large | writable);
  tables.set(ADDRESS + 3n * M);
  assertEquals(tables.ranges(ADDRESS, END), ["3ff000+202000 wx"]);
});

Deno.test("ranges end where a permission changes and where nothing is mapped", () => {
  const tables = new Tables();
  const flags = [
    present | writable,
    present,
    present,
    writable,
    present,
    present | noExecute,
    present | noExecute | writable,
    present | writable,
  ];
  flags.forEach((entry, page) =>
    tables.set(ADDRESS + BigInt(page) * K, 1, entry)
  );
  assertEquals(tables.ranges(ADDRESS, END), [
    "0+1000 wx",
    "1000+2000 -x",
    "4000+1000 -x",
    "5000+1000 --",
    "6000+1000 w-",
    "7000+1000 wx",
  ]);
});

Deno.test("only the second and the third level have large pages", () => {
  const tables = new Tables();
  // In the last level it is the PAT bit
  tables.set(ADDRESS, 1, present | large);
  const [entries, index] = tables.at(ADDRESS, 4);
  entries[index] = entries[index]! | large;
  assertEquals(tables.ranges(KERNEL, END).length, 1);
  assertEquals(tables.ranges(ADDRESS, END), ["0+1000 -x"]);
});

Deno.test("an entry that is not present leads nowhere, whatever else it says", () => {
  const tables = new Tables();
  for (const level of [4, 3, 2, 1]) {
    tables.set(ADDRESS + (1n << BigInt(3 + 9 * level)), level, ~present);
  }
  assertEquals(tables.ranges(ADDRESS, ADDRESS + 2n * G), []);
});

Deno.test("a table may have a frame of more than 32 bits, with flags above it", () => {
  const tables = new Tables();
  const frame = tables.add(0xab_1234_5678n);
  tables.frames.get(frame)![7] = present;
  tables.set(ADDRESS, 2, 0x7ff0n << 48n | frame << 12n | present);
  assertEquals(tables.ranges(ADDRESS, END), ["7000+1000 -x"]);
});

Deno.test("where only what is executable counts, other tables are not even looked at", () => {
  const tables = new Tables();
  tables.set(ADDRESS);
  tables.set(ADDRESS + K, 1, present | noExecute);
  tables.set(ADDRESS + 2n * K, 1, present);
  tables.set(ADDRESS + M, 2, 0x999n << 12n | present | noExecute);
  assertEquals(tables.ranges(ADDRESS, END, true), [
    "0+1000 wx",
    "2000+1000 -x",
  ]);
  assertEquals(tables.ranges(ADDRESS, END).at(-1), "incomplete");
});

Deno.test("a table that cannot be read hides no other, and is told", () => {
  const tables = new Tables();
  tables.set(ADDRESS);
  tables.set(ADDRESS + M, 2, 0x999n << 12n | present);
  tables.set(ADDRESS + 2n * M);
  assertEquals(tables.ranges(ADDRESS, ADDRESS + M), ["0+1000 wx"]);
  assertEquals(tables.ranges(ADDRESS, END), [
    "0+1000 wx",
    "400000+1000 wx",
    "incomplete",
  ]);
  tables.frames.delete(tables.root);
  assertEquals(tables.ranges(ADDRESS, END), ["incomplete"]);
});

/** Looks at tables that are made to take long, and asserts that it does not. */
function lookAtHostile(tables: Tables, onlyExecutable: boolean) {
  const started = performance.now();
  const result = tables.look(KERNEL, END, onlyExecutable);
  assertLess(performance.now() - started, 1000);
  assertEquals(result.complete, false);
  return result.ranges;
}

/** Tables of which each entry leads to the same table of the next level. */
function fanOut(leaf: (index: number) => bigint): Tables {
  const tables = new Tables();
  const chain = [tables.root, ...[3, 2, 1].map(() => tables.add())];
  chain.forEach((table, at) => {
    const child = chain[at + 1];
    for (let index = 0; index < 512; index++) {
      tables.frames.get(table)![index] = child === undefined
        ? leaf(index)
        : child << 12n | present | writable;
    }
  });
  return tables;
}

Deno.test("a table that is its own child in every entry ends the search soon", () => {
  const tables = new Tables();
  tables.frames.get(tables.root)!.fill(tables.root << 12n | present | writable);
  for (const onlyExecutable of [false, true]) {
    // All that it saw is one range, in whatever level it lies
    const [range, ...others] = lookAtHostile(tables, onlyExecutable);
    assertEquals([range!.start, others], [KERNEL, []]);
  }
});

Deno.test("a table that is its own child once is looked at as the processor does", () => {
  const tables = new Tables();
  tables.set(ADDRESS);
  tables.frames.get(tables.root)![300] = tables.root << 12n | present;
  const { ranges, complete } = tables.look(KERNEL, END);
  assertEquals(complete, true);
  // Each table once more as a page, at each place of the window
  assertEquals(ranges.length, 5);
});

Deno.test("tables that lead to the same ones over and over are looked at up to a limit", () => {
  const ranges = lookAtHostile(fanOut(() => present), false);
  assertEquals([ranges.length, ranges[0]!.start], [1, KERNEL]);
  assertEquals(lookAtHostile(fanOut(() => present | noExecute), true), []);
  assertEquals(lookAtHostile(fanOut(() => 0n), false), []);
});

Deno.test("ranges without end are told up to a limit", () => {
  const tables = fanOut((index) => index % 2 === 0 ? present : 0n);
  for (const onlyExecutable of [false, true]) {
    const ranges = lookAtHostile(tables, onlyExecutable);
    assertEquals(ranges.length, 65_536);
    assertEquals(ranges[1]!.start, KERNEL + 2n * K);
  }
});

Deno.test("as many tables as the limit says are looked at", () => {
  const tables = new Tables();
  tables.endless = true;
  // Root, one of the third level, 32 of the second one, and the rest
  let at = ADDRESS;
  for (let last = 16_384 - 34; last > 0; at += M, last--) {
    tables.set(at, 2, BigInt(0x10_0000 + last) << 12n | present);
  }
  assertEquals(tables.ranges(KERNEL, END), []);
  tables.set(at, 2, 0x20_0000n << 12n | present);
  assertEquals(tables.ranges(KERNEL, END), ["incomplete"]);
});

Deno.test("tables that are unmapped meanwhile, since there are too many, are read anew", () => {
  const tables = new Tables();
  tables.endless = true;
  const kept = new TableCache(tables);
  const pages = [0n, M, 2n * M, G, G + M, 512n * G].map((at) => ADDRESS + at);
  for (const at of pages) tables.set(at);
  // The cache overflows at one of the twelve tables, or not at all
  for (const room of [0, 1, 4, 8, 11, 12]) {
    kept.clear();
    const others = Array.from(
      { length: 16_384 - room },
      (_, index) => BigInt(0x10_0000 + index),
    );
    kept.load(others);
    const { generation } = kept;
    const { ranges, complete } = mappedRanges(
      kept,
      tables.root,
      KERNEL,
      END,
      4,
    );
    assertEquals(ranges.map(({ start }) => start), pages, `room for ${room}`);
    assert(complete);
    assertEquals(kept.generation > generation, room < 12);
  }
});
