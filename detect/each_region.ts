import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Told } from "./finding.ts";
import type { Rule } from "./rules.ts";
import { tellUnreadable } from "./tell_unreadable.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/**
 * Looks at regions one by one. One that is unreadable is told and does not
 * hide what the others show.
 *
 * @param look Looks at one region
 */
export function* eachRegion(
  rule: Rule,
  symbols: SymbolTable,
  regions: readonly TrustedRegion[],
  look: (region: TrustedRegion) => Iterable<Told>,
): Generator<Told> {
  for (const region of regions) {
    try {
      yield* look(region);
    } catch (error) {
      yield tellUnreadable(rule, symbols, error);
    }
  }
}
