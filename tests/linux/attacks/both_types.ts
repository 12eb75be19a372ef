import type { Attack } from "./attack.ts";

/** The same rules for guests of both types. */
export function bothTypes(...ids: readonly string[]): Attack["rules"] {
  return { pv: ids, pvh: ids };
}
