import { fetchPackages } from "./fetch_packages.ts";
import { hostCommand } from "./host_command.ts";

/** What {@linkcode makeGrub} puts into the image. */
export interface GrubContents {
  /** Modules, besides those that they need. */
  modules: readonly string[];
  /** Where GRUB looks for its files. */
  prefix: string;
  /** Commands that it runs at once. */
  commands: readonly string[];
  /** Path of an archive that is GRUB's `(memdisk)`. */
  memdisk?: string;
}

/**
 * Makes a GRUB.
 *
 * @param path where it goes.
 * @param format what `grub-mkimage` calls it.
 */
export async function makeGrub(
  path: string,
  format: string,
  { modules, prefix, commands, memdisk }: GrubContents,
): Promise<void> {
  const packages = await fetchPackages("grub", [
    "grub-common",
    "grub-pc-bin",
    "grub-xen-bin",
    "libdevmapper1.02.1",
  ]);
  const script = `${path}.cfg`;
  await Deno.writeTextFile(
    script,
    commands.map((line) => `${line}\n`).join(""),
  );
  await hostCommand([
    "env",
    `LD_LIBRARY_PATH=${packages}/lib/x86_64-linux-gnu`,
    `${packages}/usr/bin/grub-mkimage`,
    ...["--format", format],
    // A platform may have several formats.
    "--directory",
    `${packages}/usr/lib/grub/${format.replace(/-eltorito$/, "")}`,
    ...["--prefix", prefix, "--config", script],
    ...memdisk === undefined ? [] : ["--memdisk", memdisk],
    ...["--output", path],
    ...modules,
  ]);
  await Deno.remove(script);
}
