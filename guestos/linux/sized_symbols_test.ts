import { assertEquals } from "@std/assert";
import { type GuestSymbol, SymbolTable } from "../symbol_table.ts";
import { seededRandom } from "../testing/seeded_random.ts";
import { type KernelSymbol, KernelSymbols } from "./kernel_symbols.ts";
import { SizedSymbols } from "./sized_symbols.ts";
import { kernelSymbols } from "./testing/kernel_symbols.ts";

const BASE = 0xffff_ffff_8100_0000n;

function tableOf(symbols: readonly KernelSymbol[]): SymbolTable {
  return new SymbolTable(new SizedSymbols(KernelSymbols.from(symbols)));
}

/** The same as a list with sizes. */
function listOf(symbols: readonly KernelSymbol[]): SymbolTable {
  return new SymbolTable(
    symbols.map(({ name, type, address }): GuestSymbol => {
      const next = symbols.find((symbol) => symbol.address > address);
      const size = next === undefined ? 0 : Number(next.address - address);
      return {
        name,
        address,
        size: size < 2 ** 28 ? size : 0,
        global: type < "a",
      };
    }),
  );
}

Deno.test("a kernel's symbols tell addresses and names as a list of them does", () => {
  const random = seededRandom(7);
  for (let seed = 1; seed <= 4; seed++) {
    const symbols = kernelSymbols({ count: 300, base: BASE, perCpu: 20, seed });
    const table = tableOf(symbols);
    const list = listOf(symbols);
    assertEquals(table.size, list.size);
    for (const { name, address } of symbols) {
      assertEquals(table.get(name), list.get(name));
      for (const at of [address - 1n, address, address + BigInt(random(99))]) {
        assertEquals(table.describe(at), list.describe(at));
      }
    }
  }
});

Deno.test("a symbol reaches to the next address, unless that is far away", () => {
  const table = tableOf([
    { name: "per_cpu", type: "A", address: 0x100n },
    { name: "_text", type: "T", address: BASE },
    { name: "start", type: "t", address: BASE },
    { name: "last", type: "t", address: BASE + 0x80n },
  ]);
  assertEquals(table.get("_text")?.size, 0x80);
  assertEquals(table.get("start")?.size, 0x80);
  assertEquals(table.get("per_cpu")?.size, 0);
  assertEquals(table.get("last")?.size, 0);
  assertEquals(table.describe(BASE + 0x7fn), "_text+0x7f");
  assertEquals(table.describe(BASE + 0x90n), "last+0x10");
  assertEquals(table.describe(0x50n), "0x50");
  assertEquals(tableOf([]).describe(BASE), "0xffffffff81000000");
});
