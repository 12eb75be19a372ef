import { assertEquals } from "@std/assert";
import { pageWords } from "./page_words.ts";

Deno.test("bytes become the words they lie in, with what is there beside them", () => {
  const now = new Uint8Array(4096).fill(0x11);
  const bytes = new Uint8Array(9).fill(0xee);
  assertEquals(pageWords(7n, now, 14, bytes), [
    { table: 7n, index: 1, entry: 0xeeee_1111_1111_1111n },
    { table: 7n, index: 2, entry: 0x11ee_eeee_eeee_eeeen },
  ]);
  assertEquals(now, new Uint8Array(4096).fill(0x11));
});
