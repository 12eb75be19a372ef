/** The command line of Dom0's kernel. */
export const DOM0_KERNEL_OPTIONS: readonly string[] = [
  "console=hvc0",
  "quiet",
  "nokaslr",
  "mitigations=off",
  "random.trust_cpu=on",
  "rdinit=/init",
  "swiotlb=2048",
  "lsm=",
  "audit=0",
  "cryptomgr.notests",
];
