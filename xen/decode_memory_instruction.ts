/** What the operand of an instruction is found by. */
export interface AddressRegisters {
  /** RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, and R8 to R15 */
  readonly general: readonly bigint[];
  readonly ip: bigint;
  readonly fsBase: bigint;
  readonly gsBase: bigint;
}

/** An instruction with an operand in memory. */
export interface MemoryInstruction {
  /** With the `0f` before it, if it has one: 0x89, 0x0f01 */
  readonly opcode: number;
  /** Register field of ModRM, which says with some opcodes what it is */
  readonly field: number;
  /** The register that it names as an operand, in the order of `general` */
  readonly register: number;
  /** Whether it has a REX prefix: registers of a byte are other ones then */
  readonly hasRex: boolean;
  /** Bytes of its operand, unless the opcode says otherwise: 2, 4 or 8 */
  readonly wordSize: number;
  /** Bytes */
  readonly length: number;
  /** Guest virtual address of the operand */
  readonly operand: bigint;
}

/** Bytes of the longest instruction */
export const MAX_INSTRUCTION = 15;

const FS = 0x64;
const GS = 0x65;
const OPERAND_SIZE = 0x66;
const ADDRESS_SIZE = 0x67;
/** All that an instruction may begin with but REX; most change nothing here */
const PREFIXES = [
  0x26,
  0x2e,
  0x36,
  0x3e,
  FS,
  GS,
  OPERAND_SIZE,
  ADDRESS_SIZE,
  0xf0,
  0xf2,
  0xf3,
];
const TWO_BYTES = 0x0f;
/** Bits of REX: operands of 8 bytes; the upper eight registers are meant */
const REX_WIDE = 8;
const REX_REGISTER = 4;
const REX_INDEX = 2;
const REX_BASE = 1;
/** In ModRM: a SIB byte follows; in SIB: no index */
const SIB = 4;
/** In ModRM: relative to RIP; in SIB: no base. Where there is no displacement */
const NO_BASE = 5;

/**
 * Decodes an instruction of 64-bit code that has an operand in memory (Intel SDM
 * vol. 2A, chapter 2).
 *
 * @param code Bytes from the instruction on; they are not trusted
 * @param registers As they are before it
 * @param immediates Bytes that follow the operand, by opcode: those that are
 *   decoded, each of which must have ModRM
 * @returns Nothing if it is another instruction, or not all of it
 */
export function decodeMemoryInstruction(
  code: Uint8Array,
  { general, ip, fsBase, gsBase }: AddressRegisters,
  immediates: Readonly<Record<number, number>>,
): MemoryInstruction | undefined {
  // With zeros behind it, nothing is read beyond the end; then it is too long
  const view = new DataView(new ArrayBuffer(2 * MAX_INSTRUCTION));
  new Uint8Array(view.buffer).set(code.subarray(0, MAX_INSTRUCTION));
  let at = 0;
  let segment = 0n;
  let bits = 64;
  let wordSize = 4;
  for (; PREFIXES.includes(view.getUint8(at)); at++) {
    const prefix = view.getUint8(at);
    if (prefix === FS) segment = fsBase;
    if (prefix === GS) segment = gsBase;
    if (prefix === OPERAND_SIZE) wordSize = 2;
    if (prefix === ADDRESS_SIZE) bits = 32;
  }
  let rex = 0;
  if (view.getUint8(at) >> 4 === 4) rex = view.getUint8(at++);
  if ((rex & REX_WIDE) !== 0) wordSize = 8;
  let opcode = view.getUint8(at++);
  if (opcode === TWO_BYTES) opcode = TWO_BYTES << 8 | view.getUint8(at++);
  const immediate = immediates[opcode];
  if (immediate === undefined) return undefined;
  const modrm = view.getUint8(at++);
  const mode = modrm >> 6;
  if (mode === 3) return undefined;

  let address = 0n;
  let base = modrm & 7;
  const isRelative = mode === 0 && base === NO_BASE;
  if (base === SIB) {
    const sib = view.getUint8(at++);
    base = sib & 7;
    const index = (sib >> 3 & 7) | (rex & REX_INDEX) << 2;
    if (index !== SIB) address = general[index]! << BigInt(sib >> 6);
  }
  const hasBase = mode !== 0 || base !== NO_BASE;
  if (hasBase) address += general[base | (rex & REX_BASE) << 3]!;
  if (mode === 1) address += BigInt(view.getInt8(at++));
  if (mode === 2 || !hasBase) {
    address += BigInt(view.getInt32(at, true));
    at += 4;
  }
  at += immediate;
  if (isRelative) address += ip + BigInt(at);
  if (at > Math.min(code.length, MAX_INSTRUCTION)) return undefined;
  return {
    opcode,
    field: modrm >> 3 & 7,
    register: (modrm >> 3 & 7) | (rex & REX_REGISTER) << 1,
    hasRex: rex !== 0,
    wordSize,
    length: at,
    operand: BigInt.asUintN(64, segment + BigInt.asUintN(bits, address)),
  };
}
