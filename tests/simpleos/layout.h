/*
 * Virtual address space of SimpleOS (shared by C, assembler and linker script).
 *
 *   VIRT_BASE        the image at its link address, 4 KiB pages; the rest of the
 *                    first IMAGE_WINDOW bytes is spare: present tables, empty entries
 *   DIRECT_MAP_BASE  all guest memory (L4 slot 272, the first one Xen leaves to us)
 *
 * A page of the image is at VIRT_BASE + its physical address. A PVH guest, which starts without
 * paging, depends on that.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#define VIRT_BASE 0xffffffff80000000
#define IMAGE_OFFSET 0x100000
#define IMAGE_WINDOW 0x400000
#define SPARE_WINDOW 0x3f0000

#define DIRECT_MAP_BASE 0xffff880000000000
/* More memory than this is left unused: the page tables come from a fixed pool. */
#define DIRECT_MAP_MAX_PAGES 65536

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096
#define BOOT_STACK_SIZE 16384

/* Selectors of a PVH guest; a PV guest has those of Xen, which are none of these. */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10

/* Where the IDT of a PVH guest has the entry point of events. */
#define EVENT_VECTOR 0xf0

#endif
