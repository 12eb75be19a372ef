import { nop } from "../../x86/nops.ts";
import type { GuestReader } from "../guest_reader.ts";
import type { TextSite } from "../sites.ts";
import { branch, BRANCH_SIZE, CALL, JUMP } from "../x86_branch.ts";
import { type CodeImage, inText, type Patching } from "./patching.ts";
import { RETURN, returnCode, type ReturnThunk } from "./returns.ts";

/** Bytes of an entry of the table, and where its key is named in it */
export const STATIC_CALL_STRIDE = 8;
export const KEY_PLACE = 4;

const TAIL = 1;
const FLAGS = 3;
const CONDITION = 0x0f;
const CONDITION_SIZE = 6;

/** `cs cs cs xor %eax, %eax`: in place of a call that returns 0 */
const RETURN_0 = [0x2e, 0x2e, 0x2e, 0x31, 0xc0] as const;
/** `ud1 (%edx), %rdi`: in place of a call of `__WARN_trap` */
const WARN = [0x67, 0x48, 0x0f, 0xb9, 0x3a] as const;

/** What stands in place of calls of nothing, and of what needs none */
const CALL_FORMS = [
  nop(BRANCH_SIZE),
  Uint8Array.from(RETURN_0),
  Uint8Array.from(WARN),
];

/**
 * What stands in place of a jump to nothing. Before mitigations are chosen a
 * plain return is written, and may stay.
 */
function tailForms(thunk: ReturnThunk, at: number): Uint8Array[] {
  return [returnCode(thunk, at), Uint8Array.from(RETURN)];
}

/** Names of a trampoline and of the key that it belongs to */
export const TRAMPOLINE_PREFIX = "__SCT__";
export const KEY_PREFIX = "__SCK__";

/**
 * A place that calls what a static call's key names (`struct
 * static_call_site`, include/linux/static_call_types.h).
 *
 * @param image The kernel
 * @param thunk How it returns
 * @param entry The table's entry, 8 bytes
 * @param place Offset of the entry
 * @param code What is at the place, for its kind
 */
export function staticCall(
  image: CodeImage,
  thunk: ReturnThunk,
  entry: DataView,
  place: number,
  code: Uint8Array,
): TextSite {
  const at = place + entry.getInt32(0, true);
  const raw = place + KEY_PLACE + entry.getInt32(KEY_PLACE, true);
  const isTail = (raw & TAIL) !== 0;
  const [first, condition = 0] = code;
  const isCondition = isTail && first === CONDITION &&
    (condition & 0xf0) === 0x80;
  const key = raw - (raw & FLAGS);
  return {
    kind: "static call",
    at,
    size: isCondition ? CONDITION_SIZE : BRANCH_SIZE,
    forms: forms(
      image,
      thunk,
      at,
      key,
      isTail,
      isCondition ? condition : undefined,
    ),
    others: isCondition ? [] : isTail ? tailForms(thunk, at) : CALL_FORMS,
  };
}

/**
 * The places in the kernel's text that call what static calls' keys name, and
 * the trampolines that do the same for modules.
 */
export function* staticCalls(
  patching: Patching,
  thunk: ReturnThunk,
): Generator<TextSite> {
  const { image } = patching;
  const table = image.table("static_call_sites");
  const end = table === undefined ? 0 : table.offset + table.size;
  const stride = STATIC_CALL_STRIDE;
  for (let place = table?.offset ?? 0; place + stride <= end; place += stride) {
    const at = place + image.view.getInt32(place, true);
    if (!inText(patching, at, BRANCH_SIZE)) continue;
    const { buffer, byteOffset } = image.bytes;
    const entry = new DataView(buffer, byteOffset + place, stride);
    const code = image.bytes.subarray(at, at + 2);
    const site = staticCall(image, thunk, entry, place, code);
    if (inText(patching, at, site.size)) yield site;
  }
  for (const index of image.symbols.beginning(TRAMPOLINE_PREFIX)) {
    const { name } = image.symbols.at(index);
    const at = image.offset(name);
    const key = image.offset(KEY_PREFIX + name.slice(TRAMPOLINE_PREFIX.length));
    if (at === undefined || key === undefined) continue;
    if (!inText(patching, at, BRANCH_SIZE)) continue;
    yield {
      kind: "static call trampoline",
      at,
      size: BRANCH_SIZE,
      forms: forms(image, thunk, at, key, true, undefined),
      others: tailForms(thunk, at),
    };
  }
}

/** What `__static_call_transform` writes (arch/x86/kernel/static_call.c). */
function forms(
  image: CodeImage,
  thunk: ReturnThunk,
  at: number,
  key: number,
  isTail: boolean,
  condition: number | undefined,
): (guest: GuestReader) => Uint8Array[] {
  const return0 = image.offset("__static_call_return0");
  const warn = image.offset("__WARN_trap");
  return (guest) => {
    const target = guest.pointer(key);
    if (condition !== undefined) {
      const targets = target === undefined
        ? [
          thunk.offset,
          image.offset("__static_call_return"),
          image.offset("__x86_return_thunk"),
        ].filter((offset) => offset !== undefined)
        : [target];
      return targets.map((target) =>
        Uint8Array.of(
          CONDITION,
          condition,
          ...branch(JUMP, at + 1, target).subarray(1),
        )
      );
    }
    if (isTail) {
      return target === undefined
        ? tailForms(thunk, at)
        : [branch(JUMP, at, target)];
    }
    if (target === undefined) return [nop(BRANCH_SIZE)];
    if (target === return0) return [Uint8Array.from(RETURN_0)];
    if (target === warn) return [Uint8Array.from(WARN)];
    return [branch(CALL, at, target)];
  };
}
