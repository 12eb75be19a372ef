/** Bits of registers by their names (Intel SDM vol. 1, 3.4.3; vol. 3A, 2.5) */
const BITS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  rflags: {
    ...{ 0: "CF", 2: "PF", 4: "AF", 6: "ZF", 7: "SF", 8: "TF", 9: "IF" },
    ...{ 10: "DF", 11: "OF", 14: "NT", 16: "RF", 17: "VM", 18: "AC" },
    ...{ 19: "VIF", 20: "VIP", 21: "ID" },
  },
  cr0: {
    ...{ 0: "PE", 1: "MP", 2: "EM", 3: "TS", 4: "ET", 5: "NE", 16: "WP" },
    ...{ 18: "AM", 29: "NW", 30: "CD", 31: "PG" },
  },
  cr4: {
    ...{ 0: "VME", 1: "PVI", 2: "TSD", 3: "DE", 4: "PSE", 5: "PAE", 6: "MCE" },
    ...{ 7: "PGE", 8: "PCE", 9: "OSFXSR", 10: "OSXMMEXCPT", 11: "UMIP" },
    ...{ 12: "LA57", 13: "VMXE", 14: "SMXE", 16: "FSGSBASE", 17: "PCIDE" },
    ...{ 18: "OSXSAVE", 20: "SMEP", 21: "SMAP", 22: "PKE", 23: "CET" },
  },
};

/**
 * Names of the bits that are set in a register.
 *
 * @param register `rflags`, `cr0`, `cr4`; others have none
 */
export function bitNames(register: string, value: bigint): string[] {
  return Object.entries(BITS[register] ?? {})
    .filter(([bit]) => (value >> BigInt(bit) & 1n) === 1n)
    .map(([, name]) => name);
}
