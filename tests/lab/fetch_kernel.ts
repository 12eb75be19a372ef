import { apt } from "./apt.ts";
import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { extractVmlinux } from "./extract_vmlinux.ts";
import { fetchPackages } from "./fetch_packages.ts";
import { oneOf } from "./one_of.ts";

/** A Linux kernel of Debian, in the cache. */
export interface Kernel {
  /** What `uname -r` says, for example `6.1.0-56-amd64`. */
  release: string;
  /** Path of the uncompressed kernel (ELF). */
  vmlinux: string;
  /** Path of the compressed kernel (bzImage). */
  image: string;
  /** Directory of the kernel's modules, `lib/modules/RELEASE`. */
  modules: string;
  /**
   * Path of the kernel's `System.map`. Debian's holds no symbols, only where
   * they are to be found.
   */
  systemMap: string;
  /** Path of the kernel's configuration. */
  config: string;
}

/** What Debian calls the packages that one kernel consists of. */
const PART = /^linux-(base|binary|image|modules)-\d/;

/**
 * Fetches the kernel of a Debian package.
 *
 * @param name `linux-image-amd64`, or the package of one kernel.
 * @param suite where the package is from, the host's own if not given.
 */
export async function fetchKernel(
  name: string,
  suite?: string,
): Promise<Kernel> {
  const inputs = suite === undefined ? [name] : [suite, name];
  // Which kernel a package without a version stands for is asked only once.
  const choice = await cached(
    `kernel-${await contentKey(inputs)}.package`,
    async (path) => {
      const parts = await kernelPackages(name, suite);
      await Deno.writeTextFile(path, parts.join("\n"));
    },
  );
  const names = (await Deno.readTextFile(choice)).split("\n");
  const root = await fetchPackages("kernel", names, suite);
  const modules = await oneOf(root, ["lib/modules", "usr/lib/modules"]);
  const release = (await Array.fromAsync(Deno.readDir(modules)))
    .map(({ name }) => name)[0];
  if (release === undefined) throw new Error(`${name} holds no kernel`);
  const part = (file: string) =>
    oneOf(root, [
      `boot/${file}-${release}`,
      // Since Debian 14.
      `usr/lib/modules/${release}/${file}`,
    ]);
  const image = await part("vmlinuz");
  const vmlinux = await cached(
    `vmlinux-${await contentKey([root])}`,
    (path) => extractVmlinux(image, path),
  );
  return {
    release,
    vmlinux,
    image,
    modules: `${modules}/${release}`,
    systemMap: await part("System.map"),
    config: await part("config"),
  };
}

/** The package of the kernel that `name` stands for, and its other parts. */
async function kernelPackages(name: string, suite?: string): Promise<string[]> {
  const parts = new Set<string>();
  const asked = new Set([name]);
  // A set yields what is added to it meanwhile.
  for (const asking of asked) {
    if (PART.test(asking)) parts.add(asking);
    const depends = await apt(["apt-cache", "depends", asking], { suite });
    for (const [, found] of depends.matchAll(/^ *Depends: (\S+)$/gm)) {
      if (PART.test(found!)) asked.add(found!);
    }
  }
  return [...parts].sort();
}
