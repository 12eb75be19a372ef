import { run } from "../../guestos/testing/run.ts";

/**
 * Compiles a shared library that stands in for one of Xen's.
 *
 * @param path Where it is to be; the source stays beside it
 * @param source C
 * @param macros What the source leaves open
 * @returns The path
 */
export async function stubLibrary(
  path: string,
  source: string,
  macros: Readonly<Record<string, string | number>> = {},
): Promise<string> {
  await Deno.writeTextFile(`${path}.c`, source);
  const defines = Object.entries(macros).map(([name, value]) =>
    `-D${name}=${value}`
  );
  const options = ["-shared", "-fPIC", "-Wall", "-Werror", ...defines];
  await run("gcc", ...options, "-o", path, `${path}.c`);
  return path;
}
