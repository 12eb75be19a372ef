import { keepJson, keptJson } from "../../support/kept_json.ts";
import { ATTACKS } from "./catalog.ts";
import type { Column } from "./column.ts";

function nameOf({ version, type }: Pick<Column, "version" | "type">): string {
  return `matrix/${version}-${type}`;
}

/** Keeps a whole column, so that others can be made anew without it. */
export async function keepColumn(column: Column): Promise<void> {
  await keepJson(nameOf(column), column);
}

/** A column that was kept; `undefined` if there is none with these attacks. */
export async function keptColumn(
  column: Pick<Column, "version" | "type">,
): Promise<Column | undefined> {
  const kept = await keptJson<Column>(nameOf(column));
  const names = (list: readonly { name: string }[]) =>
    list.map(({ name }) => name).join();
  return kept !== undefined && names(kept.outcomes) === names(ATTACKS)
    ? kept
    : undefined;
}
