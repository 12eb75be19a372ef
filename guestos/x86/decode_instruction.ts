/**
 * One instruction of 64-bit x86 code, as far as patching needs it. Offsets
 * count from its first byte.
 */
export interface Instruction {
  /** Bytes, 1 to 15 */
  readonly length: number;
  /**
   * Where the opcode begins, after all prefixes: at its `0f` if it has one.
   * VEX and EVEX are prefixes, and stand for the `0f`
   */
  readonly opcodeAt: number;
  /** Opcode map: 1 is one byte, 2 is `0f`, 3 is `0f 38`, 4 is `0f 3a` */
  readonly map: 1 | 2 | 3 | 4;
  /** Last byte of the opcode, which says what it is within its map */
  readonly opcode: number;
  /** Where ModRM is, if there is one */
  readonly modrmAt: number | undefined;
  /** Where the 4-byte displacement is, if an operand is relative to RIP */
  readonly ripDisplacementAt: number | undefined;
  /** Where the immediate begins; the instruction's end if there is none */
  readonly immediateAt: number;
  /**
   * Bytes of the immediate, or of both if there are two. A branch's
   * displacement, an absolute address (`mov` of the accumulator) and the byte
   * at the end of a 3DNow! instruction count as one
   */
  readonly immediateSize: number;
  /**
   * Whether the immediate is the distance of a branch from the end of the
   * instruction: jcc, jmp, call, loop, jrcxz, xbegin
   */
  readonly relative: boolean;
}

const MAX_LENGTH = 15;

// What follows an opcode. The low bits are the bytes of its immediate.
const IMMEDIATE_SIZE = 0xf;
const KNOWN = 1 << 4;
const PREFIX = 1 << 5;
const MODRM = 1 << 6;
/** ModRM names registers, whatever its mode bits say */
const NO_MEMORY = 1 << 7;
const RELATIVE = 1 << 8;
/** The immediate is 2 bytes with 66 */
const BY_OPERAND_SIZE = 1 << 9;
/** The immediate is 8 bytes with REX.W */
const WIDE = 1 << 10;
/** The immediate is 4 bytes with 67 */
const BY_ADDRESS_SIZE = 1 << 11;
/** Only register fields 0 and 1 (TEST) have the immediate */
const ONLY_TEST = 1 << 12;
/** Only with 66 or f2 (EXTRQ, INSERTQ) there is the immediate */
const ONLY_SSE4A = 1 << 13;

/** The letters of the maps, with the names that the manuals have for them. */
const KINDS: Readonly<Record<string, number>> = {
  // No instruction in 64-bit mode
  "-": 0,
  // 0f, VEX, EVEX: leads to another map
  ">": 0,
  p: PREFIX,
  ".": KNOWN,
  // Ib, Iw, Iz, Iv
  b: KNOWN | 1,
  w: KNOWN | 2,
  z: KNOWN | 4 | BY_OPERAND_SIZE,
  v: KNOWN | 4 | BY_OPERAND_SIZE | WIDE,
  // Iw and Ib
  e: KNOWN | 3,
  // Ob, Ov
  a: KNOWN | 8 | BY_ADDRESS_SIZE,
  // Jb, Jz
  j: KNOWN | 1 | RELATIVE,
  J: KNOWN | 4 | RELATIVE,
  // ModRM alone, with Ib, with Iz
  m: KNOWN | MODRM,
  B: KNOWN | MODRM | 1,
  Z: KNOWN | MODRM | 4 | BY_OPERAND_SIZE,
  // ModRM of a control or debug register
  r: KNOWN | MODRM | NO_MEMORY,
  // Group 3
  t: KNOWN | MODRM | 1 | ONLY_TEST,
  T: KNOWN | MODRM | 4 | BY_OPERAND_SIZE | ONLY_TEST,
  // VMREAD, EXTRQ, INSERTQ
  x: KNOWN | MODRM | 2 | ONLY_SSE4A,
};

/** What follows each opcode of a map: a letter for each, 16 in a row. */
function opcodeMap(...rows: readonly string[]): Uint16Array {
  return Uint16Array.from(rows.join(""), (letter) => KINDS[letter] ?? 0);
}

const ONE_BYTE = opcodeMap(
  "mmmmbz--mmmmbz->", // 00
  "mmmmbz--mmmmbz--", // 10
  "mmmmbzp-mmmmbzp-", // 20
  "mmmmbzp-mmmmbzp-", // 30
  "pppppppppppppppp", // 40
  "................", // 50
  "-->mppppzZbB....", // 60
  "jjjjjjjjjjjjjjjj", // 70
  "BZ-Bmmmmmmmmmmmm", // 80
  "..........-.....", // 90
  "aaaa....bz......", // a0
  "bbbbbbbbvvvvvvvv", // b0
  "BBw.>>BZe.w..b-.", // c0
  "mmmm---.mmmmmmmm", // d0
  "jjjjbbbbJJ-j....", // e0
  "p.pp..tT......mm", // f0
);

const TWO_BYTES = opcodeMap(
  "mmmm-.....-.-m.B", // 00
  "mmmmmmmmmmmmmmmm", // 10
  "rrrr----mmmmmmmm", // 20
  "......-.>->-----", // 30
  "mmmmmmmmmmmmmmmm", // 40
  "mmmmmmmmmmmmmmmm", // 50
  "mmmmmmmmmmmmmmmm", // 60
  "BBBBmmm.xm--mmmm", // 70
  "JJJJJJJJJJJJJJJJ", // 80
  "mmmmmmmmmmmmmmmm", // 90
  "...mBmmm...mBmmm", // a0
  "mmmmmmmmmmBmmmmm", // b0
  "mmBmBBBm........", // c0
  "mmmmmmmmmmmmmmmm", // d0
  "mmmmmmmmmmmmmmmm", // e0
  "mmmmmmmmmmmmmmmm", // f0
);

/** With VEX or EVEX */
const TWO_BYTES_VECTOR = opcodeMap(
  "----------------", // 00
  "mmmmmmmm--------", // 10
  "--------mmmmmmmm", // 20
  "----------------", // 30
  "-mm-mmmm--mm----", // 40
  "mmmmmmmmmmmmmmmm", // 50
  "mmmmmmmmmmmmmmmm", // 60
  "BBBBmmm.mmmmmmmm", // 70
  "----------------", // 80
  "mmmm----mm------", // 90
  "--------------m-", // a0
  "----------------", // b0
  "--B-BBB---------", // c0
  "mmmmmmmmmmmmmmmm", // d0
  "mmmmmmmmmmmmmmmm", // e0
  "mmmmmmmmmmmmmmm-", // f0
);

// Each instruction of these has one form, whatever its prefixes, and so will
// those that processors get in future.
const THREE_BYTES_38 = opcodeMap("m".repeat(256));
const THREE_BYTES_3A = opcodeMap("B".repeat(256));

// By number of the map; VEX and EVEX lead to other maps too
const MAPS = [undefined, ONE_BYTE, TWO_BYTES, THREE_BYTES_38, THREE_BYTES_3A];
const VECTOR_MAPS = [
  undefined,
  undefined,
  TWO_BYTES_VECTOR,
  THREE_BYTES_38,
  THREE_BYTES_3A,
];

/** In the one-byte map, a bit for each register field of ModRM that exists */
const REGISTER_FIELDS = new Uint8Array(256).fill(0xff);
// Groups 1A (the others are AMD's XOP), 11, 4 and 5
REGISTER_FIELDS[0x8f] = 0b0000_0001;
REGISTER_FIELDS[0xc6] = 0b1000_0001;
REGISTER_FIELDS[0xc7] = 0b1000_0001;
REGISTER_FIELDS[0xfe] = 0b0000_0011;
REGISTER_FIELDS[0xff] = 0b0111_1111;

/** The only ModRM of group 11 with register field 7 */
const XABORT_OR_XBEGIN = 0xf8;

// Prefixes that an instruction has
const OPERAND_SIZE = 1 << 0;
const ADDRESS_SIZE = 1 << 1;
const LOCK = 1 << 2;
const REPNE = 1 << 3;
const REPE = 1 << 4;
const REX = 1 << 5;
const REX_W = 1 << 6;
const REFUSED_BY_VEX = OPERAND_SIZE | LOCK | REPNE | REPE | REX;

function prefixBit(byte: number): number {
  switch (byte) {
    case 0x66:
      return OPERAND_SIZE;
    case 0x67:
      return ADDRESS_SIZE;
    case 0xf0:
      return LOCK;
    case 0xf2:
      return REPNE;
    case 0xf3:
      return REPE;
    default:
      return 0;
  }
}

/** Bytes of an immediate; `field` is the register field of ModRM. */
function immediateBytes(kind: number, prefixes: number, field: number): number {
  const size = kind & IMMEDIATE_SIZE;
  if ((kind & ONLY_TEST) !== 0 && field > 1) return 0;
  if ((kind & BY_OPERAND_SIZE) !== 0) {
    if ((prefixes & REX_W) !== 0) return (kind & WIDE) === 0 ? size : 8;
    return (prefixes & OPERAND_SIZE) === 0 ? size : 2;
  }
  if ((kind & BY_ADDRESS_SIZE) !== 0) {
    return (prefixes & ADDRESS_SIZE) === 0 ? size : 4;
  }
  if ((kind & ONLY_SSE4A) !== 0) {
    return (prefixes & (OPERAND_SIZE | REPNE)) === 0 ? 0 : size;
  }
  return size;
}

/** Bytes that ModRM adds: SIB and displacement; `next` follows ModRM. */
function memoryBytes(modrm: number, next: number): number {
  const mode = modrm >> 6;
  if (mode === 3) return 0;
  const hasSib = (modrm & 7) === 4;
  const base = (hasSib ? next : modrm) & 7;
  const displacement = mode === 1 ? 1 : mode === 2 || base === 5 ? 4 : 0;
  return displacement + (hasSib ? 1 : 0);
}

/**
 * Finds the length and the parts of an instruction of 64-bit x86 code.
 *
 * An opcode that is an instruction with some prefixes and operands counts as
 * one with all: `lock nop` has a length, though a processor refuses it. What
 * only programs use (XOP, the maps for half precision, APX) is no instruction
 * here. A near branch has 4 bytes of displacement even with 66, as on Intel
 * processors.
 *
 * Source: Intel SDM, volume 2, chapter 2 and appendix A; AMD APM, volume 3,
 * for 3DNow! and SSE4A; Linux, arch/x86/lib/x86-opcode-map.txt.
 *
 * @param code The code; it is not trusted
 * @param at Where in the code the instruction begins
 * @returns `undefined` if there is no instruction, or not all of it
 */
export function decodeInstruction(
  code: Uint8Array,
  at: number,
): Instruction | undefined {
  if (!Number.isSafeInteger(at) || at < 0) return undefined;
  const end = Math.min(code.length, at + MAX_LENGTH);
  let position = at;
  let opcode = 0;
  let prefixes = 0;
  for (;; position++) {
    if (position >= end) return undefined;
    opcode = code[position] ?? 0;
    if (((ONE_BYTE[opcode] ?? 0) & PREFIX) === 0) break;
    // REX counts only directly before the opcode.
    prefixes &= ~(REX | REX_W);
    if ((opcode & 0xf0) !== 0x40) prefixes |= prefixBit(opcode);
    else prefixes |= (opcode & 8) === 0 ? REX : REX | REX_W;
  }

  // If one of these bytes is past the end, then so is the instruction's end,
  // and the last check refuses it.
  let opcodeAt = position;
  let map = 1;
  let maps = MAPS;
  if (opcode === 0x0f) {
    opcode = code[++position] ?? 0;
    map = opcode === 0x38 ? 3 : opcode === 0x3a ? 4 : 2;
    if (map !== 2) opcode = code[++position] ?? 0;
  } else if (opcode === 0xc4 || opcode === 0xc5 || opcode === 0x62) {
    if ((prefixes & REFUSED_BY_VEX) !== 0) return undefined;
    const first = code[position + 1] ?? 0;
    if (opcode === 0xc5) {
      map = 2;
      position += 2;
    } else if (opcode === 0xc4) {
      map = 1 + (first & 0x1f);
      position += 3;
    } else {
      // Only APX clears this bit.
      if (((code[position + 2] ?? 0) & 4) === 0) return undefined;
      map = 1 + (first & 0xf);
      position += 4;
    }
    maps = VECTOR_MAPS;
    opcodeAt = position;
    opcode = code[position] ?? 0;
  }
  position++;

  const kind = maps[map]?.[opcode] ?? 0;
  if ((kind & KNOWN) === 0) return undefined;
  let relative = (kind & RELATIVE) !== 0;
  let field = 0;
  let modrmAt: number | undefined;
  let ripDisplacementAt: number | undefined;
  if ((kind & MODRM) !== 0) {
    modrmAt = position - at;
    const modrm = code[position++] ?? 0;
    field = (modrm >> 3) & 7;
    if (map === 1) {
      const fields = REGISTER_FIELDS[opcode] ?? 0;
      if (((fields >> field) & 1) === 0) return undefined;
      if (field === 7 && (opcode === 0xc6 || opcode === 0xc7)) {
        if (modrm !== XABORT_OR_XBEGIN) return undefined;
        relative = opcode === 0xc7;
      }
    }
    if ((kind & NO_MEMORY) === 0) {
      if ((modrm & 0xc7) === 0x05) ripDisplacementAt = position - at;
      position += memoryBytes(modrm, code[position] ?? 0);
    }
  }

  const immediateSize = immediateBytes(kind, prefixes, field);
  if (position + immediateSize > end) return undefined;
  return {
    length: position + immediateSize - at,
    opcodeAt: opcodeAt - at,
    map: map as Instruction["map"],
    opcode,
    modrmAt,
    ripDisplacementAt,
    immediateAt: position - at,
    immediateSize,
    relative,
  };
}
