import { cached } from "../lab/cached.ts";
import { contentKey } from "../lab/content_key.ts";
import type { Kernel } from "../lab/fetch_kernel.ts";
import { linuxGuest, type LinuxGuestType } from "../lab/linux_guest.ts";
import type { LinuxVersion } from "../lab/linux_kernels.ts";
import { bareCore, bareMachine, type Vendor } from "./bare_core.ts";
import { xenCore, xenCoreConfig } from "./xen_core.ts";

/**
 * How the kernel of a core was booted: as a PV or PVH guest of Xen, which never
 * moves the kernel, or without Xen on a bare machine, where it moved itself: of
 * AMD, or of Intel with page-table isolation.
 */
export type LinuxBoot = LinuxGuestType | "kaslr" | "intel";

const BARE: Readonly<Partial<Record<LinuxBoot, Vendor>>> = {
  kaslr: "amd",
  intel: "intel",
};

/** A core of a clean Linux guest, in the cache, and what is known of it. */
export interface LinuxCore {
  /** For example `6.1-pv`. */
  name: string;
  /** Linux' version. */
  version: LinuxVersion;
  /** How it was booted. */
  boot: LinuxBoot;
  /**
   * Path of the core, ELF64: as `xl dump-core` writes it for `pv` and `pvh`,
   * as QEMU's `dump-guest-memory` writes it for the others.
   */
  core: string;
  /** The kernel that ran. */
  kernel: Kernel;
  /** The path of the image in Dom0 that the toolstack noted; only with Xen. */
  kernelInDom0?: string;
  /** Directory of the guest's own words: all files of a `guestReport`. */
  report: string;
  /** Path of the guest's `/proc/kallsyms`. */
  kallsyms: string;
  /** Path of the guest's `/proc/modules`. */
  modules: string;
  /** What `uname -r` said. */
  release: string;
  /** The processor's model by its name in `/proc/cpuinfo`. */
  cpuModel: string;
  /** Size of the core in bytes. */
  size: number;
  /** Seconds that it took to make, from power on. */
  seconds: number;
}

/** What is only known when the core is made; kept in `facts.json`. */
type Facts = Pick<LinuxCore, "kernelInDom0" | "seconds">;

/**
 * Boots a kernel, lets it come to rest, and makes a core of it, or takes what
 * was made from the cache. A core of a PVH guest takes minutes.
 *
 * @throws {Deno.errors.TimedOut} with the console, if the guest does not boot.
 */
export async function linuxCore(
  version: LinuxVersion,
  boot: LinuxBoot,
): Promise<LinuxCore> {
  const name = `${version}-${boot}`;
  const vendor = BARE[boot];
  const guest = await linuxGuest(version);
  const key = await contentKey([
    guest.kernel.image,
    guest.ramdisk,
    JSON.stringify(
      vendor !== undefined
        ? bareMachine(vendor)
        : xenCoreConfig(guest, boot as LinuxGuestType),
    ),
  ]);
  const directory = await cached(`core-${name}-${key}`, async (path) => {
    await Deno.mkdir(path);
    const start = Date.now();
    const facts: Facts = {
      ...vendor !== undefined
        ? await bareCore(guest, path, vendor)
        : await xenCore(guest, boot as LinuxGuestType, path),
      seconds: (Date.now() - start) / 1000,
    };
    await Deno.writeTextFile(`${path}/facts.json`, JSON.stringify(facts));
  });
  const read = (file: string) => Deno.readTextFile(`${directory}/${file}`);
  const facts: Facts = JSON.parse(await read("facts.json"));
  const core = `${directory}/core`;
  return {
    name,
    version,
    boot,
    core,
    kernel: guest.kernel,
    ...facts,
    report: directory,
    kallsyms: `${directory}/kallsyms`,
    modules: `${directory}/modules`,
    release: (await read("release")).trim(),
    cpuModel: (await read("cpuinfo")).match(/^model name\s*: (.*)$/m)?.[1] ??
      "",
    size: (await Deno.stat(core)).size,
  };
}
