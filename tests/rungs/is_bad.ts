import { hasLanded } from "./has_landed.ts";
import type { RungOutcome } from "./rung_outcome.ts";

/** Whether an attack landed and nobody told, or something else is wrong. */
export function isBad({ result, rules, wrong }: RungOutcome): boolean {
  return (hasLanded(result) && rules.length === 0) || wrong.length > 0;
}
