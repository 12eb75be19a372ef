import type { Finding } from "./finding.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** Whether a finding says that a region's bytes are not the trusted ones. */
export function isInRegion(
  { seen, what, address }: Finding,
  { name, start, size, assets = [] }: TrustedRegion,
): boolean {
  return seen === "compare" && address >= start &&
    address < start + BigInt(size) &&
    (what === name || assets.some((asset) => asset.name === what));
}
