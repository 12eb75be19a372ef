import { assertEquals } from "@std/assert";
import { hex } from "./testing/image_builder.ts";
import { unnamedProgram } from "./unnamed_program.ts";

/** The first page of a program. */
function page(
  { pages = 1, traps = 40, code = "0f 1f 44 00 00 55" } = {},
): Uint8Array {
  const bytes = new Uint8Array(4096);
  new DataView(bytes.buffer).setUint32(0, pages, true);
  bytes.fill(0xcc, 4, 4 + traps);
  bytes.set(hex(code), 4 + traps);
  return bytes;
}

Deno.test("a program is known by its header, its traps and its first instructions", () => {
  assertEquals(unnamedProgram(page()), 1);
  assertEquals(unnamedProgram(page({ pages: 3, traps: 0 })), 3);
  assertEquals(unnamedProgram(page({ traps: 4000 })), 1);
  // xor %eax, %eax stands before the frame in some
  assertEquals(unnamedProgram(page({ code: "0f 1f 44 00 00 31 c0 55" })), 1);
});

Deno.test("a number of pages that no program has is none", () => {
  assertEquals(unnamedProgram(page({ pages: 0 })), 0);
  assertEquals(unnamedProgram(page({ pages: 256 })), 256);
  assertEquals(unnamedProgram(page({ pages: 257 })), 0);
  assertEquals(unnamedProgram(page({ pages: 2 ** 32 - 1 })), 0);
});

Deno.test("other code is none", () => {
  for (
    const code of [
      "90 0f 1f 44 00 00 55",
      "0f 1f 44 00 00 90",
      "0f 1f 44 00 00 31 c0 90 55",
      "e8 00 00 00 00 55",
    ]
  ) assertEquals(unnamedProgram(page({ code })), 0, code);
});

Deno.test("a page that ends in its traps is none, nor one of another kind", () => {
  assertEquals(unnamedProgram(page({ traps: 4092, code: "" })), 0);
  assertEquals(
    unnamedProgram(page({ traps: 4087, code: "0f 1f 44 00 00" })),
    0,
  );
  assertEquals(unnamedProgram(new Uint8Array(4096).fill(0xcc)), 0);
  assertEquals(unnamedProgram(new Uint8Array(4096)), 0);
});
