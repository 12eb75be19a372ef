import type { HvmCpuState } from "../guestos/cpu_state.ts";
import { hvmCpu } from "./layouts.ts";

/**
 * Reads a raw `struct hvm_hw_cpu` (public/arch-x86/hvm/save.h).
 *
 * @param view At least as long as the layout says
 */
export function decodeHvmCpu(vcpu: number, view: DataView): HvmCpuState {
  const u64 = (at: number) => view.getBigUint64(at, true);
  return {
    kind: "hvm",
    vcpu,
    root: BigInt.asUintN(52, u64(hvmCpu.cr3)) >> 12n,
    ip: u64(hvmCpu.rip),
    cr0: u64(hvmCpu.cr0),
    cr4: u64(hvmCpu.cr4),
    idt: {
      base: u64(hvmCpu.idtr_base),
      limit: view.getUint32(hvmCpu.idtr_limit, true),
    },
    gdt: {
      base: u64(hvmCpu.gdtr_base),
      limit: view.getUint32(hvmCpu.gdtr_limit, true),
    },
    msrs: {
      star: u64(hvmCpu.msr_star),
      lstar: u64(hvmCpu.msr_lstar),
      cstar: u64(hvmCpu.msr_cstar),
      sysenterIp: u64(hvmCpu.sysenter_eip),
    },
  };
}
