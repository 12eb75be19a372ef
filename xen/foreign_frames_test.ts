import { assert, assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { XenError } from "./errors.ts";
import { ForeignFrames } from "./foreign_frames.ts";
import { FrameMapping, mapRange } from "./frame_mapping.ts";
import { Machine } from "./testing/machine.ts";

const DOMAIN = 7;

/** Two frames, filled with ones and twos, mapped the other way round. */
function setUp(machine: Machine) {
  const frames = new ForeignFrames(machine.libraries);
  const one = machine.allocate();
  const two = machine.allocate();
  machine.bytes(one).fill(1);
  machine.bytes(two).fill(2);
  const mapping = frames.map(DOMAIN, [two, one]);
  assert(mapping instanceof FrameMapping);
  return { frames, one, two, mapping };
}

Deno.test("frames lie one behind the other in the order given, live", () => {
  using machine = new Machine();
  const { mapping, one } = setUp(machine);
  const bytes = new Uint8Array(mapping.bytes);
  assertEquals([bytes.length, bytes[4095], bytes[4096]], [8192, 2, 1]);
  machine.bytes(one)[0] = 9;
  assertEquals(bytes[4096], 9);
  mapping.unmap();
});

Deno.test("a comparison sees one byte at either end", () => {
  using machine = new Machine();
  const { mapping, one, two } = setUp(machine);
  const trusted = new Uint8Array(8192).fill(2, 0, 4096).fill(1, 4096);
  assert(mapping.equals(0, trusted));
  assert(mapping.equals(4096, trusted.slice(4096)));
  for (const [frame, at] of [[two, 0], [one, 4095]] as const) {
    machine.bytes(frame)[at]! ^= 1;
    assert(!mapping.equals(0, trusted));
    machine.bytes(frame)[at]! ^= 1;
  }
  assert(mapping.equals(0, trusted));
  mapping.unmap();
});

Deno.test("a comparison cannot leave the mapping", () => {
  using machine = new Machine();
  const { mapping } = setUp(machine);
  for (const [offset, length] of [[-1, 1], [8192, 1], [1, 8192]] as const) {
    assertThrows(
      () => mapping.equals(offset, new Uint8Array(length)),
      RangeError,
    );
  }
  mapping.unmap();
});

Deno.test("a mapping is given back once and not used afterwards", () => {
  using machine = new Machine();
  const { mapping } = setUp(machine);
  assertEquals(machine.mappedPages, 2);
  mapping.unmap();
  mapping.unmap();
  assertEquals(machine.mappedPages, 0);
  assertThrows(() => mapping.bytes, TypeError);
  assertThrows(() => mapping.equals(0, new Uint8Array(1)), TypeError);
});

Deno.test("where Xen refuses frames nothing stays mapped", () => {
  using machine = new Machine();
  const { frames, one, two, mapping } = setUp(machine);
  mapping.unmap();
  machine.refused.add(one);
  assertEquals(frames.map(DOMAIN, [two, one, two, one]), [1, 3]);
  assertEquals(machine.mappedPages, 0);
});

Deno.test("a range that is refused is told by its first bad address", () => {
  using machine = new Machine();
  const { frames, one, two, mapping } = setUp(machine);
  mapping.unmap();
  machine.refused.add(one);
  const error = assertThrows(
    () => mapRange(frames.of(DOMAIN), 0xffff_8880_0000_0000n, [two, one, one]),
    UnreadableMemoryError,
  );
  assertEquals([error.address, error.reason], [
    0xffff_8880_0000_1000n,
    "no-frame",
  ]);
});

Deno.test("a device that cannot be opened is an error of Xen", () => {
  using machine = new Machine();
  machine.opens = false;
  assertThrows(
    () => new ForeignFrames(machine.libraries),
    XenError,
    "xenforeignmemory_open",
  );
});
