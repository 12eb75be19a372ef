import { assert, assertEquals } from "@std/assert";
import {
  entryBits,
  type Levels,
  type ReadEntry,
  walkPageTables,
} from "./page_walk.ts";

const { present, writable, user, large, noExecute } = entryBits;

/** Page tables in memory: frame to its 512 entries. */
class Tables {
  readonly frames = new Map<bigint, BigUint64Array>();
  #next = 1n;

  add(): bigint {
    const frame = this.#next++;
    this.frames.set(frame, new BigUint64Array(512));
    return frame;
  }

  /** Links tables for an address down to `level` and puts an entry there. */
  map(
    root: bigint,
    address: bigint,
    levels: Levels,
    level: number,
    entry: bigint,
  ) {
    let table = root;
    for (let at: number = levels; at > level; at--) {
      const entries = this.frames.get(table)!;
      const index = Number((address >> BigInt(12 + 9 * (at - 1))) & 0x1ffn);
      if (entries[index] === 0n) {
        entries[index] = (this.add() << 12n) | present | writable | user;
      }
      table = entries[index]! >> 12n;
    }
    const index = Number((address >> BigInt(12 + 9 * (level - 1))) & 0x1ffn);
    this.frames.get(table)![index] = entry;
  }

  readonly read: ReadEntry = (table, index) => this.frames.get(table)?.[index];
}

const KERNEL: readonly [Levels, bigint][] = [
  [4, 0xffff_ffff_8000_5000n],
  [5, 0xff11_0000_1234_5000n],
];

for (const [levels, address] of KERNEL) {
  Deno.test(`walkPageTables() finds a 4 KiB page through ${levels} levels`, () => {
    const tables = new Tables();
    const root = tables.add();
    tables.map(root, address, levels, 1, (0x777n << 12n) | present | writable);
    const walk = walkPageTables(tables.read, root, address + 0x123n, levels);
    assert(walk.kind === "mapped");
    assertEquals(walk.frame, 0x777n);
    assertEquals(walk.pageSize, 4096);
    assertEquals(walk.steps.length, levels);
    assertEquals(walk.steps.map(({ level }) => level).at(-1), 1);
    assertEquals([walk.writable, walk.user, walk.executable], [
      true,
      false,
      true,
    ]);
  });

  Deno.test(`walkPageTables() finds a 2 MiB page through ${levels} levels`, () => {
    const tables = new Tables();
    const root = tables.add();
    const entry = 0x4000_0000n | 0x1000n | present | large | noExecute;
    tables.map(root, address, levels, 2, entry);
    const walk = walkPageTables(tables.read, root, address, levels);
    assert(walk.kind === "mapped");
    assertEquals(walk.pageSize, 2 << 20);
    assertEquals(walk.frame, 0x40000n + ((address >> 12n) & 0x1ffn));
    assertEquals([walk.writable, walk.executable], [false, false]);
  });

  Deno.test(`walkPageTables() finds a 1 GiB page through ${levels} levels`, () => {
    const tables = new Tables();
    const root = tables.add();
    tables.map(
      root,
      address,
      levels,
      3,
      (1n << 30n) | present | writable | large,
    );
    const walk = walkPageTables(tables.read, root, address, levels);
    assert(walk.kind === "mapped");
    assertEquals(walk.pageSize, 1 << 30);
    assertEquals(walk.frame, 0x40000n + ((address >> 12n) & 0x3ffffn));
  });

  Deno.test(`walkPageTables() says at which of ${levels} levels nothing is present`, () => {
    const tables = new Tables();
    const root = tables.add();
    tables.map(root, address, levels, 2, 0n);
    const walk = walkPageTables(tables.read, root, address, levels);
    assertEquals(walk.kind, "not-present");
    assertEquals(walk.steps.at(-1)?.level, 2);
  });
}

Deno.test("walkPageTables() refuses what is not canonical", () => {
  const never: ReadEntry = () => {
    throw new Error("No table may be read");
  };
  const cases: [bigint, Levels][] = [
    [0x0000_8000_0000_0000n, 4],
    [0xffff_7fff_ffff_ffffn, 4],
    [0x0100_0000_0000_0000n, 5],
    [0xfeff_ffff_ffff_ffffn, 5],
    [1n << 64n, 4],
    [-1n, 4],
  ];
  for (const [address, levels] of cases) {
    assertEquals(
      walkPageTables(never, 1n, address, levels).kind,
      "non-canonical",
    );
  }
});

Deno.test("walkPageTables() takes a 57-bit address only with 5 levels", () => {
  const read: ReadEntry = () => present;
  const address = 0xff11_0000_1234_5000n;
  assertEquals(walkPageTables(read, 1n, address, 4).kind, "non-canonical");
  assertEquals(walkPageTables(read, 1n, address, 5).kind, "mapped");
});

Deno.test("walkPageTables() takes permissions of upper levels into account", () => {
  const tables = new Tables();
  const root = tables.add();
  const address = 0xffff_8800_0000_0000n;
  tables.map(root, address, 4, 1, (5n << 12n) | present | writable | user);
  const top = tables.frames.get(root)!;
  top[272] = (top[272]! & ~writable) | noExecute;
  const walk = walkPageTables(tables.read, root, address, 4);
  assert(walk.kind === "mapped");
  assertEquals([walk.writable, walk.user, walk.executable], [
    false,
    true,
    false,
  ]);
});

Deno.test("walkPageTables() ends on tables that point to themselves", () => {
  const walk = walkPageTables(() => (1n << 12n) | present, 1n, 0n, 5);
  assertEquals(walk.steps.length, 5);
});

Deno.test("walkPageTables() says that a table's frame cannot be read", () => {
  const read: ReadEntry = (table) =>
    table === 1n ? (9n << 12n) | present : undefined;
  const walk = walkPageTables(read, 1n, 0n, 4);
  assertEquals(walk.kind, "no-frame");
  assertEquals(walk.steps.length, 1);
});
