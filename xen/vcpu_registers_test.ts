import { assertEquals, assertThrows } from "@std/assert";
import { registerNames } from "../guestos/cpu_state.ts";
import { decodeVcpuRegisters } from "./vcpu_registers.ts";

const SIZE = 5168;

Deno.test("registers are read from their places", () => {
  const view = new DataView(new ArrayBuffer(SIZE));
  view.setBigUint64(600, 0x1111n, true);
  view.setBigUint64(648, 0xffff_ffff_8000_1234n, true);
  view.setBigUint64(5016, 0x660n, true);
  // Other fields share the eight bytes of a selector
  view.setBigUint64(656, 0xffff_ffff_ffff_e033n, true);
  const { vcpu, values } = decodeVcpuRegisters(3, view);
  assertEquals(vcpu, 3);
  assertEquals(
    [values.rax, values.rip, values.cr4, values.cs],
    [0x1111n, 0xffff_ffff_8000_1234n, 0x660n, 0xe033n],
  );
});

Deno.test("every register has a place of its own", () => {
  const bytes = Uint8Array.from(
    { length: SIZE },
    (_, at) => at * 7 + (at >> 8),
  );
  const { values } = decodeVcpuRegisters(0, new DataView(bytes.buffer));
  assertEquals(Object.keys(values).sort(), registerNames.toSorted());
  assertEquals(new Set(Object.values(values)).size, registerNames.length);
});

Deno.test("a context that is cut off is refused", () => {
  assertThrows(
    () => decodeVcpuRegisters(0, new DataView(new ArrayBuffer(5008))),
    RangeError,
  );
});
