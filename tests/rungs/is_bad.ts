import type { RungOutcome } from "./rung_outcome.ts";

/** Whether an attack landed and nobody told, or something else is wrong. */
export function isBad({ result, rules, wrong }: RungOutcome): boolean {
  return (result === "landed" && rules.length === 0) || wrong.length > 0;
}
