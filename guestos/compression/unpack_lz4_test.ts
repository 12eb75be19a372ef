import { assertThrows } from "@std/assert";
import { assertSameBytes } from "../testing/assert_same_bytes.ts";
import { pipeThrough } from "../testing/pipe_through.ts";
import { seededRandom } from "../testing/seeded_random.ts";
import { unpackLz4 } from "./unpack_lz4.ts";

/** A file of one block. */
function file(...block: number[]): Uint8Array {
  return Uint8Array.of(2, 0x21, 0x4c, 0x18, block.length, 0, 0, 0, ...block);
}

function refused(packed: Uint8Array, size: number, message: string) {
  assertThrows(() => unpackLz4(packed, size, "It"), SyntaxError, message);
}

Deno.test("literals and matches are unpacked, also those that overlap", () => {
  // Two literals, then nine bytes from two bytes before, then one literal
  const packed = file(0x25, 0x61, 0x62, 2, 0, 0x10, 0x2e);
  const expected = new TextEncoder().encode("abababababa.");
  assertSameBytes(unpackLz4(packed, expected.length, "It"), expected);
});

Deno.test("what lz4 packs in several blocks is unpacked", async () => {
  const random = seededRandom(3);
  const size = 20_000_000;
  const original = new Uint8Array(size);
  // Every other 64 KiB cannot be packed
  for (let at = 0; at < size; at++) {
    original[at] = at & 0x10000 ? random(256) : at >> 7;
  }
  const packed = await pipeThrough(original, "lz4", "-l", "-9", "-", "-");
  assertSameBytes(unpackLz4(packed, size, "It"), original);
});

Deno.test("another frame format of LZ4 is refused", async () => {
  const packed = await pipeThrough(new Uint8Array(100), "lz4", "-", "-");
  refused(packed, 100, "It does not begin with the magic of LZ4's legacy");
  refused(new Uint8Array(3), 1, "It does not begin with the magic");
});

Deno.test("a match from before its block is refused", () => {
  refused(file(0x10, 0x61, 2, 0, 0x10, 0x2e), 6, "begins before its block");
  refused(file(0x10, 0x61, 0, 0, 0x10, 0x2e), 6, "begins before its block");
});

Deno.test("a block that ends too early is refused", () => {
  for (
    const block of [
      [],
      [0x20, 0x61],
      [0xf0, 0xff],
      [0x10, 0x61, 1],
      [0x1f, 0x61, 1, 0, 0xff],
      [0x10, 0x61, 1, 0],
    ]
  ) {
    refused(file(...block), 1000, "It has a block that ends too early");
  }
});

Deno.test("no byte is written that the size leaves no place for", () => {
  const packed = file(0x25, 0x61, 0x62, 2, 0, 0x10, 0x2e);
  for (const size of [1, 2, 10, 11]) {
    refused(packed, size, `unpacks to more than the ${size} bytes it may`);
  }
  // Told before anything is written: the length may be huge
  const match = file(0x1f, 0x61, 1, 0, 0xff, 0xff, 0);
  refused(match, 100, "unpacks to more than the 100 bytes it may");
  refused(packed, 13, "It unpacks to 12 bytes, not to the 13 bytes it states");
});

Deno.test("a block that follows a short one is refused", () => {
  const block = [0x10, 0x2e];
  const two = Uint8Array.of(...file(...block), 2, 0, 0, 0, ...block);
  refused(two, 2, "It goes on after its last block");
});

Deno.test("a block that the file does not hold is refused", () => {
  const packed = file(0x10, 0x2e);
  for (let size = 5; size < packed.length; size++) {
    refused(packed.subarray(0, size), 1, "It ends too early");
  }
});
