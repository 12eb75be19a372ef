import { cached } from "../lab/cached.ts";
import { contentKey } from "../lab/content_key.ts";
import { program } from "../lab/cpio_entry.ts";
import type { Kernel } from "../lab/fetch_kernel.ts";
import type { LinuxVersion } from "../lab/linux_kernels.ts";
import { writeCpio } from "../lab/write_cpio.ts";
import { bareCore, bareMachine } from "./bare_core.ts";
import { noiseGuest } from "./noise/noise_guest.ts";

const INIT = new URL("load_modules.sh", import.meta.url);
const VENDOR = "amd";

/** A core of a Linux with modules, in the cache. */
export interface ModuleCore {
  /** Path of the core, as QEMU writes it. */
  core: string;
  /** The kernel that ran; its `modules` are what was loaded. */
  kernel: Kernel;
  /** Names of the loaded modules, as the guest says. */
  loaded: string[];
}

/**
 * Boots a kernel on a bare machine, loads all modules that the noise test has,
 * and makes a core of it, or takes what was made from the cache.
 */
export async function moduleCore(version: LinuxVersion): Promise<ModuleCore> {
  const { kernel, ramdisk } = await noiseGuest(version);
  const key = await contentKey([
    kernel.image,
    ramdisk,
    await Deno.readFile(INIT),
    JSON.stringify(bareMachine(VENDOR)),
  ]);
  const directory = await cached(`modules-${version}-${key}`, async (path) => {
    await Deno.mkdir(path);
    // The kernel unpacks one archive after the other
    const both = `${path}/ramdisk`;
    await writeCpio(`${path}/init`, [await program("init", INIT)]);
    await Deno.copyFile(ramdisk, both);
    await Deno.writeFile(both, await Deno.readFile(`${path}/init`), {
      append: true,
    });
    await bareCore({ kernel, ramdisk: both }, path, VENDOR);
    await Deno.remove(both);
    await Deno.remove(`${path}/init`);
  });
  const modules = await Deno.readTextFile(`${directory}/modules`);
  return {
    core: `${directory}/core`,
    kernel,
    loaded: modules.split("\n").filter((line) => line !== "")
      .map((line) => line.split(" ")[0]!),
  };
}
