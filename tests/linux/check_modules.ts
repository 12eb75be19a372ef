import { scanGuest } from "../../detect/scan_guest.ts";
import { trustRegion } from "../../detect/trusted_region.ts";
import { KernelFile } from "../../guestos/kernel_file.ts";
import { linux } from "../../guestos/linux/linux.ts";
import { ModuleDirectory } from "../../guestos/module_directory.ts";
import { CoreGuest } from "../../xen/core_guest.ts";
import { flipBytes, type Flips } from "./flip_bytes.ts";
import type { ModuleCore } from "./module_core.ts";
import { residueLines } from "./residue_lines.ts";
import { unsettledLines } from "./unsettled_lines.ts";

/** What a core of a clean guest with modules shows of xkmon. */
export interface ModuleCheck extends Flips {
  /** Modules that the guest says are loaded, and those that were judged */
  readonly loaded: number;
  readonly judged: number;
  /** Bytes of their code */
  readonly size: number;
  /** Findings and places that could not be told, of the clean core */
  readonly residue: readonly string[];
}

/**
 * Checks the verdict on modules by their files, on the core of a clean guest.
 *
 * @param flips How many single bytes of modules' code to change, one at a time
 */
export async function checkModules(
  { core, kernel, loaded }: ModuleCore,
  flips: number,
): Promise<ModuleCheck> {
  using guest = new CoreGuest(core);
  const file = new KernelFile(kernel.image, await Deno.readFile(kernel.image));
  const modules = new ModuleDirectory(kernel.modules);
  const profile = linux.open(file, guest, { modules });
  const told = residueLines(await scanGuest(guest, profile, 0));
  const regions = profile.loadedCode!().map(
    ({ name, start, size, living, trust }) => {
      const { bytes } = trust!(guest.read(start, size));
      const region = { name, kind: "code" as const, start, size, living };
      return trustRegion(guest, { ...region, living: living!, trusted: bytes });
    },
  );
  return {
    loaded: loaded.length,
    judged: regions.length,
    size: regions.reduce((sum, { size }) => sum + size, 0),
    residue: [...told, ...unsettledLines(guest, regions)],
    ...flipBytes(guest, profile, regions, flips),
  };
}
