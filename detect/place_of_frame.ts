import { type Guest, PAGE_SIZE } from "./guest.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/**
 * Finds the region whose page a guest frame is at this moment.
 *
 * @returns The region, and where in it the page begins, bytes
 */
export function placeOfFrame(
  guest: Guest,
  regions: readonly TrustedRegion[],
  frame: bigint,
): { readonly region: TrustedRegion; readonly at: number } | undefined {
  for (const region of regions) {
    const page = guest.walks(region.start, region.size).findIndex((walk) =>
      walk.kind === "mapped" && walk.frame === frame
    );
    if (page >= 0) return { region, at: page * PAGE_SIZE };
  }
  return undefined;
}
