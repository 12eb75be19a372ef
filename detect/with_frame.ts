const FRAME_MASK = 0x000f_ffff_ffff_f000n;
const FRAME_SHIFT = 12n;

/**
 * A page-table entry as if it led to another frame.
 *
 * @example
 * ```ts
 * import { withFrame } from "./with_frame.ts";
 *
 * console.assert(withFrame(0x8000_0000_0000_1063n, 2n) === 0x8000_0000_0000_2063n);
 * ```
 */
export function withFrame(entry: bigint, frame: bigint): bigint {
  return entry & ~FRAME_MASK | frame << FRAME_SHIFT;
}
