import type { Rung } from "../xen/protection.ts";
import { ASSET_RULES } from "./name_asset.ts";
import type { ResponsePlan } from "./response_plan.ts";
import { type Rule, rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** Why a rung does not discard every write, if it does not */
const HOLES: Readonly<Partial<Record<Rung, string>>> = {
  protect: "protect: a kernel that knows Xen can write",
  dirty: "dirty",
  poll: "poll",
};

/**
 * Tells of the regions whose writes are to be blocked and may land all the
 * same.
 *
 * @param rungs One for each region, in order
 */
export function unblockedRegions(
  regions: readonly TrustedRegion[],
  rungs: readonly Rung[],
  plan: ResponsePlan,
): string | undefined {
  const told = regions.flatMap((region, index) => {
    const hole = HOLES[rungs[index]!];
    const wanted = rulesOf(region).some((rule) =>
      plan.of(rule).response === "block"
    );
    return hole === undefined || !wanted ? [] : [`${region.name} (${hole})`];
  });
  if (told.length === 0) return undefined;
  return `writes there may land, and are told, not blocked: ${told.join(", ")}`;
}

/** The rules on a region's contents. */
function rulesOf({ kind, assets = [] }: TrustedRegion): readonly Rule[] {
  return [
    kind === "code" ? rules.kernelText : rules.invariantData,
    ...assets.map(({ kind }) => ASSET_RULES[kind]),
  ];
}
