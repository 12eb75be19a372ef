import { basename } from "node:path";
import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { hostCommand } from "./host_command.ts";
import type { LinuxGuest, LinuxGuestType } from "./linux_guest.ts";
import { makeGrub } from "./make_grub.ts";

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
  const commands = [
    `linux (memdisk)/${basename(kernel.image)} ${config[type].extra}`,
    `initrd (memdisk)/${basename(ramdisk)}`,
    "boot",
  ];
  const platform = PLATFORMS[type];
  const key = await contentKey([
    platform,
    kernel.image,
    ramdisk,
    ...commands,
    ...MODULES,
  ]);
  return await cached(`grub-${key}`, async (path) => {
    const memdisk = `${path}.tar`;
    await hostCommand([
      "tar",
      ...["--transform", "s,.*/,,", "-cPf", memdisk, kernel.image, ramdisk],
    ]);
    await makeGrub(path, platform, {
      modules: MODULES,
      prefix: "(memdisk)",
      commands,
      memdisk,
    });
    await Deno.remove(memdisk);
  });
}
