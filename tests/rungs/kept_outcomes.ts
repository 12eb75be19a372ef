import { keepJson, keptJson } from "../support/kept_json.ts";
import type { RungColumn } from "./columns.ts";
import type { RungOutcome } from "./rung_outcome.ts";

function nameOf({ guest, host, type, rung }: RungColumn): string {
  return `rungs/${guest}-${host}-${type}-${rung}`;
}

/** Keeps a column's outcomes, so that others can be made anew without them. */
export async function keepOutcomes(
  column: RungColumn,
  outcomes: readonly RungOutcome[],
): Promise<void> {
  await keepJson(nameOf(column), outcomes);
}

/** A column's outcomes that were kept; `undefined` if there are none. */
export async function keptOutcomes(
  column: RungColumn,
): Promise<readonly RungOutcome[] | undefined> {
  return await keptJson(nameOf(column));
}
