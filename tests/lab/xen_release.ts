/** Where one release of Xen comes from, and where its parts are. */
export interface XenRelease {
  /** Debian packages to unpack, of one suite. */
  packages: readonly string[];
  /** The hypervisor, gzipped ELF, in the unpacked packages. */
  hypervisor: string;
  /** The directory of Xen's programs there, and in Dom0. */
  programs: string;
}

const RELEASES: Record<string, XenRelease> = {
  "4.17": {
    packages: [
      "xen-hypervisor-4.17-amd64",
      "xen-utils-4.17",
      "xenstore-utils",
      "libxenmisc4.17",
      "libxencall1",
      "libxendevicemodel1",
      "libxenevtchn1",
      "libxenforeignmemory1",
      "libxengnttab1",
      "libxenhypfs1",
      "libxenstore4",
      "libxentoolcore1",
      "libxentoollog1",
      "busybox-static",
      "libc6",
      "libgcc-s1",
      "liblzma5",
      "libuuid1",
      "libyajl2",
      "libzstd1",
      "zlib1g",
    ],
    hypervisor: "boot/xen-4.17-amd64.gz",
    programs: "usr/lib/xen-4.17/bin",
  },
};

/**
 * Returns what the lab knows about a release of Xen.
 *
 * @param version for example `"4.17"`.
 * @throws {RangeError} if the lab does not know the release.
 */
export function xenRelease(version: string): XenRelease {
  if (!Object.hasOwn(RELEASES, version)) {
    throw new RangeError(
      `no Xen ${version} in the lab: there is ${Object.keys(RELEASES)}`,
    );
  }
  return RELEASES[version]!;
}
