/** What one module takes from another one. */
export interface Import {
  /** Path of the other module in the tree */
  readonly path: string;
  /** Names of the values that are taken; none if only types are */
  readonly values: readonly string[];
}

/** A module of the tree. */
export interface Module {
  /** From the root of the tree: `xen/store.ts` */
  readonly path: string;
  readonly source: string;
  readonly imports: readonly Import[];
  /** Other modules that it names by their paths, to run them */
  readonly files: readonly string[];
}

const STATEMENT =
  /^(?:import|export)\s+(type\s+)?([^;"'`]*?)\s*from\s+"(.+?)"/gm;
const BARE = /^import\s+"(.+?)"/gm;
const DYNAMIC = /\bimport\(\s*"(.+?)"\s*\)/g;
const FILE = /new URL\(\s*"(.+?)",\s*import\.meta\.url,?\s*\)/g;
/** `${ROOT}tests/build/stand_in.ts` */
const ROOTED = /\b((?:\w+\/)+\w+\.ts)["'`]/g;
const TYPES = /^\/\/ @ts-types="(.+?)"/gm;

/** `./b.ts` in `a/c.ts` as a path from the root, or what it is by an alias. */
function resolve(
  from: string,
  specifier: string,
  aliases: Readonly<Record<string, string>>,
): string | undefined {
  const alias = aliases[specifier];
  const base = alias === undefined ? `file:///${from}` : "file:///deno.json";
  const target = alias ?? specifier;
  return target.startsWith(".")
    ? new URL(target, base).pathname.slice(1)
    : undefined;
}

/** Names of values in `{ a, type B, c as d }`, `* as e` or `f`. */
function valuesOf(clause: string): string[] {
  const names = clause.replace(/^\{|\}$/g, "").split(",");
  return names.map((name) => name.trim()).filter((name) =>
    name !== "" && !name.startsWith("type ")
  ).map((name) => name.split(" as ")[0]!.trim());
}

/**
 * Reads what a module imports from other modules of the tree.
 *
 * @param aliases Bare names that lead into the tree
 */
export function parseModule(
  path: string,
  source: string,
  aliases: Readonly<Record<string, string>> = {},
): Module {
  const imports: Import[] = [];
  const add = (specifier: string, values: readonly string[]) => {
    const target = resolve(path, specifier, aliases);
    if (target !== undefined) imports.push({ path: target, values });
  };
  for (const [, type, clause, specifier] of source.matchAll(STATEMENT)) {
    add(specifier!, type === undefined ? valuesOf(clause!) : []);
  }
  for (const [, specifier] of source.matchAll(BARE)) add(specifier!, ["*"]);
  for (const [, specifier] of source.matchAll(DYNAMIC)) add(specifier!, ["*"]);
  for (const [, specifier] of source.matchAll(TYPES)) add(specifier!, []);
  const files = [
    ...Array.from(
      source.matchAll(FILE),
      ([, file]) => new URL(file!, `file:///${path}`).pathname.slice(1),
    ),
    ...Array.from(source.matchAll(ROOTED), ([, file]) => file!),
  ];
  return { path, source, imports, files };
}
