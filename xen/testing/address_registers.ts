import type { AddressRegisters } from "../decode_memory_instruction.ts";

/** Register n holds n times this */
const STEP = 0x1_0000_1000n;

/** Registers that tell by an address of which of them it was made. */
export const addressRegisters: AddressRegisters = {
  general: Array.from({ length: 16 }, (_, register) => BigInt(register) * STEP),
  ip: 0xffff_ffff_8100_0000n,
  fsBase: 0x7000_0000_0000n,
  gsBase: 0xffff_8880_0000_0000n,
};
