import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { extractVmlinux } from "./extract_vmlinux.ts";
import { fetchPackages } from "./fetch_packages.ts";
import { hostCommand } from "./host_command.ts";

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
  /** Path of the kernel's `System.map`. */
  systemMap: string;
}

/**
 * Fetches the kernel of a Debian package.
 *
 * @param name `linux-image-amd64`, or the package of one kernel.
 */
export async function fetchKernel(name: string): Promise<Kernel> {
  // Which kernel a package without a version stands for is asked only once.
  const choice = await cached(
    `kernel-${await contentKey([name])}.package`,
    async (path) => await Deno.writeTextFile(path, await kernelPackage(name)),
  );
  const root = await fetchPackages("kernel", [await Deno.readTextFile(choice)]);
  const release = (await Array.fromAsync(Deno.readDir(`${root}/lib/modules`)))
    .map(({ name }) => name)[0];
  if (release === undefined) throw new Error(`${name} holds no kernel`);
  const image = `${root}/boot/vmlinuz-${release}`;
  const vmlinux = await cached(
    `vmlinux-${await contentKey([root])}`,
    (path) => extractVmlinux(image, path),
  );
  return {
    release,
    vmlinux,
    image,
    modules: `${root}/lib/modules/${release}`,
    systemMap: `${root}/boot/System.map-${release}`,
  };
}

async function kernelPackage(name: string): Promise<string> {
  const find = async () =>
    new TextDecoder()
      .decode(await hostCommand(["apt-cache", "depends", name]))
      .match(/^ *Depends: (linux-image-\S+)$/m)?.[1] ?? name;
  try {
    return await find();
  } catch {
    // No package lists yet.
    await hostCommand(["apt-get", "update"]);
    return await find();
  }
}
