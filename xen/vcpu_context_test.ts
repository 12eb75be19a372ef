import { assertEquals, assertThrows } from "@std/assert";
import { decodeVcpuContext } from "./vcpu_context.ts";

/** Bytes of a `vcpu_guest_context_t` of x86-64 */
const SIZE = 5168;

function context(...words: [offset: number, value: bigint][]): DataView {
  const view = new DataView(new ArrayBuffer(SIZE));
  for (const [offset, value] of words) view.setBigUint64(offset, value, true);
  return view;
}

Deno.test("root, instruction pointer and callbacks are read from their places", () => {
  const state = decodeVcpuContext(
    3,
    context(
      [648, 0xffff_ffff_8000_1234n],
      [5008, 0x1_2345_6000n],
      [5112, 0x11n],
      [5120, 0x22n],
      [5128, 0x33n],
    ),
  );
  assertEquals(state, {
    kind: "pv",
    vcpu: 3,
    root: 0x1_2345_6n,
    ip: 0xffff_ffff_8000_1234n,
    traps: [],
    callbacks: { event: 0x11n, failsafe: 0x22n, syscall: 0x33n },
  });
});

Deno.test("handlers are told by their place in the table, empty ones are left out", () => {
  const view = context(
    [720 + 14 * 16 + 8, 0xffff_ffff_8000_0200n],
    [720 + 255 * 16 + 8, 7n],
  );
  // Vector, flags and code segment as the guest wrote them
  view.setUint8(720 + 14 * 16, 99);
  view.setUint8(720 + 14 * 16 + 1, 4);
  view.setUint16(720 + 14 * 16 + 2, 0xe033, true);
  assertEquals(decodeVcpuContext(0, view).traps, [
    { vector: 14, address: 0xffff_ffff_8000_0200n, cs: 0xe033, flags: 4 },
    { vector: 255, address: 7n, cs: 0, flags: 0 },
  ]);
});

Deno.test("a context that is cut off is refused", () => {
  assertThrows(
    () => decodeVcpuContext(0, new DataView(new ArrayBuffer(5008))),
    RangeError,
  );
});
