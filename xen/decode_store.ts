import {
  type AddressRegisters,
  decodeMemoryInstruction,
} from "./decode_memory_instruction.ts";

/** What an instruction writes to memory. */
export interface Store {
  /** Guest virtual address of the first byte */
  readonly address: bigint;
  /** Bytes: 1, 2, 4 or 8 */
  readonly size: number;
}

/** OR, AND, group 1 (all of them and more) and MOV with operands of a byte */
const OF_BYTES: Readonly<Record<number, number>> = {
  0x08: 0,
  0x20: 0,
  0x80: 1,
  0x88: 0,
  0xc6: 1,
};
/**
 * ADD, OR, AND, SUB, XOR, group 1, XCHG, MOV, CMPXCHG, BTS, BTR and BTC by a
 * constant, XADD. With a register BTS may write anywhere.
 */
const OF_WORDS: Readonly<Record<number, number>> = {
  0x01: 0,
  0x09: 0,
  0x21: 0,
  0x29: 0,
  0x31: 0,
  0x81: 4,
  0x83: 1,
  0x87: 0,
  0x89: 0,
  0xc7: 4,
  0x0fb1: 0,
  0x0fba: 1,
  0x0fc1: 0,
};
const IMMEDIATES = { ...OF_BYTES, ...OF_WORDS };

/**
 * Decodes the instructions of 64-bit code by which kernels change entries of
 * page tables: they write once, at most 8 bytes.
 *
 * @param code Bytes from the instruction on; they are not trusted
 * @param registers As they are before it
 * @returns Nothing if it is another instruction, or not all of it
 */
export function decodeStore(
  code: Uint8Array,
  registers: AddressRegisters,
): Store | undefined {
  const decoded = decodeMemoryInstruction(code, registers, IMMEDIATES);
  if (decoded === undefined) return undefined;
  const { opcode, wordSize, operand: address } = decoded;
  if (opcode in OF_BYTES) return { address, size: 1 };
  // A constant of 4 bytes has 2 then, and the length is wrong
  if (wordSize === 2 && OF_WORDS[opcode] === 4) return undefined;
  return { address, size: wordSize };
}
