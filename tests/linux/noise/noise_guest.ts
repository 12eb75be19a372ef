import { busybox } from "../../lab/busybox.ts";
import { cached } from "../../lab/cached.ts";
import { contentKey } from "../../lab/content_key.ts";
import { directory, file, link, program } from "../../lab/cpio_entry.ts";
import { fetchPackages } from "../../lab/fetch_packages.ts";
import { hostCommand } from "../../lab/host_command.ts";
import { kernelModules } from "../../lab/kernel_modules.ts";
import { type LinuxGuest, linuxGuest } from "../../lab/linux_guest.ts";
import type { LinuxVersion } from "../../lab/linux_kernels.ts";
import { writeCpio } from "../../lab/write_cpio.ts";

/**
 * Modules to load and unload, with those that they need; none has hardware.
 * What a module asks for by itself as it comes up is named before it.
 */
const MODULES = [
  "dummy",
  "loop",
  "test_static_keys",
  "iptable_filter",
  "crc7",
  "veth",
  "sch_htb",
  "overlay",
  "tcp_bbr",
  "nbd",
  "blowfish_generic",
  "brd",
  "crc32c_generic xt_connmark",
  "8021q",
  "camellia_x86_64",
  "null_blk",
  "crc32c_generic xfs",
];

const DIRECTORIES = [
  "dev",
  "lib",
  "lib/modules",
  "proc",
  "run",
  "sys",
  "usr",
  "usr/bin",
];

/** Files of the guest that are here, by where they go. */
const PROGRAMS = { "init": "init.sh", "usr/bin/noise": "noise.sh" };

/**
 * Makes a guest that changes its own kernel's code in all the ways that are
 * legitimate, or takes it from the cache.
 *
 * @returns as `linuxGuest` does, with another initramfs.
 */
export async function noiseGuest(version: LinuxVersion): Promise<LinuxGuest> {
  const guest = await linuxGuest(version);
  const packages = await fetchPackages("busybox", ["busybox-static"]);
  const here = (name: string) => new URL(name, import.meta.url);
  const key = await contentKey([
    packages,
    guest.kernel.modules,
    ...await Promise.all(
      ["init.sh", "noise.sh", "noise_bpf.c", "noise_guest.ts"].map((name) =>
        Deno.readFile(here(name))
      ),
    ),
  ]);
  const ramdisk = await cached(`noise-${key}.cpio`, async (path) => {
    const bpf = `${path}.bpf`;
    await hostCommand([
      "gcc",
      ...["-Wall", "-Wextra", "-O2", "-static", "-o", bpf],
      here("noise_bpf.c").pathname,
    ]);
    const groups = await Promise.all(
      MODULES.map((name) =>
        kernelModules(guest.kernel.modules, name.split(" "))
      ),
    );
    // By name, as modules share those that they need.
    const modules = new Map(
      groups.flat().map(({ name, data }) => [name, data]),
    );
    const lines = groups.filter((group) => group.length > 0).map((group) =>
      group.map(({ name }) => name).join(" ")
    );
    await writeCpio(path, [
      ...DIRECTORIES.map(directory),
      link("bin", "usr/bin"),
      ...await busybox(packages),
      ...await Promise.all(
        Object.entries(PROGRAMS).map(([to, name]) => program(to, here(name))),
      ),
      await program("usr/bin/noise-bpf", bpf),
      ...[...modules].map(([name, data]) =>
        file(`lib/modules/${name}.ko`, data)
      ),
      file("lib/modules/groups", lines.map((line) => `${line}\n`).join("")),
    ]);
    await Deno.remove(bpf);
  });
  return { ...guest, ramdisk };
}
