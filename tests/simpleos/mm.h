/* Frames and page tables (Xen PV: entries hold machine frames, Xen checks every change). */
#ifndef MM_H
#define MM_H

#include <stdint.h>
#include <xen/xen.h>
#include <xen/grant_table.h>

#include "layout.h"

#define PAGE_PRESENT 0x001ul
#define PAGE_WRITABLE 0x002ul
#define PAGE_ACCESSED 0x020ul
#define PAGE_DIRTY 0x040ul
#define PAGE_FRAME_MASK 0x000ffffffffff000ul
#define PAGE_READ_ONLY (PAGE_PRESENT | PAGE_ACCESSED | PAGE_DIRTY)
#define PAGE_READ_WRITE (PAGE_READ_ONLY | PAGE_WRITABLE)

/* Pages of the spare window with a fixed use; an attack's alias must outlive the attack. */
enum spare_page { SPARE_LOAD, SPARE_DATA_ALIAS, SPARE_CODE_ALIAS };

extern struct shared_info shared_info;
extern struct grant_entry_v1 grant_table[];

/* Builds the page tables, switches to them and gives the builder's ones back to ordinary use. */
void mm_init(const struct start_info *start_info);

/* Address of a frame in the domain builder's mapping: valid up to mm_init only. */
void *mm_builder_address(uint64_t machine_frame);
/* Address of a frame, given as Xen counts it, in the direct map. */
void *mm_direct_address(uint64_t machine_frame);

/* Last-level entry for an address of the kernel, 0 where nothing is mapped. */
uint64_t mm_entry(const volatile void *address);
uint64_t mm_machine_address(const volatile void *address);
void *mm_spare_address(enum spare_page page);

/* Sets the entry for a mapped or spare address; 0 or a negated errno, as Xen decides. */
long mm_set_entry(const volatile void *address, uint64_t entry);

/* One page from the free list, at its address in the direct map; panics when there is none. */
void *mm_allocate_page(void);
void mm_free_page(void *page);

#endif
