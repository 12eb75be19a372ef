import type { EntryPoints } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { RegisterChange } from "../xen/protection.ts";
import { PROTECTIONS } from "./control_registers.ts";
import type { Finding } from "./finding.ts";
import { littleEndian } from "./little_endian.ts";
import { rules } from "./rules.ts";
import { ENTRY_REGISTERS } from "./system_call_entry.ts";

/**
 * Judges a change of a register before it happens: by the rules of XK-012 and
 * XK-013.
 *
 * @param entryPoints Where system calls may enter, as far as that is known
 * @returns Nothing if it may happen
 */
export function judgeRegisterChange(
  symbols: SymbolTable,
  entryPoints: EntryPoints | undefined,
  change: RegisterChange,
): Finding | undefined {
  const { vcpu, ip, register, value, before } = change;
  const common = {
    seen: "stop",
    expected: littleEndian(before),
    attempted: littleEndian(value),
    ip,
    ipSymbol: symbols.describe(ip),
    vcpu,
  } as const;
  if (register === "cr0" || register === "cr4") {
    const cleared = PROTECTIONS.filter((protection) =>
      protection.register === register &&
      (before & ~value & 1n << protection.bit) !== 0n
    ).map(({ name }) => name).join(", ");
    if (cleared === "") return undefined;
    const rule = rules.controlRegisters;
    return {
      ...common,
      rule,
      what: cleared,
      address: value,
      symbol: `${register.toUpperCase()} of vCPU ${vcpu}`,
      summary: `${cleared} was to be cleared on vCPU ${vcpu}, and is not`,
      key: `${rule.id} stop ${vcpu} ${cleared} ${ip.toString(16)}`,
    };
  }
  const allowed = entryPoints?.[register];
  if (allowed === undefined || allowed.includes(value)) return undefined;
  const rule = rules.systemCallEntry;
  const what = ENTRY_REGISTERS[register];
  const to = symbols.describe(value);
  return {
    ...common,
    rule,
    what,
    address: value,
    symbol: to,
    summary: `${what} of vCPU ${vcpu} was to lead to ${to}, and does not`,
    key: `${rule.id} stop ${vcpu} ${what} ${value.toString(16)}`,
  };
}
