/**
 * Types of the ELF notes by which a kernel file tells Xen what it is
 * (`XEN_ELFNOTE_*`).
 *
 * Source: xen/include/public/elfnote.h
 */
export const XenNote = {
  INFO: 0,
  ENTRY: 1,
  HYPERCALL_PAGE: 2,
  VIRT_BASE: 3,
  PADDR_OFFSET: 4,
  XEN_VERSION: 5,
  GUEST_OS: 6,
  GUEST_VERSION: 7,
  LOADER: 8,
  PAE_MODE: 9,
  FEATURES: 10,
  BSD_SYMTAB: 11,
  PHYS32_ENTRY: 18,
} as const;
