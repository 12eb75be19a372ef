import { hostCommand } from "./host_command.ts";
import { oneOf } from "./one_of.ts";

/**
 * Finds the shared libraries that programs need, and those that these need,
 * in a directory of unpacked packages. Returns paths by soname.
 *
 * @param root the directory, with Debian's layout.
 * @param start paths of programs and libraries to start from.
 * @throws {Error} if a library is not there: a package is missing.
 */
export async function sharedLibraries(
  root: string,
  start: Iterable<string>,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let files = [...start];
  while (files.length > 0) {
    const dynamic = new TextDecoder().decode(
      await hostCommand(["readelf", "-d", ...files]),
    );
    files = [];
    for (const [, name] of dynamic.matchAll(/\(NEEDED\).*\[(.*)\]$/gm)) {
      if (found.has(name!)) continue;
      const path = await findLibrary(root, name!);
      found.set(name!, path);
      files.push(path);
    }
  }
  return found;
}

/**
 * Finds a shared library in a directory of unpacked packages.
 *
 * @param root the directory, with Debian's layout.
 * @throws {Error} if it is not there: a package is missing.
 */
export async function findLibrary(
  root: string,
  name: string,
): Promise<string> {
  return await oneOf(
    root,
    ["lib", "usr/lib"].map((directory) =>
      `${directory}/x86_64-linux-gnu/${name}`
    ),
  );
}
