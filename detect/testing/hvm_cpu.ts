import type { HvmCpuState } from "../../guestos/cpu_state.ts";

/** Bits of control registers (Intel SDM vol. 3A, 2.5) */
export const WP = 1n << 16n;
export const UMIP = 1n << 11n;
export const SMEP = 1n << 20n;
export const SMAP = 1n << 21n;

/** A virtual CPU with all protections on, and what a test is about. */
export function hvmCpu(parts: Partial<HvmCpuState> = {}): HvmCpuState {
  return {
    kind: "hvm",
    vcpu: 0,
    root: 1n,
    ip: 0n,
    cr0: 0x8005_0033n,
    cr4: UMIP | SMEP | SMAP | 0xe0n,
    ...parts,
  };
}
