/**
 * A system call that the guest makes all the time to say `alive` on its
 * console: whether a process exists.
 */
export const redirectedCall = {
  name: "__x64_sys_kill",
  number: 62,
  /** Where an attack sends it: what it returns is no success of the former. */
  to: "__x64_sys_getpid",
  /** What the guest says then. */
  effect: /gone: /,
} as const;
