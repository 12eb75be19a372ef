import { dom0Image } from "./dom0_image.ts";
import { fetchKernel } from "./fetch_kernel.ts";
import { fetchPackages } from "./fetch_packages.ts";
import { hypervisor } from "./hypervisor.ts";
import type { LabConfig } from "./lab_config.ts";
import { xenRelease } from "./xen_release.ts";

/** Paths of what a lab's machine boots. */
export interface LabImages {
  /** The hypervisor (ELF). */
  xen: string;
  /** Dom0's kernel (ELF). */
  kernel: string;
  /** Dom0's initramfs. */
  initramfs: string;
}

/** Makes what a lab's machine boots, as far as the cache does not hold it. */
export async function labImages(
  config: Required<LabConfig>,
): Promise<LabImages> {
  const release = xenRelease(config.xen);
  const packages = await fetchPackages(
    `xen-${config.xen}`,
    release.packages,
    release.suite,
  );
  const kernel = await fetchKernel(config.dom0Kernel);
  return {
    xen: await hypervisor(release, packages),
    kernel: kernel.vmlinux,
    initramfs: await dom0Image({
      release,
      packages,
      kernel,
      machineModules: config.emulator.modules,
      mountShare: config.emulator.mountShare,
    }),
  };
}
