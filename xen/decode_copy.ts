import {
  type AddressRegisters,
  decodeMemoryInstruction,
} from "./decode_memory_instruction.ts";

/** What an instruction copies to memory. */
export interface Copy {
  /** Guest virtual address of the first byte that is written */
  readonly address: bigint;
  /** The bytes, or where they are */
  readonly from: Uint8Array | {
    readonly address: bigint;
    readonly size: number;
  };
}

/** MOV from a register of a byte, or of more */
const MOV = { 0x88: 0, 0x89: 0 };
const MOV_BYTE = 0x88;
/** REP, operands of 2 bytes, REX, MOVS of bytes, and of more */
const REP = 0xf3;
const OPERAND_SIZE = 0x66;
const REX = 4;
const REX_WIDE = 8;
const MOVS_BYTES = 0xa4;
const MOVS_WORDS = 0xa5;
/** In RFLAGS: MOVS goes downwards */
const DIRECTION = 1n << 10n;
/** The longest that is copied, bytes: kernels change few at a time */
const MAX_SIZE = 64;

const [RCX, RSI, RDI] = [1, 6, 7] as const;

/**
 * Decodes the instructions of 64-bit code by which kernels copy bytes: MOV from
 * a register, MOVS with and without REP.
 *
 * @param code Bytes from the instruction on; they are not trusted
 * @param registers As they are before it
 * @param flags RFLAGS
 * @returns Nothing if it is another instruction, not all of it, or copies
 *   nothing or more than 64 bytes
 */
export function decodeCopy(
  code: Uint8Array,
  registers: AddressRegisters,
  flags: bigint,
): Copy | undefined {
  const decoded = decodeMemoryInstruction(code, registers, MOV);
  if (decoded === undefined) return decodeString(code, registers, flags);
  const { opcode, wordSize, operand: address, register, hasRex } = decoded;
  const size = opcode === MOV_BYTE ? 1 : wordSize;
  // Without REX these are AH, CH, DH and BH
  const isHigh = size === 1 && !hasRex && register >= 4;
  const value = isHigh
    ? registers.general[register - 4]! >> 8n
    : registers.general[register]!;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return { address, from: bytes.subarray(0, size) };
}

function decodeString(
  code: Uint8Array,
  { general }: AddressRegisters,
  flags: bigint,
): Copy | undefined {
  let at = 0;
  let repeats = false;
  let unit = 4;
  for (; code[at] === REP || code[at] === OPERAND_SIZE; at++) {
    if (code[at] === REP) repeats = true;
    else unit = 2;
  }
  const rex = code[at]! >> 4 === REX ? code[at++]! : 0;
  if ((rex & REX_WIDE) !== 0) unit = 8;
  const opcode = code[at];
  if (opcode === MOVS_BYTES) unit = 1;
  else if (opcode !== MOVS_WORDS) return undefined;
  const count = repeats ? general[RCX]! : 1n;
  const tooMuch = count === 0n || count > BigInt(MAX_SIZE / unit);
  if (tooMuch || (flags & DIRECTION) !== 0n) return undefined;
  const from = { address: general[RSI]!, size: Number(count) * unit };
  return { address: general[RDI]!, from };
}
