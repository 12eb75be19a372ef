import { exists } from "../../lab/exists.ts";
import { ATTACKS } from "./catalog.ts";
import type { Column } from "./column.ts";

const DIRECTORY = new URL("../../../.cache/matrix/", import.meta.url);

function fileOf({ version, type }: Pick<Column, "version" | "type">): URL {
  return new URL(`${version}-${type}.json`, DIRECTORY);
}

/** Keeps a whole column, so that others can be made anew without it. */
export async function keepColumn(column: Column): Promise<void> {
  await Deno.mkdir(DIRECTORY, { recursive: true });
  await Deno.writeTextFile(fileOf(column), JSON.stringify(column));
}

/** A column that was kept; `undefined` if there is none with these attacks. */
export async function keptColumn(
  column: Pick<Column, "version" | "type">,
): Promise<Column | undefined> {
  const file = fileOf(column);
  if (!await exists(file.pathname)) return undefined;
  const kept: Column = JSON.parse(await Deno.readTextFile(file));
  const names = (list: readonly { name: string }[]) =>
    list.map(({ name }) => name).join();
  return names(kept.outcomes) === names(ATTACKS) ? kept : undefined;
}
