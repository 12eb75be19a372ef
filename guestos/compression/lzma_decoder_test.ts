import { assertEquals } from "@std/assert";
import { LzmaDecoder } from "./lzma_decoder.ts";
import { RangeDecoder } from "./range_decoder.ts";

Deno.test("parameters that LZMA2 does not have are refused", () => {
  const none = new Uint8Array();
  const decoder = new LzmaDecoder(new RangeDecoder(none), none, 0);
  // The coding is: context bits + 9 * (place bits + 5 * position bits)
  for (let byte = 0; byte < 256; byte++) {
    const literalBits = byte % 9 + Math.floor(byte / 9) % 5;
    assertEquals(
      decoder.setParameters(byte),
      literalBits <= 4 && byte < 225,
      `${byte}`,
    );
  }
});
