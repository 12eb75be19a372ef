import {
  type AddressRegisters,
  decodeMemoryInstruction,
} from "./decode_memory_instruction.ts";

/** An instruction that loads a descriptor table register. */
export interface TableInstruction {
  readonly register: "idt" | "gdt";
  /** Bytes */
  readonly length: number;
  /** Guest virtual address of what is loaded, 10 bytes: limit and base */
  readonly operand: bigint;
}

/** LIDT, LGDT and what else begins with 0f 01; nothing follows the operand */
const IMMEDIATES = { 0x0f01: 0 };

/** Register fields of ModRM, and the instructions that they are */
const INSTRUCTIONS: Readonly<Record<number, TableInstruction["register"]>> = {
  2: "gdt",
  3: "idt",
};

/**
 * Decodes LIDT and LGDT of 64-bit code.
 *
 * @param code Bytes from the instruction on; they are not trusted
 * @param registers As they are before it
 * @returns Nothing if it is another instruction, or not all of it
 */
export function decodeTableLoad(
  code: Uint8Array,
  registers: AddressRegisters,
): TableInstruction | undefined {
  const decoded = decodeMemoryInstruction(code, registers, IMMEDIATES);
  const register = INSTRUCTIONS[decoded?.field ?? -1];
  if (decoded === undefined || register === undefined) return undefined;
  const { length, operand } = decoded;
  return { register, length, operand };
}
