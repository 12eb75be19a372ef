import type { XenHost } from "./host.ts";
import { unlessGone } from "./unless_gone.ts";

/**
 * Lets a guest write to pages again that a trap has closed.
 *
 * @param domain Domain id
 * @param frames Guest frames
 * @throws {XenError} If Xen refuses
 */
export function openTrap(
  { control }: XenHost,
  domain: number,
  frames: readonly bigint[],
): void {
  if (frames.length === 0) return;
  unlessGone(() => control.setAccess(domain, frames, "rwx"));
}
