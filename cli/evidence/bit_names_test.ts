import { assertEquals } from "@std/assert";
import { bitNames } from "./bit_names.ts";

Deno.test("bits of control registers have their names", () => {
  assertEquals(bitNames("cr0", 0x8005_0033n), [
    ...["PE", "MP", "ET", "NE", "WP", "AM", "PG"],
  ]);
  assertEquals(bitNames("cr4", 1n << 20n | 1n << 21n), ["SMEP", "SMAP"]);
  assertEquals(bitNames("rflags", 0x246n), ["PF", "ZF", "IF"]);
});

Deno.test("other registers have no bits of a name", () => {
  assertEquals(bitNames("rax", 0xffn), []);
});
