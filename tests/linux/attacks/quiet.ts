/**
 * Parts of the kernel that no guest of the lab runs while it is attacked, so
 * that it lives on. All of Linux 5.10 to 7.2 have them.
 */
export const quiet = {
  /** A system call that nobody makes, */
  call: "__x64_sys_acct",
  /** and another one. */
  otherCall: "__x64_sys_sync",
  /** A system call with a probe of the guest's own. */
  probed: "__x64_sys_swapoff",
  /** A function of many pages: the verifier of BPF programs. */
  large: "do_check_common",
  /** What runs only when a module is loaded, */
  loader: "load_module",
  /** the tracepoint in there, */
  tracepoint: "__tracepoint_module_load",
  /** and the static call that the tracepoint makes. */
  tracepointCall: "__SCK__tp_func_module_load",
  /** A vector that no program raises: BOUND does not exist in 64-bit mode, */
  vector: 5,
  /** its handler as C code, which cannot be traced, */
  handler: "exc_bounds",
  /** and another one. */
  otherHandler: "exc_overflow",
  /** What nobody would call: data. */
  data: "init_task",
} as const;
