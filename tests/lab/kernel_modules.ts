import { hostCommand } from "./host_command.ts";

/** A kernel module, ready to be loaded. */
export interface KernelModule {
  /** Name with underscores, for example `xen_privcmd`. */
  name: string;
  /** The uncompressed module. */
  data: Uint8Array;
}

/** Programs that unpack a module, by the end of its name. */
const UNPACKERS: Record<string, string> = { ".xz": "xz", ".zst": "zstd" };

/**
 * Reads modules and those that they depend on, in the order to load them.
 * A name without a file is taken as built into the kernel.
 *
 * @param directory `lib/modules/RELEASE`.
 */
export async function kernelModules(
  directory: string,
  names: Iterable<string>,
): Promise<KernelModule[]> {
  const paths = await moduleFiles(`${directory}/kernel`);
  const loaded = new Map<string, KernelModule>();
  async function load(name: string) {
    name = name.replaceAll("-", "_");
    const path = paths.get(name);
    if (path === undefined || loaded.has(name)) return;
    const unpacker = UNPACKERS[path.slice(path.lastIndexOf("."))];
    const data = unpacker === undefined
      ? await Deno.readFile(path)
      : await hostCommand([unpacker, "-dc", path]);
    for (const dependency of dependencies(data)) await load(dependency);
    loaded.set(name, { name, data });
  }
  for (const name of names) await load(name);
  return [...loaded.values()];
}

async function moduleFiles(
  directory: string,
  found = new Map<string, string>(),
): Promise<Map<string, string>> {
  for await (const entry of Deno.readDir(directory)) {
    const path = `${directory}/${entry.name}`;
    const name = entry.name.match(/^(.*)\.ko(\.xz|\.zst)?$/)?.[1];
    if (entry.isDirectory) await moduleFiles(path, found);
    else if (name) found.set(name.replaceAll("-", "_"), path);
  }
  return found;
}

/** What the module's `.modinfo` section says: `depends=a,b`. */
function dependencies(module: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(module);
  return text.match(/\0depends=([^\0]+)\0/)?.[1]?.split(",") ?? [];
}
