import { apt } from "./apt.ts";
import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { hostCommand } from "./host_command.ts";

/**
 * Fetches Debian packages by the host's apt and unpacks them into one directory
 * of the cache, without installing them. Returns that directory.
 *
 * What is in the cache is taken as it is: remove the cache to get newer ones.
 *
 * @param label start of the directory's name, for people.
 * @param suite where the packages are from, the host's own if not given.
 */
export async function fetchPackages(
  label: string,
  names: readonly string[],
  suite?: string,
): Promise<string> {
  const inputs = suite === undefined ? names : [suite, ...names];
  const name = `${label}-${await contentKey(inputs)}`;
  return await cached(name, async (path) => {
    const archives = `${path}/archives`;
    await Deno.mkdir(archives, { recursive: true });
    await apt(["apt-get", "download", ...names], { suite, cwd: archives });
    for await (const { name } of Deno.readDir(archives)) {
      await hostCommand(["dpkg", "-x", `${archives}/${name}`, path]);
    }
    await Deno.remove(archives, { recursive: true });
  });
}
