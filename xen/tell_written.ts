import type { XenHost } from "./host.ts";
import { unlessGone } from "./unless_gone.ts";

/**
 * Tells Xen that Dom0 wrote to a frame of a PVH or HVM guest: a live migration
 * would send it no more.
 *
 * @param domain Domain id
 * @param frame Guest frame
 * @throws {XenError} If Xen refuses for another reason than that it is gone
 */
export function tellWritten(
  { deviceModel }: Pick<XenHost, "deviceModel">,
  domain: number,
  frame: bigint,
): void {
  unlessGone(() => deviceModel.markWritten(domain, frame));
}
