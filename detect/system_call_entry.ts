import type { EntryPoints } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Detector, Finding } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { littleEndian } from "./little_endian.ts";
import { rules } from "./rules.ts";

/** Registers that say where system calls enter, with the manuals' names */
export const ENTRY_REGISTERS = {
  lstar: "LSTAR",
  cstar: "CSTAR",
  sysenterIp: "SYSENTER_EIP",
} as const;

const REGISTERS = Object.keys(
  ENTRY_REGISTERS,
) as (keyof typeof ENTRY_REGISTERS)[];

/**
 * XK-012: system calls enter the kernel where the kernel means them to, on
 * every virtual CPU. A PV guest enters by Xen: see XK-004.
 */
export class SystemCallEntry implements Detector {
  readonly rule = rules.systemCallEntry;
  #guest: Pick<Guest, "cpus">;
  #symbols: SymbolTable;
  #entryPoints: EntryPoints;

  constructor(
    guest: Pick<Guest, "cpus">,
    symbols: SymbolTable,
    entryPoints: EntryPoints,
  ) {
    this.#guest = guest;
    this.#symbols = symbols;
    this.#entryPoints = entryPoints;
  }

  check(): Finding[] {
    const findings: Finding[] = [];
    for (const cpu of this.#guest.cpus) {
      if (cpu.kind !== "hvm" || cpu.msrs === undefined) continue;
      for (const register of REGISTERS) {
        const name = ENTRY_REGISTERS[register];
        const found = cpu.msrs[register];
        const allowed = this.#entryPoints[register];
        if (allowed.includes(found)) continue;
        const [expected = 0n] = allowed;
        findings.push({
          rule: this.rule,
          seen: "drift",
          what: name,
          address: found,
          symbol: this.#symbols.describe(found),
          summary: `${name} of vCPU ${cpu.vcpu} leads to ${
            this.#symbols.describe(found)
          } and not to ${this.#symbols.describe(expected)}`,
          expected: littleEndian(expected),
          found: littleEndian(found),
          key: `${this.rule.id} ${cpu.vcpu} ${name} ${found.toString(16)}`,
        });
      }
    }
    return findings;
  }
}
