import { basename } from "node:path";
import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { fetchPackages } from "./fetch_packages.ts";
import { hostCommand } from "./host_command.ts";
import type { LinuxGuest, LinuxGuestType } from "./linux_guest.ts";

/** What GRUB calls the machines. */
const PLATFORMS: Readonly<Record<LinuxGuestType, string>> = {
  pv: "x86_64-xen",
  pvh: "i386-xen_pvh",
};

// The last three unpack the kernel, which a PV guest's does not do itself.
const MODULES = ["linux", "memdisk", "tar", "xzio", "gcry_crc", "gcry_sha256"];

/**
 * Makes GRUB for a guest of Xen, with a Linux guest's kernel and initramfs in
 * it, which it boots at once; or takes it from the cache.
 *
 * In a PVH guest the kernel then unpacks itself and moves to a random address
 * (KASLR), which it does not where Xen loads it.
 *
 * @returns the path of the ELF file that is the guest's `kernel` to xl; there
 * is no other file, and no command line.
 */
export async function grubImage(
  { kernel, ramdisk, config }: LinuxGuest,
  type: LinuxGuestType,
): Promise<string> {
  const packages = await fetchPackages("grub", [
    "grub-common",
    "grub-xen-bin",
    "libdevmapper1.02.1",
  ]);
  const commands = [
    `linux (memdisk)/${basename(kernel.image)} ${config[type].extra}`,
    `initrd (memdisk)/${basename(ramdisk)}`,
    "boot",
  ].map((line) => `${line}\n`).join("");
  const platform = PLATFORMS[type];
  const key = await contentKey([
    packages,
    platform,
    kernel.image,
    ramdisk,
    commands,
    ...MODULES,
  ]);
  return await cached(`grub-${key}`, async (path) => {
    const [disk, script] = [`${path}.tar`, `${path}.cfg`];
    await hostCommand([
      "tar",
      ...["--transform", "s,.*/,,", "-cPf", disk, kernel.image, ramdisk],
    ]);
    await Deno.writeTextFile(script, commands);
    await hostCommand([
      "env",
      `LD_LIBRARY_PATH=${packages}/lib/x86_64-linux-gnu`,
      `${packages}/usr/bin/grub-mkimage`,
      ...["--format", platform],
      ...["--directory", `${packages}/usr/lib/grub/${platform}`],
      ...["--prefix", "(memdisk)"],
      ...["--memdisk", disk, "--config", script, "--output", path],
      ...MODULES,
    ]);
    await Deno.remove(disk);
    await Deno.remove(script);
  });
}
