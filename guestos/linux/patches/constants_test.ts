import { assertEquals } from "@std/assert";
import { BASE, hex, ImageBuilder } from "../testing/image_builder.ts";
import { patchingOf } from "../testing/patching.ts";
import { patchConstants } from "./constants.ts";

const VARIABLE = 0x6000;
const HEAP = 0xffff_8881_2345_6780n;

function pointer(value: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes;
}

/** What stands at two sites of a pointer afterwards. */
function pointers(
  symbol: string | undefined,
  found: readonly [bigint, bigint],
): [bigint, bigint] {
  const builder = new ImageBuilder();
  builder.relative("runtime_ptr_dentry_hashtable", 0x5000, [0x100, 0x200]);
  if (symbol !== undefined) builder.data({ [symbol]: VARIABLE });
  const patching = patchingOf(builder, {
    guest: new Map([
      [VARIABLE, pointer(HEAP)],
      [0x100, pointer(found[0])],
      [0x200, pointer(found[1])],
    ]),
  });
  patchConstants(patching);
  const { view } = patching.image;
  return [view.getBigUint64(0x100, true), view.getBigUint64(0x200, true)];
}

Deno.test("a pointer that has a symbol is taken from its variable, whatever the sites show", () => {
  assertEquals(pointers("dentry_hashtable", [1n, HEAP + 8n]), [HEAP, HEAP]);
});

Deno.test("a pointer without a symbol is what all sites agree on", () => {
  const other = HEAP + 0x1000n;
  assertEquals(pointers(undefined, [other, other]), [other, other]);
  assertEquals(pointers(undefined, [other, HEAP]), [0n, 0n]);
});

Deno.test("what cannot be a pointer into the heap is not taken over", () => {
  for (
    const value of [
      BASE + 0x100n,
      HEAP + 1n,
      0x7fff_ffff_f000n,
      2n ** 64n - 8n,
    ]
  ) {
    assertEquals(pointers(undefined, [value, value]), [0n, 0n]);
  }
});

Deno.test("a shift is one byte, taken from its variable", () => {
  const builder = new ImageBuilder();
  builder.put(0x100, hex("48 d3 e8 00 ee"));
  builder.relative("runtime_shift_d_hash_shift", 0x5000, [0x103])
    .relative("runtime_shift_unknown", 0x5100, [0x104])
    .data({ d_hash_shift: VARIABLE });
  const patching = patchingOf(builder, {
    guest: new Map([[VARIABLE, hex("2a 01 00 00")]]),
  });
  patchConstants(patching);
  assertEquals(patching.text.subarray(0x100, 0x105), hex("48 d3 e8 2a ee"));
});

Deno.test("sites in code that was freed, and padding, are left out", () => {
  const builder = new ImageBuilder();
  builder.relative("runtime_ptr_x", 0x5000, [0x1ff9, 0x5004])
    .data({ x: VARIABLE });
  const patching = patchingOf(builder, {
    guest: new Map([[VARIABLE, pointer(HEAP)]]),
  });
  const before = patching.text.slice();
  patchConstants(patching);
  assertEquals(patching.text, before);
});
