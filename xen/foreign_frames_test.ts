import { assert, assertEquals, assertThrows } from "@std/assert";
import { XenError } from "./errors.ts";
import { ForeignFrames } from "./foreign_frames.ts";
import { FrameMapping } from "./frame_mapping.ts";
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
  assertEquals(machine.mappedPages, 2);
  mapping.unmap();
  assertEquals(machine.mappedPages, 0);
});

Deno.test("where Xen refuses frames nothing stays mapped", () => {
  using machine = new Machine();
  const { frames, one, two, mapping } = setUp(machine);
  mapping.unmap();
  machine.refused.add(one);
  assertEquals(frames.map(DOMAIN, [two, one, two, one]), [1, 3]);
  assertEquals(machine.mappedPages, 0);
});

Deno.test("frames that are mapped again show what came in their place, where they were", () => {
  using machine = new Machine();
  const { one, mapping } = setUp(machine);
  const bytes = new Uint8Array(mapping.bytes);
  const other = machine.allocate();
  machine.bytes(other).fill(3);
  machine.replaced.set(one, other);
  assertEquals(bytes[4096], 1);
  assertEquals(mapping.renew(), true);
  assertEquals([bytes[4095], bytes[4096]], [2, 3]);
  assertEquals(machine.mappedPages, 2);
});

Deno.test("where Xen refuses one of them then nothing stays mapped", () => {
  using machine = new Machine();
  const { one, mapping } = setUp(machine);
  machine.refused.add(one);
  assertEquals(mapping.renew(), false);
  assertEquals(machine.mappedPages, 0);
  assertThrows(() => mapping.bytes, TypeError);
  mapping.unmap();
  assertEquals(machine.mappedPages, 0);
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
