import { busybox } from "./busybox.ts";
import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { directory, file, link } from "./cpio_entry.ts";
import { fetchKernel, type Kernel } from "./fetch_kernel.ts";
import { fetchPackages } from "./fetch_packages.ts";
import {
  LINUX_KERNELS,
  type LinuxGuestSettings,
  type LinuxKernelSource,
  type LinuxVersion,
} from "./linux_kernels.ts";
import { writeCpio } from "./write_cpio.ts";

/** How Xen runs a Linux guest. */
export type LinuxGuestType = "pv" | "pvh";

/** Settings of xl that fit a Linux guest of one type. */
export interface LinuxGuestConfig extends LinuxGuestSettings {
  /** How Xen runs it. */
  type: LinuxGuestType;
  /** Its memory in MiB. */
  memory: number;
  /** The kernel's command line. */
  extra: string;
}

/** What a Linux guest boots. */
export interface LinuxGuest {
  /** Its kernel, of which Xen takes the bzImage as well as the ELF. */
  kernel: Kernel;
  /**
   * Path of its initramfs: busybox, which says `guest ready` on the console.
   *
   * With `report=yes` on its command line the guest first writes a report to
   * the console, for `guestReport` in tests/linux, and is idle from then on.
   */
  ramdisk: string;
  /**
   * For `Lab.createGuest`, along with a name, and the paths of the kernel and
   * the initramfs in Dom0.
   */
  config: Readonly<Record<LinuxGuestType, LinuxGuestConfig>>;
}

/**
 * To a PVH guest on the emulated machine, AVX is an invalid instruction once it
 * has two processors, and always in a kernel.
 */
const PVH: LinuxGuestSettings = { cpuid: "host,avx=0" };

const INIT = `#!/bin/sh
export PATH=/usr/bin HOME=/ TERM=linux
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
if [ -n "$report" ]; then
	# Nothing may come between the report's lines.
	dmesg -n 1
	echo 0 >/proc/sys/kernel/kptr_restrict
	mkdir /report
	cd /report
	# Under /proc a file's length is known only when it has been read.
	for name in cmdline cpuinfo iomem kallsyms modules version; do
		cat /proc/$name >$name
	done
	uname -r >release
	dmesg >dmesg
	grep . /sys/devices/system/cpu/vulnerabilities/* >vulnerabilities
	echo "report begins"
	tar -cz * | base64
	echo "report ends"
	cd /
	rm -r /report
fi
echo guest ready
while [ -n "$report" ]; do sleep 3600; done
while :; do sh -i </dev/hvc0 >/dev/hvc0 2>&1; done
`;

// The kernel calls these when Dom0 asks for a shutdown or a reboot. Busybox'
// own would ask process 1, which is a shell here.
const SHUTDOWN = "#!/bin/sh\nexec busybox ${0##*/} -f\n";

/**
 * Makes a small Linux guest out of a Debian kernel and busybox, or takes it
 * from the cache.
 *
 * @throws {Error} if the suite has another version by now.
 */
export async function linuxGuest(
  version: LinuxVersion = "6.1",
): Promise<LinuxGuest> {
  const source: LinuxKernelSource = LINUX_KERNELS[version];
  const { suite } = source;
  const kernel = await fetchKernel(source.package, suite);
  if (!kernel.release.startsWith(`${version}.`)) {
    throw new Error(`${suite} has Linux ${kernel.release}, not ${version}`);
  }
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
  const config = (
    type: LinuxGuestType,
    memory: number,
    { extra, ...others }: LinuxGuestSettings = {},
  ): LinuxGuestConfig => ({
    type,
    memory,
    ...others,
    extra: ["console=hvc0 quiet", extra ?? []].flat().join(" "),
  });
  return {
    kernel,
    ramdisk,
    config: { pv: config("pv", 160, source.pv), pvh: config("pvh", 256, PVH) },
  };
}
