import { decodeInstruction } from "../../x86/decode_instruction.ts";
import { nop } from "../../x86/nops.ts";

const NOP = 0x90;
const INT3 = 0xcc;
const REP = 0xf3;
const JUMP_SHORT = 0xeb;
const JUMP_NEAR = 0xe9;

/** How a kernel fills gaps: it changed with 6.4 */
export type NopStyle = "runs" | "instructions";

const LONGEST: Readonly<Record<NopStyle, number>> = {
  runs: 8,
  instructions: 11,
};

/**
 * Fills a range with as few instructions that do nothing as the kernel does
 * (`add_nops`, `add_nop` in arch/x86/kernel/alternative.c).
 */
export function fillNops(
  bytes: Uint8Array,
  start: number,
  end: number,
  style: NopStyle,
): void {
  const longest = LONGEST[style];
  let at = start;
  if (style === "instructions" && end - at > longest) {
    // One jump over it, since many instructions cost more
    const length = end - at;
    if (length < 128) {
      bytes.set([JUMP_SHORT, length - 2], at);
      at += 2;
    } else {
      bytes[at] = JUMP_NEAR;
      new DataView(bytes.buffer, bytes.byteOffset + at + 1, 4)
        .setInt32(0, length - 5, true);
      at += 5;
    }
    bytes.fill(INT3, at, end);
    return;
  }
  while (at < end) {
    const length = Math.min(end - at, longest);
    bytes.set(nop(length), at);
    at += length;
  }
}

/**
 * Merges the instructions that do nothing in a range (`optimize_nops`).
 *
 * @param bytes The code, which is changed
 * @param start First byte of the range
 * @param end First byte behind it
 */
export function mergeNops(
  bytes: Uint8Array,
  start: number,
  end: number,
  style: NopStyle,
): void {
  if (style === "runs") mergeRuns(bytes, start, end);
  else mergeInstructions(bytes, start, end);
}

function mergeRuns(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end;) {
    const instruction = decodeInstruction(bytes, at);
    if (instruction === undefined) return;
    if (bytes[at] !== NOP) {
      at += instruction.length;
      continue;
    }
    const first = at;
    while (at < end && bytes[at] === NOP) at++;
    if (at - first > 1) fillNops(bytes, first, at, "runs");
  }
}

/** Length of the instruction if it does nothing, else 0; -1 if it is none. */
function nopLength(bytes: Uint8Array, at: number): number {
  const instruction = decodeInstruction(bytes, at);
  if (instruction === undefined) return -1;
  const { map, opcode, length, opcodeAt } = instruction;
  const isNop = map === 1 && opcode === NOP &&
      !(opcodeAt > 0 && bytes[at] === REP) ||
    map === 2 && opcode === 0x1f;
  return isNop ? length : 0;
}

function mergeInstructions(
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  for (let at = start; at < end;) {
    const instruction = decodeInstruction(bytes, at);
    if (instruction === undefined) return;
    const first = at;
    at += instruction.length;
    if (nopLength(bytes, first) <= 0) continue;
    if (at === end) return;
    while (at < end) {
      const length = nopLength(bytes, at);
      if (length <= 0) break;
      at += length;
    }
    fillNops(bytes, first, at, "instructions");
  }
}
