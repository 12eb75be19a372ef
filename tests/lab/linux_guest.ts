import { busybox } from "./busybox.ts";
import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { directory, file, link } from "./cpio_entry.ts";
import { fetchKernel } from "./fetch_kernel.ts";
import { fetchPackages } from "./fetch_packages.ts";
import { writeCpio } from "./write_cpio.ts";

/** Paths on the host of what a Linux guest boots. */
export interface LinuxGuest {
  /** The uncompressed kernel (ELF). */
  kernel: string;
  /** Its initramfs: busybox, which says `guest ready` on the console. */
  ramdisk: string;
}

const INIT = `#!/bin/sh
export PATH=/usr/bin HOME=/ TERM=linux
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo guest ready
while :; do sh -i </dev/hvc0 >/dev/hvc0 2>&1; done
`;

// The kernel calls these when Dom0 asks for a shutdown or a reboot. Busybox'
// own would ask process 1, which is a shell here.
const SHUTDOWN = "#!/bin/sh\nexec busybox ${0##*/} -f\n";

/**
 * Makes a small Linux guest out of a Debian kernel and busybox, or takes it
 * from the cache. It wants 128 MiB.
 *
 * @param kernelPackage as for {@linkcode fetchKernel}.
 */
export async function linuxGuest(
  kernelPackage = "linux-image-amd64",
): Promise<LinuxGuest> {
  const { vmlinux } = await fetchKernel(kernelPackage);
  const packages = await fetchPackages("busybox", ["busybox-static"]);
  const key = await contentKey([packages, INIT, SHUTDOWN]);
  const ramdisk = await cached(`guest-${key}.cpio`, async (path) => {
    await writeCpio(path, [
      ...["dev", "proc", "sys", "sbin", "usr", "usr/bin"].map(directory),
      link("bin", "usr/bin"),
      ...await busybox(packages),
      file("sbin/poweroff", SHUTDOWN, 0o755),
      file("sbin/reboot", SHUTDOWN, 0o755),
      file("init", INIT, 0o755),
    ]);
  });
  return { kernel: vmlinux, ramdisk };
}
