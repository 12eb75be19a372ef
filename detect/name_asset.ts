import type { Finding } from "./finding.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** The rule on each kind of asset. */
export const ASSET_RULES = {
  "system call dispatch": rules.systemCalls,
  "descriptor table": rules.descriptorTables,
} as const;

/** Puts a finding under the rule and the name of the asset that it is in. */
export function nameAsset(finding: Finding, region: TrustedRegion): Finding {
  const asset = region.assets?.find(({ start, size }) =>
    finding.address < start + BigInt(size) &&
    finding.address + BigInt(finding.found?.length ?? 1) > start
  );
  if (asset === undefined) return finding;
  return { ...finding, rule: ASSET_RULES[asset.kind], what: asset.name };
}
