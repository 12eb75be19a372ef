import { assertEquals } from "@std/assert";
import { littleEndian } from "./little_endian.ts";

Deno.test("the lowest byte comes first", () => {
  assertEquals(
    littleEndian(0x0102_0304_0506_0708n),
    Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1),
  );
  assertEquals(littleEndian(2n ** 64n - 1n), new Uint8Array(8).fill(0xff));
});
