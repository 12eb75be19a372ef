import { assertEquals } from "@std/assert";
import { pageAlignedCopy } from "./page_aligned_copy.ts";

Deno.test("a copy holds the same bytes, from the start of a page on", () => {
  for (const length of [1, 4096, 20_480, 1 << 20]) {
    const bytes = new Uint8Array(length).map((_, index) => index * 7);
    const copy = pageAlignedCopy(bytes);
    assertEquals(copy, bytes);
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(copy));
    assertEquals(BigInt(address) % 4096n, 0n);
    copy[0] = copy[0]! ^ 1;
    assertEquals(bytes[0], 0);
  }
});
