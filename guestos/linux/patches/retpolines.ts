import {
  decodeInstruction,
  type Instruction,
} from "../../x86/decode_instruction.ts";
import { branchTarget, JUMP } from "../x86_branch.ts";
import { nopStyle } from "./alternatives.ts";
import { mergeNops, type NopStyle } from "./fill_nops.ts";
import { inImage, inText, type Patching, relativeOffsets } from "./patching.ts";

const NOP = 0x90;
const INT3 = 0xcc;
const CS = 0x2e;
const LFENCE = [0x0f, 0xae, 0xe8] as const;
const REGISTERS = 16;
/** Bytes of one thunk of `__x86_indirect_thunk_array` */
const THUNK_SIZE = 32;

/** How a kernel calls through a register: the same at every site. */
export interface RetpolineMode {
  readonly kind: "thunk" | "direct" | "lfence";
  /** Since 6.16 gaps are prefixes and breakpoints, not NOPs behind */
  readonly padded: boolean;
}

const MODES: readonly RetpolineMode[] = [
  { kind: "thunk", padded: false },
  { kind: "direct", padded: false },
  { kind: "lfence", padded: false },
  { kind: "direct", padded: true },
  { kind: "lfence", padded: true },
];

/** One call or jump to a thunk. */
interface Site {
  readonly at: number;
  readonly instruction: Instruction;
  readonly register: number;
}

/**
 * Replaces calls of thunks by calls through registers where the guest's
 * processor needs no thunks (`apply_retpolines`).
 *
 * @param known Which way was chosen. If that is not known the sites tell: the
 *   one that most show must be at all.
 * @returns The way that was chosen
 */
export function patchRetpolines(
  patching: Patching,
  known?: RetpolineMode,
): RetpolineMode {
  const { text, found } = patching;
  const style = nopStyle(patching);
  const sites = readSites(patching);
  const modes = known === undefined ? MODES : [known];
  const forms = modes.map((mode) =>
    sites.map((site) => form(patching, site, mode, style))
  );
  const votes = forms.map((codes) =>
    codes.filter((code, index) => {
      const { at } = sites[index]!;
      return inText(patching, at, code.length) &&
        code.every((byte, i) => found[at + i] === byte);
    }).length
  );
  const chosen = votes.indexOf(Math.max(...votes));
  for (const [index, { at }] of sites.entries()) {
    text.set(forms[chosen]![index]!, at);
  }
  return modes[chosen]!;
}

function readSites(patching: Patching): Site[] {
  const { image, text } = patching;
  const table = image.section(".retpoline_sites");
  const thunks = image.offset("__x86_indirect_thunk_array");
  if (thunks === undefined) return [];
  const sites: Site[] = [];
  for (const at of relativeOffsets(image, table)) {
    const instruction = decodeInstruction(text, at);
    if (instruction === undefined) continue;
    const { length, relative, immediateSize } = instruction;
    if (!relative || immediateSize !== 4) continue;
    if (!inImage(patching, at, length)) continue;
    // A prefix may stand before the opcode: the distance is what comes last
    const target = branchTarget(text, at + length - 5, at + length - 5);
    const register = (target - thunks) / THUNK_SIZE;
    const isThunk = Number.isInteger(register) && register >= 0 &&
      register < REGISTERS;
    if (isThunk) sites.push({ at, instruction, register });
  }
  return sites;
}

/** What stands at a site (`patch_retpoline`, `emit_indirect`). */
function form(
  { text }: Patching,
  { at, instruction, register }: Site,
  { kind, padded }: RetpolineMode,
  style: NopStyle,
): Uint8Array {
  const { length, map, opcode } = instruction;
  const original = text.subarray(at, at + length);
  if (kind === "thunk") return original.slice();
  const code: number[] = [];
  const isCondition = map === 2;
  // A conditional jump becomes one over the jump
  if (isCondition) code.push(0x70 + ((opcode & 0xf) ^ 1), length - 2);
  const jumps = isCondition || opcode === JUMP;
  if (kind === "lfence") code.push(...LFENCE);
  const extended = register >= 8;
  const left = Math.max(0, length - code.length - 2 - Number(extended));
  const prefixes = padded && !jumps && left <= 3 ? left : 0;
  for (let i = 0; i < prefixes; i++) code.push(CS);
  if (extended) code.push(0x41);
  code.push(0xff, (jumps ? 0xe0 : 0xd0) + (register & 7));
  if (jumps && code.length < length) code.push(INT3);
  if (padded && jumps) { while (code.length < length) code.push(INT3); }
  while (code.length < length) code.push(NOP);
  const bytes = Uint8Array.from(code);
  mergeNops(bytes, 0, bytes.length, style);
  return bytes.length === length ? bytes : original.slice();
}
