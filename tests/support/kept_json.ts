import { exists } from "../lab/exists.ts";

const DIRECTORY = new URL("../../.cache/", import.meta.url);

/**
 * Keeps what a long run had for its result, so that another one can do without.
 *
 * @param name A path in the repository's cache, without `.json`
 */
export async function keepJson(name: string, value: unknown): Promise<void> {
  const file = new URL(`${name}.json`, DIRECTORY);
  await Deno.mkdir(new URL(".", file), { recursive: true });
  await Deno.writeTextFile(file, JSON.stringify(value));
}

/** What was kept by that name; `undefined` if there is nothing. */
export async function keptJson<T>(name: string): Promise<T | undefined> {
  const file = new URL(`${name}.json`, DIRECTORY);
  if (!await exists(file.pathname)) return undefined;
  return JSON.parse(await Deno.readTextFile(file));
}
