import { memoryTypes } from "./device_model.ts";
import type { XenHost } from "./host.ts";

/**
 * Those of some frames of a PVH or HVM guest that are ordinary memory, which
 * nothing keeps it from writing and whose writes nobody logs.
 *
 * @param domain Domain id
 * @param frames Guest frames
 * @throws {XenError} If Xen refuses
 */
export function ordinaryFrames(
  { hypercalls }: Pick<XenHost, "hypercalls">,
  domain: number,
  frames: readonly bigint[],
): bigint[] {
  if (frames.length === 0) return [];
  const types = hypercalls.typesOf(domain, frames);
  return frames.filter((_, index) => types[index] === memoryTypes.writable);
}
