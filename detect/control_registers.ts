import type { HvmCpuState } from "../guestos/cpu_state.ts";
import type { Detector, Finding } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { littleEndian } from "./little_endian.ts";
import { rules } from "./rules.ts";

/** Bits that protect the kernel (Intel SDM vol. 3A, 2.5) */
export const PROTECTIONS = [
  { register: "cr0", bit: 16n, name: "CR0.WP" },
  { register: "cr4", bit: 11n, name: "CR4.UMIP" },
  { register: "cr4", bit: 20n, name: "CR4.SMEP" },
  { register: "cr4", bit: 21n, name: "CR4.SMAP" },
] as const;

/** The same as masks, by register */
export const PROTECTING_BITS = { cr0: maskOf("cr0"), cr4: maskOf("cr4") };

function maskOf(name: typeof PROTECTIONS[number]["register"]): bigint {
  return PROTECTIONS.filter(({ register }) => register === name)
    .reduce((mask, { bit }) => mask | 1n << bit, 0n);
}

/**
 * XK-013: protections of the processor that were on stay on. Write protection
 * (CR0.WP) must be on whatever it was. A PV guest has no say in them.
 */
export class ControlRegisters implements Detector {
  readonly rule = rules.controlRegisters;
  #guest: Pick<Guest, "cpus">;
  #wanted: ReadonlySet<string>;

  /** What is on now on any virtual CPU must be on, on all. */
  constructor(guest: Pick<Guest, "cpus">) {
    this.#guest = guest;
    this.#wanted = new Set([
      "CR0.WP",
      ...PROTECTIONS.filter(({ register, bit }) =>
        this.#cpus().some((cpu) => isSet(cpu[register], bit))
      ).map(({ name }) => name),
    ]);
  }

  #cpus(): HvmCpuState[] {
    return this.#guest.cpus.filter((cpu) => cpu.kind === "hvm");
  }

  check(): Finding[] {
    return this.#cpus().flatMap((cpu) =>
      PROTECTIONS.filter(({ register, bit, name }) =>
        this.#wanted.has(name) && !isSet(cpu[register], bit)
      ).map(({ register, bit, name }) => ({
        rule: this.rule,
        seen: "drift",
        what: name,
        address: cpu[register],
        symbol: `${register.toUpperCase()} of vCPU ${cpu.vcpu}`,
        summary: `${name} was cleared on vCPU ${cpu.vcpu}`,
        expected: littleEndian(cpu[register] | 1n << bit),
        found: littleEndian(cpu[register]),
        key: `${this.rule.id} ${cpu.vcpu} ${name}`,
      }))
    );
  }
}

function isSet(value: bigint, bit: bigint): boolean {
  return (value >> bit & 1n) === 1n;
}
