import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { hostCommand } from "./host_command.ts";
import type { LabImages } from "./lab_images.ts";
import { makeGrub } from "./make_grub.ts";

/** What {@linkcode bootDisc} takes besides the images. */
export interface BootOptions {
  /** Xen's options. */
  xen: readonly string[];
  /** The command line of Dom0's kernel. */
  kernel: readonly string[];
}

/**
 * Makes a disc (ISO 9660) from which the BIOS of a PC boots Xen and Dom0, or
 * takes it from the cache. Returns its path.
 */
export async function bootDisc(
  { xen, kernel, initramfs }: LabImages,
  options: BootOptions,
): Promise<string> {
  const commands = [
    `multiboot /xen ${options.xen.join(" ")}`,
    `module --nounzip /vmlinux ${options.kernel.join(" ")}`,
    "module --nounzip /dom0.cpio",
    "boot",
  ];
  const key = await contentKey([xen, kernel, initramfs, ...commands]);
  return await cached(`disc-${key}`, async (path) => {
    const grub = `${path}.grub`;
    await makeGrub(grub, "i386-pc-eltorito", {
      modules: ["biosdisk", "iso9660", "multiboot"],
      prefix: "/",
      commands,
    });
    await hostCommand([
      "xorriso",
      ...["-as", "mkisofs", "-quiet", "-output", path],
      ...["-eltorito-boot", "grub", "-no-emul-boot"],
      ...["-boot-load-size", "4", "-boot-info-table", "-graft-points"],
      ...[`grub=${grub}`, `xen=${xen}`],
      ...[`vmlinux=${kernel}`, `dom0.cpio=${initramfs}`],
    ]);
    await Deno.remove(grub);
  });
}
