import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import type { XenRelease } from "./xen_release.ts";

/** Unpacks the hypervisor, or takes it from the cache. Returns its path. */
export async function hypervisor(
  release: XenRelease,
  packages: string,
): Promise<string> {
  const packed = `${packages}/${release.hypervisor}`;
  return await cached(
    `hypervisor-${await contentKey([packed])}`,
    async (path) => {
      using file = await Deno.open(packed);
      await Deno.writeFile(
        path,
        file.readable.pipeThrough(new DecompressionStream("gzip")),
      );
    },
  );
}
