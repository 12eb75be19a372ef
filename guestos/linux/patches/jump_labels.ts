import { nop } from "../../x86/nops.ts";
import type { TextSite } from "../sites.ts";
import { branch, BRANCH_SIZE, JUMP } from "../x86_branch.ts";
import { inText, type Patching } from "./patching.ts";

const STRIDE = 16;
const JUMP_SHORT = 0xeb;
const SHORT_SIZE = 2;
const OPERAND_SIZE = 0x66;

/** Low bits of a key: which way it branches, and whether its code is freed */
const BRANCH = 1;
const FLAGS = 3;

/**
 * A place that jumps or not by a static key (`struct jump_entry`,
 * include/linux/jump_label.h): it has two forms, and the key tells which.
 *
 * @param entry The table's entry, 16 bytes
 * @param place Offset of the entry
 * @param code What is at the place, for its size
 */
export function jumpLabel(
  entry: DataView,
  place: number,
  code: Uint8Array,
): TextSite {
  const at = place + entry.getInt32(0, true);
  const target = place + 4 + entry.getInt32(4, true);
  const raw = place + 8 + Number(entry.getBigInt64(8, true));
  const inverted = (raw & BRANCH) !== 0;
  const key = raw - (raw & FLAGS);
  const [first] = code;
  const short = first === JUMP_SHORT || first === OPERAND_SIZE;
  const size = short ? SHORT_SIZE : BRANCH_SIZE;
  const jump = short
    ? Uint8Array.of(JUMP_SHORT, (target - at - SHORT_SIZE) & 0xff)
    : branch(JUMP, at, target);
  const stay = nop(size);
  return {
    kind: "jump label",
    at,
    size,
    // On, where it counts somebody who wants it
    forms: (guest) => guest.s32(key) > 0 !== inverted ? [jump] : [stay],
    others: [jump, stay],
  };
}

/** The places in the kernel's text that jump or not by static keys. */
export function* jumpLabels(patching: Patching): Generator<TextSite> {
  const { image } = patching;
  const table = image.table("__jump_table");
  if (table === undefined) return;
  const end = table.offset + table.size;
  for (let place = table.offset; place + STRIDE <= end; place += STRIDE) {
    const at = place + image.view.getInt32(place, true);
    if (!inText(patching, at, SHORT_SIZE)) continue;
    const { buffer, byteOffset } = image.bytes;
    const entry = new DataView(buffer, byteOffset + place, STRIDE);
    const site = jumpLabel(entry, place, image.bytes.subarray(at, at + 1));
    if (inText(patching, at, site.size)) yield site;
  }
}
