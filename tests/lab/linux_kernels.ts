/** Settings of xl for a guest, besides those that all Linux guests have. */
export interface LinuxGuestSettings {
  /** More for the command line. */
  extra?: string;
  /** What the guest's processor is to lack, as in `xl.cfg(5)`. */
  cpuid?: string;
}

/** Where a kernel of {@linkcode LINUX_KERNELS} comes from. */
export interface LinuxKernelSource {
  /** Code name of the suite of Debian. */
  suite: string;
  /** The package there that depends on the suite's kernel. */
  package: string;
  /** What it needs to run as a PV guest of the lab. */
  pv?: LinuxGuestSettings;
}

/** The Linux kernels that guests of the lab can run, by Linux' version. */
export const LINUX_KERNELS = {
  "5.10": { suite: "bullseye", package: "linux-image-amd64" },
  "6.1": { suite: "bookworm", package: "linux-image-amd64" },
  "6.12": { suite: "trixie", package: "linux-image-amd64" },
  "7.2": {
    suite: "forky",
    package: "linux-image-amd64",
    // It reads a register of AMD's chipsets, which Xen does not let it.
    pv: { extra: "initcall_blacklist=print_s5_reset_status_mmio" },
  },
} as const satisfies Record<string, LinuxKernelSource>;

/** A version in {@linkcode LINUX_KERNELS}. */
export type LinuxVersion = keyof typeof LINUX_KERNELS;
