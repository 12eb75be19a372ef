import { assertEquals } from "@std/assert";
import { KernelSymbols } from "./kernel_symbols.ts";
import { kernelSymbols } from "./testing/kernel_symbols.ts";

const BASE = 0xffff_ffff_8100_0000n;

const list = [
  { name: "cpu_number", type: "A", address: 0x1_2340n },
  { name: "_text", type: "T", address: BASE },
  { name: "probe", type: "t", address: BASE + 0x10n },
  { name: "probe", type: "t", address: BASE + 0x20n },
  { name: "probe_one", type: "T", address: BASE + 0x20n },
  { name: "read", type: "t", address: BASE + 0x30n },
  { name: "read", type: "T", address: BASE + 0x40n },
  { name: "read", type: "W", address: BASE + 0x7000_0050n },
];
const symbols = KernelSymbols.from(list);

Deno.test("symbols come back as they were given, all or one by one", () => {
  assertEquals([...symbols], list);
  assertEquals(symbols.size, list.length);
  assertEquals(symbols.at(4), list[4]);
  assertEquals(symbols.address(5), BASE + 0x30n);
  assertEquals(String.fromCharCode(symbols.type(6)), "T");
  assertEquals([1, 2, 7].map((at) => symbols.isGlobal(at)), [
    true,
    false,
    true,
  ]);
  assertEquals([...KernelSymbols.from([])], []);
});

Deno.test("of one name the first that other files see is found, else the first", () => {
  const cases = { probe: 2, read: 6, probe_one: 4, _text: 1, cpu_number: 0 };
  for (const [name, position] of Object.entries(cases)) {
    assertEquals(symbols.find(name), position, name);
  }
  for (const name of ["", "prob", "probe_", "probe_ones", "Ttext", "é"]) {
    assertEquals(symbols.find(name), undefined, name);
    assertEquals(KernelSymbols.from([]).find(name), undefined, name);
  }
});

Deno.test("what does not fit is passed over", () => {
  assertEquals(symbols.find("read", (at) => at !== 6), 7);
  assertEquals(symbols.find("read", (at) => at < 6), 5);
  assertEquals(symbols.find("read", () => false), undefined);
});

Deno.test("each of many names is found, and no other", () => {
  const many = kernelSymbols({ count: 5000, base: BASE });
  const table = KernelSymbols.from(many);
  for (const [position, { name }] of many.entries()) {
    assertEquals(table.find(name), position);
    assertEquals(table.find(`${name}_`), undefined);
  }
});

Deno.test("names that begin alike are listed in their order", () => {
  assertEquals([...symbols.beginning("probe")], [2, 3, 4]);
  assertEquals([...symbols.beginning("probe_one")], [4]);
  assertEquals([...symbols.beginning("probe_ones")], []);
});

Deno.test("distances have a sign, and may be far", () => {
  const distances = [...symbols.distances(BASE + 0x20n)];
  assertEquals(distances.slice(1), [
    -0x20,
    -0x10,
    0,
    0,
    0x10,
    0x20,
    0x7000_0030,
  ]);
  assertEquals(distances[0], Number(0x1_2340n - BASE - 0x20n));
});
