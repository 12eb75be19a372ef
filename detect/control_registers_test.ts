import { assertEquals } from "@std/assert";
import type { CpuState, HvmCpuState } from "../guestos/cpu_state.ts";
import { ControlRegisters } from "./control_registers.ts";
import { hvmCpu, SMAP, SMEP, UMIP, WP } from "./testing/hvm_cpu.ts";
import { KernelGuest } from "./testing/kernel_guest.ts";

function setUp(...cpus: readonly CpuState[]) {
  const guest = new KernelGuest();
  guest.setCpus(cpus);
  const registers = new ControlRegisters(guest);
  return {
    registers,
    look: (...cpus: readonly CpuState[]) => {
      guest.setCpus(cpus);
      return registers.check().map(({ summary }) => summary);
    },
  };
}

Deno.test("protections that stay on give no finding", () => {
  assertEquals(setUp(hvmCpu()).look(hvmCpu()), []);
});

Deno.test("each protection that is cleared is told, on each virtual CPU", () => {
  const { look } = setUp(hvmCpu());
  const { cr0, cr4 } = hvmCpu();
  const cases: [Partial<HvmCpuState>, string][] = [
    [{ cr0: cr0 & ~WP }, "CR0.WP"],
    [{ cr4: cr4 & ~UMIP }, "CR4.UMIP"],
    [{ cr4: cr4 & ~SMEP }, "CR4.SMEP"],
    [{ cr4: cr4 & ~SMAP }, "CR4.SMAP"],
  ];
  for (const [parts, name] of cases) {
    assertEquals(look(hvmCpu(), hvmCpu({ vcpu: 1, ...parts })), [
      `${name} was cleared on vCPU 1`,
    ]);
  }
  assertEquals(look(hvmCpu({ cr0: 0n, cr4: 0n })).length, 4);
});

Deno.test("a finding shows the register as it must be and as it is", () => {
  const { registers } = setUp(hvmCpu({ cr0: 0x8004_0033n, vcpu: 2 }));
  assertEquals(registers.check(), [{
    rule: registers.rule,
    seen: "drift",
    what: "CR0.WP",
    address: 0x8004_0033n,
    symbol: "CR0 of vCPU 2",
    summary: "CR0.WP was cleared on vCPU 2",
    expected: Uint8Array.of(0x33, 0, 5, 0x80, 0, 0, 0, 0),
    found: Uint8Array.of(0x33, 0, 4, 0x80, 0, 0, 0, 0),
    key: "XK-013 2 CR0.WP",
  }]);
});

Deno.test("write protection must be on though it was off when xkmon armed", () => {
  const off = hvmCpu({ cr0: 0x8000_0033n });
  assertEquals(setUp(off).look(off), ["CR0.WP was cleared on vCPU 0"]);
});

Deno.test("what was off on all virtual CPUs may stay off, what was on on one must be on", () => {
  const old = hvmCpu({ cr4: SMEP });
  assertEquals(setUp(old).look(old), []);
  assertEquals(setUp(old, hvmCpu({ vcpu: 1 })).look(old), [
    "CR4.UMIP was cleared on vCPU 0",
    "CR4.SMAP was cleared on vCPU 0",
  ]);
});

Deno.test("other bits may change, and a protection may be switched on", () => {
  const old = hvmCpu({ cr4: 0n });
  const { look } = setUp(old);
  assertEquals(look(hvmCpu({ cr0: WP })), []);
  assertEquals(look(hvmCpu({ cr4: 0x1234_0000n })), []);
});

Deno.test("a PV guest has no say in them", () => {
  const { cpus } = new KernelGuest();
  assertEquals(setUp(...cpus).look(...cpus), []);
});
