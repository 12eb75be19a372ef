import type { TrustedRegion } from "../trusted_region.ts";
import { trustRegion } from "../trusted_region.ts";
import type { GuardedKernel } from "./guarded_kernel.ts";

/** The regions of a kernel with their trusted copies. */
export function trustedRegions(
  { guest, profile }: GuardedKernel,
): TrustedRegion[] {
  return profile.regions.map((region) => trustRegion(guest, region));
}
