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
 */
export async function fetchPackages(
  label: string,
  names: readonly string[],
): Promise<string> {
  const name = `${label}-${await contentKey(names)}`;
  return await cached(name, async (path) => {
    const archives = `${path}/archives`;
    await Deno.mkdir(archives, { recursive: true });
    const download = () =>
      hostCommand(
        ["apt-get", "download", "-oAPT::Sandbox::User=root", ...names],
        { cwd: archives },
      );
    try {
      await download();
    } catch {
      // No package lists yet, or lists that name files long replaced.
      await hostCommand(["apt-get", "update"]);
      await download();
    }
    for await (const { name } of Deno.readDir(archives)) {
      await hostCommand(["dpkg", "-x", `${archives}/${name}`, path]);
    }
    await Deno.remove(archives, { recursive: true });
  });
}
