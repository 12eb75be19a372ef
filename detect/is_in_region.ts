import { covers } from "./covers.ts";
import type { Finding } from "./finding.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** Whether a finding says that a region's bytes are not the trusted ones. */
export function isInRegion(
  { seen, what, address }: Finding,
  region: TrustedRegion,
): boolean {
  const { name, assets = [] } = region;
  return seen === "compare" && covers(region, address) &&
    (what === name || assets.some((asset) => asset.name === what));
}
