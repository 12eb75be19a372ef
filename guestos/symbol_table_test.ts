import { assertEquals, assertLess, assertThrows } from "@std/assert";
import { type GuestSymbol, SymbolTable } from "./symbol_table.ts";
import { seededRandom } from "./testing/seeded_random.ts";

const BASE = 0xffffffff80000000n;

const kernel: GuestSymbol[] = [
  { name: "sys_call_table", address: BASE + 0x2000n, size: 2048, global: true },
  { name: "shutdown_p", address: BASE + 0x2010n, size: 8 },
  { name: "_text", address: BASE, size: 0, global: true },
  { name: "start", address: BASE, size: 0x20, global: true },
  { name: "shutdown", address: BASE + 0x100n, size: 0x40, global: true },
  { name: "retry", address: BASE + 0x110n, size: 0 },
  { name: "_end", address: BASE + 0x3000n, size: 0, global: true },
];

Deno.test("an address within a function is its name and the offset", () => {
  const table = new SymbolTable(kernel);
  assertEquals(table.describe(BASE + 0x112n), "shutdown+0x12");
});

Deno.test("an address where a symbol starts is its name alone", () => {
  assertEquals(new SymbolTable(kernel).describe(BASE + 0x100n), "shutdown");
});

Deno.test("a slot within a table is told by the slot, the rest by the table", () => {
  const table = new SymbolTable(kernel);
  assertEquals(table.describe(BASE + 0x2008n), "sys_call_table+0x8");
  assertEquals(table.describe(BASE + 0x2010n), "shutdown_p");
  assertEquals(table.describe(BASE + 0x2017n), "shutdown_p+0x7");
  assertEquals(table.describe(BASE + 0x2018n), "sys_call_table+0x18");
});

Deno.test("an address is covered by the innermost symbol with a size, if any", () => {
  const table = new SymbolTable(kernel);
  assertEquals(table.covering(BASE + 0x112n)?.name, "shutdown");
  assertEquals(table.covering(BASE + 0x2010n)?.name, "shutdown_p");
  assertEquals(table.covering(BASE + 0x150n), undefined);
  assertEquals(table.covering(0n), undefined);
});

Deno.test("a symbol with a size is preferred to a label at the same address", () => {
  assertEquals(new SymbolTable(kernel).describe(BASE), "start");
});

Deno.test("where no size covers an address the outermost symbol below tells it", () => {
  const table = new SymbolTable(kernel);
  assertEquals(table.describe(BASE + 0x150n), "shutdown+0x50");
  assertEquals(table.describe(BASE + 0x2800n), "sys_call_table+0x800");
  assertEquals(table.describe(BASE + 0x3010n), "_end+0x10");
});

Deno.test("an address far from each symbol stays a number", () => {
  const table = new SymbolTable(kernel);
  assertEquals(table.describe(BASE - 1n), "0xffffffff7fffffff");
  assertEquals(table.describe(BASE + 0x20000n), "0xffffffff80020000");
  assertEquals(table.describe(0n), "0x0");
  assertEquals(new SymbolTable([]).describe(0x12n), "0x12");
});

Deno.test("of equal symbols the global one, then the first by name is taken", () => {
  const at = { address: BASE, size: 8 };
  const symbols = [
    { ...at, name: "a_local" },
    { ...at, name: "z_global", global: true },
    { ...at, name: "y_global", global: true },
  ];
  assertEquals(new SymbolTable(symbols).describe(BASE + 1n), "y_global+0x1");
  assertEquals(
    new SymbolTable(symbols.toReversed()).describe(BASE + 1n),
    "y_global+0x1",
  );
});

Deno.test("a name gives its address, a name that is not there undefined", () => {
  const table = new SymbolTable(kernel);
  assertEquals(table.address("shutdown"), BASE + 0x100n);
  assertEquals(table.get("shutdown")?.size, 0x40);
  assertEquals(table.address("toString"), undefined);
  assertEquals(table.size, 7);
});

Deno.test("a name that several symbols have gives the global one", () => {
  const table = new SymbolTable([
    { name: "init", address: BASE, size: 1 },
    { name: "init", address: BASE + 16n, size: 1, global: true },
    { name: "init", address: BASE + 32n, size: 1 },
  ]);
  assertEquals(table.address("init"), BASE + 16n);
});

Deno.test("impossible symbols are refused", () => {
  const symbol = { name: "x", address: BASE, size: 0 };
  for (
    const bad of [
      { ...symbol, address: -1n },
      { ...symbol, address: 1n << 64n },
      { ...symbol, size: -1 },
      { ...symbol, size: NaN },
    ]
  ) {
    assertThrows(() => new SymbolTable([bad]), RangeError);
  }
  assertThrows(
    () => new SymbolTable(new Array(1_000_001).fill(symbol)),
    RangeError,
    "at most 1000000",
  );
});

Deno.test("every address is told as a search through all symbols tells it", () => {
  const random = seededRandom(2);
  for (let round = 0; round < 200; round++) {
    const symbols = Array.from({ length: 1 + random(40) }, (_, i) => ({
      name: `s${i}`,
      address: BASE + BigInt(random(100)),
      size: random(3) === 0 ? 0 : random(60),
    }));
    const table = new SymbolTable(symbols);
    for (let offset = 0n; offset < 170n; offset++) {
      const address = BASE + offset;
      const covering = symbols.filter((symbol) =>
        symbol.address <= address &&
        address < symbol.address + BigInt(symbol.size)
      );
      if (covering.length === 0) continue;
      const nearest = covering.map((symbol) => symbol.address)
        .reduce((a, b) => a > b ? a : b);
      const smallest = Math.min(
        ...covering.filter((symbol) => symbol.address === nearest)
          .map(({ size }) => size),
      );
      const told = table.get(table.describe(address).split("+")[0]!)!;
      assertEquals([told.address, told.size], [nearest, smallest]);
    }
  }
});

Deno.test("200,000 symbols are sorted and looked up within seconds", () => {
  const random = seededRandom(3);
  const symbols = Array.from({ length: 200_000 }, (_, i) => ({
    name: `function_${i}`,
    address: BASE + BigInt(random(60_000_000)),
    size: random(200),
  }));
  const started = performance.now();
  const table = new SymbolTable(symbols);
  for (const { name, address } of symbols) {
    if (table.address(name) !== address) throw new Error(`${name} moved`);
    table.describe(address);
  }
  assertLess(performance.now() - started, 10_000);
});
