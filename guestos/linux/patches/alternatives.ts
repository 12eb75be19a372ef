import { decodeInstruction } from "../../x86/decode_instruction.ts";
import { branch, BRANCH_SIZE, CALL, JUMP } from "../x86_branch.ts";
import { mergeNops, type NopStyle } from "./fill_nops.ts";
import { inText, type Patching } from "./patching.ts";

const NOP = 0x90;
const INT3 = 0xcc;
const JUMP_SHORT = 0xeb;
/** `call *distance(%rip)` */
const CALL_INDIRECT = [0xff, 0x15] as const;
const CALL_INDIRECT_SIZE = 6;

/** In the number of the feature, where entries have 12 bytes */
const NOT_IN_FEATURE = 0x8000;
/** In the flags, where entries have 14 bytes */
const FLAG_NOT = 1;
const FLAG_DIRECT_CALL = 2;

/** `MAX_PATCH_LEN` */
const MAX_LENGTH = 255;

/** One way to replace instructions (`struct alt_instr`). */
interface Alternative {
  /** Offset of the instructions */
  readonly at: number;
  /** Offset of what may replace them */
  readonly from: number;
  readonly feature: number;
  /** Whether it is for processors without the feature */
  readonly not: boolean;
  readonly directCall: boolean;
  length: number;
  readonly replacementLength: number;
}

/** How a kernel fills gaps; the kind of its alternatives tells. */
export function nopStyle({ image }: Pick<Patching, "image">): NopStyle {
  return image.btf.sizeOf("alt_instr") === 12 ? "runs" : "instructions";
}

function readTable({ image }: Patching): Alternative[] {
  const { view, btf } = image;
  const table = image.section(".altinstructions");
  const size = btf.sizeOf("alt_instr");
  if (table === undefined) return [];
  if (size !== 12 && size !== 14) {
    throw new SyntaxError("The kernel's alternatives are of an unknown kind");
  }
  const entries: Alternative[] = [];
  const end = table.offset + table.size;
  for (let at = table.offset; at + size <= end; at += size) {
    const feature = view.getUint16(at + 8, true);
    const flags = size === 14 ? view.getUint16(at + 10, true) : 0;
    entries.push({
      at: at + view.getInt32(at, true),
      from: at + 4 + view.getInt32(at + 4, true),
      feature: size === 14 ? feature : feature & ~NOT_IN_FEATURE,
      not: size === 14
        ? (flags & FLAG_NOT) !== 0
        : (feature & NOT_IN_FEATURE) !== 0,
      directCall: (flags & FLAG_DIRECT_CALL) !== 0,
      length: view.getUint8(at + size - 2),
      replacementLength: view.getUint8(at + size - 1),
    });
  }
  return entries;
}

/**
 * Replaces instructions by what fits the guest's processor, as
 * `apply_alternatives` does (arch/x86/kernel/alternative.c): in the order of
 * the table, later entries over earlier ones.
 */
export function patchAlternatives(patching: Patching): void {
  const { image, guest } = patching;
  const style = nopStyle(patching);
  const capabilities = image.btf.member("cpuinfo_x86", "x86_capability");
  if (capabilities === undefined || capabilities.size === 0) {
    throw new SyntaxError("The kernel does not tell where its features are");
  }
  const features = guest.bytes(
    image.need("boot_cpu_data") + capabilities.offset,
    capabilities.size,
  );
  const has = (feature: number) =>
    (features[feature >>> 3]! >>> (feature & 7) & 1) === 1;

  const entries = readTable(patching);
  for (const [index, entry] of entries.entries()) {
    // The longest one of those for the same place counts
    if (style === "instructions") {
      for (let i = index + 1; entries[i]?.at === entry.at; i++) {
        const length = Math.max(entry.length, entries[i]!.length);
        entry.length = entries[i]!.length = length;
      }
    }
    const { at, length, feature, not } = entry;
    if (!inText(patching, at, length)) continue;
    const site = image.bytes.subarray(at, at + length);
    if (has(feature) !== not) {
      const code = style === "runs"
        ? replacementByRuns(patching, entry)
        : replacement(patching, entry);
      site.set(code.subarray(0, length));
    }
    mergeNops(image.bytes, at, at + length, style);
  }
}

/** Up to 6.3: one call or jump at the start is all that is relocated. */
function replacementByRuns(
  { image }: Patching,
  { at, from, length, replacementLength }: Alternative,
): Uint8Array {
  const code = new Uint8Array(Math.max(length, replacementLength)).fill(NOP);
  code.set(image.bytes.subarray(from, from + replacementLength));
  if (replacementLength === BRANCH_SIZE) {
    const target = from + BRANCH_SIZE +
      new DataView(code.buffer).getInt32(1, true);
    if (code[0] === CALL) code.set(branch(CALL, at, target));
    if (code[0] === JUMP) {
      const short = target - at - 2;
      if (target >= at ? short <= 127 : (short & 0xff) === short) {
        code.set([JUMP_SHORT, short & 0xff, 0x0f, 0x1f, 0x00]);
      } else code.set(branch(JUMP, at, target));
    }
  }
  return code;
}

/** From 6.4 on: whatever leads out of the replacement is relocated. */
function replacement(
  patching: Patching,
  entry: Alternative,
): Uint8Array {
  const { image } = patching;
  const { at, from, length, replacementLength } = entry;
  const code = new Uint8Array(MAX_LENGTH).fill(NOP);
  code.set(image.bytes.subarray(from, from + replacementLength));
  if (entry.directCall && !makeDirect(patching, entry, code)) code.fill(NOP);
  const view = new DataView(code.buffer);
  const leaves = (target: number) => target < 0 || target > replacementLength;
  for (let i = 0; i < length;) {
    const instruction = decodeInstruction(code, i);
    if (instruction === undefined) break;
    const next = i + instruction.length;
    const { map, opcode, immediateAt, immediateSize, ripDisplacementAt } =
      instruction;
    const isBranch = map === 1 &&
        (opcode >= 0x70 && opcode <= 0x7f || opcode === JUMP_SHORT ||
          opcode === JUMP || opcode === CALL) ||
      map === 2 && opcode >= 0x80 && opcode <= 0x8f;
    if (isBranch) {
      const place = i + immediateAt;
      const distance = immediateSize === 1
        ? view.getInt8(place)
        : view.getInt32(place, true);
      if (leaves(next + distance)) {
        if (immediateSize === 1) view.setInt8(place, distance + from - at);
        else view.setInt32(place, distance + from - at, true);
      }
      if (map === 1 && opcode === JUMP) {
        const short = distance + from - at + 3;
        if (short >= -128 && short <= 127) {
          code.set([JUMP_SHORT, short & 0xff], i);
          code.fill(INT3, i + 2, next);
        }
      }
    }
    if (ripDisplacementAt !== undefined) {
      const place = i + ripDisplacementAt;
      const distance = view.getInt32(place, true);
      if (leaves(next + distance)) {
        view.setInt32(place, distance + from - at, true);
      }
    }
    i = next;
  }
  return code;
}

/**
 * Turns the call of `BUG_func` in a replacement into one of the function that
 * the call through memory at the site leads to (`alt_replace_call`).
 *
 * @returns Whether there is a call: `nop_func` needs none
 */
function makeDirect(
  { image, guest }: Patching,
  { at, length }: Alternative,
  code: Uint8Array,
): boolean {
  const { bytes, view } = image;
  const fits = length === CALL_INDIRECT_SIZE && code[0] === CALL &&
    CALL_INDIRECT.every((byte, index) => bytes[at + index] === byte);
  if (!fits) throw new SyntaxError("An alternative calls in an unknown way");
  const slot = at + CALL_INDIRECT_SIZE + view.getInt32(at + 2, true);
  const bug = image.need("BUG_func");
  const target = guest.pointer(slot) ?? bug;
  if (target === image.offset("nop_func")) return false;
  const distance = new DataView(code.buffer);
  distance.setInt32(1, distance.getInt32(1, true) + target - bug, true);
  return true;
}
