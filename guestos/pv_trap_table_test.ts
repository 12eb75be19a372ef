import { assertEquals } from "@std/assert";
import { ElfFile } from "./elf_file.ts";
import { pvTrapTable } from "./pv_trap_table.ts";
import { elfImage } from "./testing/elf_image.ts";

const TABLE = 0xffffffff80002000n;

function elf(entries: [vector: number, address: bigint][], memorySize = 4096n) {
  const bytes = new Uint8Array(16 * entries.length);
  const view = new DataView(bytes.buffer);
  for (const [i, [vector, address]] of entries.entries()) {
    view.setUint8(16 * i, vector);
    view.setUint8(16 * i + 1, 3);
    view.setUint16(16 * i + 2, 0xe033, true);
    view.setBigUint64(16 * i + 8, address, true);
  }
  return new ElfFile(
    elfImage({ loads: [{ address: TABLE, bytes, memorySize }] }).bytes,
  );
}

Deno.test("the handlers are read up to the entry with address 0", () => {
  assertEquals(
    pvTrapTable(
      elf([[0, 0xffffffff80000100n], [14, 0xffffffff80000200n], [0, 0n], [
        3,
        1n,
      ]]),
      TABLE,
    ),
    new Map([[0, 0xffffffff80000100n], [14, 0xffffffff80000200n]]),
  );
});

Deno.test("a table that the kernel fills later, or no table, has no handlers", () => {
  assertEquals(pvTrapTable(elf([]), TABLE), new Map());
  assertEquals(pvTrapTable(elf([]), 0n), new Map());
});

Deno.test("a table without an end stops where the file or the vectors stop", () => {
  assertEquals(pvTrapTable(elf([[1, 1n], [2, 2n]], 32n), TABLE).size, 2);
  const endless = Array.from(
    { length: 400 },
    (_, i): [number, bigint] => [i % 256, BigInt(i + 1)],
  );
  const handlers = pvTrapTable(elf(endless, 6400n), TABLE);
  assertEquals(handlers.size, 256);
  assertEquals(handlers.get(0), 1n);
});
