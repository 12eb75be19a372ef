import { targets } from "./targets.ts";
import type { Target } from "./target.ts";

/** Where inputs are kept that once were a violation: `kallsyms-….bin`. */
const FOLDER = new URL("./seeds/", import.meta.url);

/** An input of the past, and whose it is. */
export interface KeptInput {
  readonly target: Target;
  readonly path: string;
  readonly input: Uint8Array<ArrayBuffer>;
}

/**
 * Keeps an input.
 *
 * @returns Its path
 */
export async function keepInput(
  { name }: Target,
  input: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", input);
  const id = new Uint8Array(digest, 0, 6).toHex();
  const { pathname } = new URL(`${name}-${id}.bin`, FOLDER);
  await Deno.mkdir(FOLDER, { recursive: true });
  await Deno.writeFile(pathname, input);
  return pathname;
}

/**
 * Reads a kept input.
 *
 * @throws {TypeError} If its name is of no target
 */
export async function readKept(path: string): Promise<KeptInput> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const target = targets.find((target) => name.startsWith(`${target.name}-`));
  if (target === undefined) throw new TypeError(`${path} is of no target`);
  return { target, path, input: await Deno.readFile(path) };
}

/** All that are kept. */
export async function* keptInputs(): AsyncGenerator<KeptInput> {
  try {
    for await (const { name } of Deno.readDir(FOLDER)) {
      if (name.endsWith(".bin")) {
        yield await readKept(new URL(name, FOLDER).pathname);
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
