/**
 * Numbers of Xen's and the C library's interfaces, under their C names. They
 * hold for 4.14 to 4.22. The probe program in `tests/probe/` is compiled
 * against the installed headers and compares.
 *
 * @module
 */

/** Everything that is neither an offset nor a size. */
export const constants = {
  /** Hypercall numbers (public/xen.h) */
  __HYPERVISOR_mmu_update: 1,
  __HYPERVISOR_multicall: 13,

  /** Command of `mmu_update` that keeps accessed and dirty bits */
  MMU_PT_UPDATE_PRESERVE_AD: 2,

  /** Domain ids end below it (public/xen.h). */
  DOMID_FIRST_RESERVED: 0x7ff0,

  /** Why a domain is to stop (public/sched.h) */
  SHUTDOWN_reboot: 1,

  /** What `xc_version` can be asked for (public/version.h) */
  XENVER_version: 0,
  XENVER_extraversion: 1,

  /** Lets the libraries' own messages stay out of xkmon's output */
  XTL_CRITICAL: 9,

  /** Protection and kind of a mapping (sys/mman.h) */
  PROT_READ: 1,
  PROT_WRITE: 2,
  MAP_SHARED: 1,

  /** Events of poll(2); the last three are reported unasked (poll.h) */
  POLLIN: 0x001,
  POLLERR: 0x008,
  POLLHUP: 0x010,
  POLLNVAL: 0x020,
} as const;
