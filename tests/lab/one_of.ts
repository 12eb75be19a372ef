import { exists } from "./exists.ts";

/**
 * Returns the first of these paths below `root` that is there.
 *
 * @throws {Error} if none of them is.
 */
export async function oneOf(
  root: string,
  paths: readonly string[],
): Promise<string> {
  for (const path of paths) {
    if (await exists(`${root}/${path}`)) return `${root}/${path}`;
  }
  throw new Error(`${root} holds none of ${paths}`);
}
