import { assert, assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { libc } from "./ffi.ts";
import { FrameMapping, mapRange } from "./frame_mapping.ts";
import { PAGE_SIZE } from "./layouts.ts";
import { openFirst, sonames } from "./libraries.ts";

const realLibc = openFirst(sonames.libc, libc);
const START = 0xffff_8880_0000_0000n;

/** Two frames, filled with ones and twos, and how often they were given back. */
function setUp() {
  const memory = new Uint8Array(2 * PAGE_SIZE).fill(1).fill(2, PAGE_SIZE);
  const given = { back: 0 };
  const pointer = Deno.UnsafePointer.of(memory)!;
  const mapping = new FrameMapping(realLibc, pointer, 2, () => given.back++);
  return { memory, mapping, given };
}

Deno.test("a mapping is the memory itself", () => {
  const { memory, mapping } = setUp();
  const bytes = new Uint8Array(mapping.bytes);
  assertEquals([mapping.pages, bytes.length], [2, 2 * PAGE_SIZE]);
  memory[PAGE_SIZE] = 9;
  assertEquals([bytes[0], bytes[PAGE_SIZE]], [1, 9]);
});

Deno.test("a comparison sees one byte at either end", () => {
  const { memory, mapping } = setUp();
  const trusted = memory.slice();
  const second = trusted.slice(PAGE_SIZE);
  assert(mapping.equals(0, trusted));
  assert(mapping.equals(PAGE_SIZE, second));
  for (const at of [0, 2 * PAGE_SIZE - 1]) {
    memory[at]! ^= 1;
    assert(!mapping.equals(0, trusted));
    assertEquals(mapping.equals(PAGE_SIZE, second), at === 0);
    memory[at]! ^= 1;
  }
  assert(mapping.equals(0, trusted));
});

Deno.test("a part of a mapping is compared where it lies", () => {
  const { mapping } = setUp();
  assert(mapping.equals(PAGE_SIZE - 2, Uint8Array.of(1, 1, 2, 2)));
  assert(!mapping.equals(PAGE_SIZE - 1, Uint8Array.of(1, 1, 2, 2)));
  assert(mapping.equals(2 * PAGE_SIZE, new Uint8Array()));
});

Deno.test("a comparison cannot leave the mapping", () => {
  const { mapping } = setUp();
  for (const [offset, length] of [[-1, 1], [8192, 1], [1, 8192]] as const) {
    assertThrows(
      () => mapping.equals(offset, new Uint8Array(length)),
      RangeError,
    );
  }
});

Deno.test("a mapping is given back once and not used afterwards", () => {
  const { mapping, given } = setUp();
  assertEquals(given.back, 0);
  mapping.unmap();
  mapping.unmap();
  assertEquals(given.back, 1);
  assertThrows(() => mapping.bytes, TypeError);
  assertThrows(() => mapping.equals(0, new Uint8Array(1)), TypeError);
});

Deno.test("a range is mapped in the order given", () => {
  const { mapping } = setUp();
  let asked: readonly bigint[] = [];
  const frames = {
    map(list: readonly bigint[]) {
      asked = list;
      return mapping;
    },
  };
  assertEquals(mapRange(frames, START, [7n, 5n]) === mapping, true);
  assertEquals(asked, [7n, 5n]);
});

Deno.test("a range that is refused is told by its first bad address", () => {
  const error = assertThrows(
    () => mapRange({ map: () => [1, 2] }, START, [2n, 1n, 1n]),
    UnreadableMemoryError,
  );
  assertEquals([error.address, error.reason], [START + 0x1000n, "no-frame"]);
});
