import { assert, assertEquals, assertThrows } from "@std/assert";
import { ModuleFile, UNDEFINED } from "./module_file.ts";
import { moduleObject, onFile } from "./testing/module_object.ts";

const bytes = await moduleObject();

Deno.test("what gcc compiles is read as it was written", () => {
  const file = new ModuleFile("lab.ko", bytes);
  assertEquals(file.depends, ["one", "two_three"]);
  assertEquals(file.buildId.slice(-4).toHex(), "78563412");
  const text = file.sections.findIndex(({ name }) => name === ".text");
  const exports = [...file.symbols()].filter(({ global, section }) =>
    global && section !== UNDEFINED
  );
  assertEquals(exports, [{
    name: "first",
    section: text,
    value: 0,
    global: true,
  }]);
  const relocations = [...file.relocations(text)].map((
    { offset, type, symbol, addend },
  ) => [offset, type, file.symbol(symbol).section, addend]);
  const [PC32, PLT32, S32] = [2, 4, 11];
  assert([PC32, PLT32].includes(Number(relocations[0]![1])));
  assertEquals(relocations[0]!.toSpliced(1, 1), [1, UNDEFINED, -4n]);
  assertEquals(relocations[1], [8, S32, text, 12n]);
});

Deno.test("a file without symbols is refused", async () => {
  const stripped = await onFile(bytes, "strip $f");
  assertThrows(
    () => new ModuleFile("lab.ko", stripped),
    SyntaxError,
    "lab.ko has no table of symbols",
  );
});

Deno.test("a file whose sections overlap is refused", () => {
  const { sections } = new ModuleFile("lab.ko", bytes);
  const names = sections.findIndex(({ name }) => name === ".strtab");
  const view = new DataView(bytes.slice().buffer);
  const headers = Number(view.getBigUint64(40, true));
  view.setBigUint64(headers + names * 64 + 24, 0n, true);
  view.setBigUint64(headers + names * 64 + 32, BigInt(bytes.length), true);
  assertThrows(
    () => new ModuleFile("lab.ko", new Uint8Array(view.buffer)),
    SyntaxError,
    "lab.ko has sections that overlap",
  );
});
