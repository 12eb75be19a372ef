import type { XenHost } from "./host.ts";
import { tellWritten } from "./tell_written.ts";

/**
 * Writes within one frame of a PVH or HVM guest.
 *
 * @param domain Domain id
 * @param frame Guest frame
 * @param offset Of the first byte on it
 * @throws {RangeError} If Xen refuses the frame
 */
export function writeHvmFrame(
  host: Pick<XenHost, "deviceModel" | "frames">,
  domain: number,
  frame: bigint,
  offset: number,
  bytes: Uint8Array,
): void {
  using mapping = host.frames.mapWritable(domain, [frame]);
  new Uint8Array(mapping.bytes).set(bytes, offset);
  tellWritten(host, domain, frame);
}
