import { quiet } from "./quiet.ts";
import type { Target } from "./target.ts";

const STRIDE = 16;

/** A jump label, by offsets from the kernel's start. */
export interface JumpLabel {
  /** Where the code is */
  readonly at: number;
  /** Where it jumps to, if it does */
  readonly to: number;
  /** Where the table's entry is in the guest's memory */
  readonly entry: number;
}

/**
 * The jump label of a quiet tracepoint, by the table in the guest's memory: the
 * kernel sorts it, so that it is elsewhere in the file's.
 */
export function loaderJump(target: Target): JumpLabel {
  const { image, guest } = target;
  const start = target.offset("__start___jump_table");
  const size = target.offset("__stop___jump_table") - start;
  const table = new DataView(guest.read(image.address(start), size).buffer);
  const tracepoint = target.offset(quiet.tracepoint);
  const code = target.offset(quiet.loader);
  for (let place = 0; place + STRIDE <= size; place += STRIDE) {
    const entry = start + place;
    const at = entry + table.getInt32(place, true);
    const to = entry + 4 + table.getInt32(place + 4, true);
    const key = entry + 8 + Number(table.getBigInt64(place + 8, true));
    const ofTracepoint = key >= tracepoint &&
      key < tracepoint + target.sizeOf(quiet.tracepoint);
    const inside = at >= code && at < code + target.sizeOf(quiet.loader);
    // Those of two bytes cannot reach everywhere
    const isLong = image.bytes[at] === 0x0f;
    if (ofTracepoint && inside && isLong) {
      return { at, to, entry };
    }
  }
  throw new TypeError(`${quiet.loader} has no such jump label`);
}
