import { assertEquals, assertThrows } from "@std/assert";
import { decodeHvmCpu } from "./hvm_cpu.ts";

/** Bytes of a `struct hvm_hw_cpu` of Xen 4.14 */
const SIZE = 1024;

function state(...words: [offset: number, value: bigint][]): DataView {
  const view = new DataView(new ArrayBuffer(SIZE));
  for (const [offset, value] of words) view.setBigUint64(offset, value, true);
  return view;
}

Deno.test("registers are read from their places", () => {
  // Offsets of public/arch-x86/hvm/save.h
  const view = state(
    [640, 0xffff_ffff_8100_1234n],
    [656, 0x8005_0033n],
    [672, 0x1_2345_6000n],
    [680, 0x0037_16e0n],
    [872, 0xffff_fe00_0000_0000n],
    [880, 0xffff_fe00_0000_1000n],
    [936, 0x44n],
    [960, 0x22n],
    [968, 0x0023_0010n << 32n],
    [976, 0x33n],
  );
  view.setUint32(800, 0xfff, true);
  view.setUint32(804, 0x7f, true);
  assertEquals(decodeHvmCpu(3, view), {
    kind: "hvm",
    vcpu: 3,
    root: 0x12_3456n,
    ip: 0xffff_ffff_8100_1234n,
    cr0: 0x8005_0033n,
    cr4: 0x0037_16e0n,
    idt: { base: 0xffff_fe00_0000_0000n, limit: 0xfff },
    gdt: { base: 0xffff_fe00_0000_1000n, limit: 0x7f },
    msrs: {
      star: 0x0023_0010n << 32n,
      lstar: 0x22n,
      cstar: 0x33n,
      sysenterIp: 0x44n,
    },
  });
});

Deno.test("the bits of CR3 that are no address are not taken for one", () => {
  // No flush, and a process context
  const { root } = decodeHvmCpu(0, state([672, 1n << 63n | 0x5000n | 0xabcn]));
  assertEquals(root, 5n);
  const highest = decodeHvmCpu(0, state([672, 2n ** 64n - 1n])).root;
  assertEquals(highest, 2n ** 40n - 1n);
});

Deno.test("a state that is cut off is refused", () => {
  const view = new DataView(new ArrayBuffer(976 + 7));
  assertThrows(() => decodeHvmCpu(0, view), RangeError);
});
