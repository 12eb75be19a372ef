import { assertEquals } from "@std/assert";
import { firstIndex } from "./first_index.ts";

Deno.test("the first position that fits is found, wherever it is", () => {
  for (let length = 0; length < 20; length++) {
    for (let first = 0; first <= length; first++) {
      assertEquals(firstIndex(length, (index) => index >= first), first);
    }
  }
});
