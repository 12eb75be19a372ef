/** Where one release of Xen comes from, and where its parts are. */
export interface XenRelease {
  /** Debian's suite that has it; the host's own if not given. */
  suite?: string;
  /** Debian packages to unpack, of that suite. */
  packages: readonly string[];
  /** The hypervisor, gzipped ELF, in the unpacked packages. */
  hypervisor: string;
  /** The directory of Xen's programs there, and in Dom0. */
  programs: string;
}

/** What Debian calls the parts of a release, and what these need. */
function release(
  version: string,
  { suite, store }: { suite?: string; store: string },
): XenRelease {
  return {
    suite,
    packages: [
      `xen-hypervisor-${version}-amd64`,
      `xen-utils-${version}`,
      "xenstore-utils",
      `libxenmisc${version}`,
      "libxencall1",
      "libxendevicemodel1",
      "libxenevtchn1",
      "libxenforeignmemory1",
      "libxengnttab1",
      "libxenhypfs1",
      store,
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
    hypervisor: `boot/xen-${version}-amd64.gz`,
    programs: `usr/lib/xen-${version}/bin`,
  };
}

const RELEASES: Record<string, XenRelease> = {
  "4.14": release("4.14", { suite: "bullseye", store: "libxenstore3.0" }),
  "4.17": release("4.17", { store: "libxenstore4" }),
  "4.20": release("4.20", { suite: "trixie", store: "libxenstore4" }),
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
