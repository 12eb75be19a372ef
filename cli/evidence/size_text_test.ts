import { assertEquals } from "@std/assert";
import { sizeText } from "./size_text.ts";

Deno.test("sizes are told in the unit that suits them", () => {
  assertEquals(sizeText(0), "0 bytes");
  assertEquals(sizeText(4096), "4 KiB");
  assertEquals(sizeText(4.5 * 2 ** 30), "4.5 GiB");
  assertEquals(sizeText(2 ** 53), "8192 TiB");
});
