import type { RungOutcome } from "./rung_outcome.ts";

/** Whether an attack landed, or a part of it. */
export function hasLanded(result: RungOutcome["result"]): boolean {
  return result === "landed" || result === "landed in part";
}
