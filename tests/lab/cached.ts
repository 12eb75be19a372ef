import { exists } from "./exists.ts";
import { poll } from "./poll.ts";

/** Where the lab keeps what it made: `.cache/lab` in the repository. */
export const CACHE = new URL("../../.cache/lab", import.meta.url).pathname;

/**
 * Returns the path of the cache's entry `name`, made first if it is not there.
 *
 * `make` writes the entry, a file or a directory, to the path that it is given,
 * which becomes the entry only when all went well. Of several processes that
 * ask for one entry at the same time, one makes it and the others wait.
 *
 * @param name file name of the entry; it must change with the entry's inputs.
 * @throws {Deno.errors.TimedOut} if another process takes over 10 minutes.
 */
export async function cached(
  name: string,
  make: (path: string) => Promise<void>,
): Promise<string> {
  const path = `${CACHE}/${name}`;
  if (await exists(path)) return path;
  await Deno.mkdir(CACHE, { recursive: true });
  using lock = await Deno.open(`${path}.lock`, { create: true, write: true });
  await poll(
    async () => await lock.tryLock(true) || undefined,
    {
      timeoutMs: 600_000,
      waitingFor: () => `another process to make ${path}`,
    },
  );
  if (await exists(path)) return path;
  const unfinished = `${path}.unfinished`;
  // Left behind by a process that was killed: the lock says that it is gone.
  if (await exists(unfinished)) {
    await Deno.remove(unfinished, { recursive: true });
  }
  await make(unfinished);
  await Deno.rename(unfinished, path);
  return path;
}
