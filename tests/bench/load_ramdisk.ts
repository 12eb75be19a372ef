import { cached } from "../lab/cached.ts";
import { contentKey } from "../lab/content_key.ts";
import { program } from "../lab/cpio_entry.ts";
import { hostCommand } from "../lab/host_command.ts";
import { writeCpio } from "../lab/write_cpio.ts";

const source = new URL("guest_load.c", import.meta.url);

/**
 * An initramfs with nothing but `guest_load.c` in it, or the one in the cache.
 *
 * @returns its path.
 */
export async function loadRamdisk(): Promise<string> {
  const key = await contentKey([await Deno.readFile(source)]);
  return await cached(`load-${key}.cpio`, async (path) => {
    const binary = `${path}.init`;
    await hostCommand([
      "gcc",
      ...["-std=gnu11", "-Wall", "-Wextra", "-O2", "-static", "-o", binary],
      source.pathname,
    ]);
    await writeCpio(path, [await program("init", binary)]);
    await Deno.remove(binary);
  });
}
