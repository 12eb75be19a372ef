import { assertEquals, assertThrows } from "@std/assert";
import { decodeInstruction } from "./decode_instruction.ts";
import { nop } from "./nops.ts";

Deno.test("a NOP is one instruction of its length", () => {
  for (let length = 1; length <= 11; length++) {
    const bytes = nop(length);
    assertEquals(bytes.length, length);
    const decoded = decodeInstruction(bytes, 0);
    assertEquals(decoded?.length, length);
    assertEquals(
      [decoded?.map, decoded?.opcode],
      length < 3 ? [1, 0x90] : [2, 0x1f],
    );
  }
});

Deno.test("who changes a NOP changes no other", () => {
  nop(5).fill(0xcc);
  assertEquals([...nop(5)], [0x0f, 0x1f, 0x44, 0x00, 0x00]);
});

Deno.test("there is no NOP of no bytes, of 12 or of half a byte", () => {
  for (const length of [0, 12, -1, 1.5, NaN]) {
    assertThrows(() => nop(length), RangeError, `NOP of ${length} bytes`);
  }
});
