/* Frames and page tables. */
#ifndef MM_H
#define MM_H

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/grant_table.h>

#include "layout.h"

#define PAGE_PRESENT 0x001ul
#define PAGE_WRITABLE 0x002ul
#define PAGE_ACCESSED 0x020ul
#define PAGE_DIRTY 0x040ul
#define PAGE_FRAME_MASK 0x000ffffffffff000ul
#define PAGE_NO_EXECUTE 0x8000000000000000ul
#define PAGE_READ_ONLY (PAGE_PRESENT | PAGE_ACCESSED | PAGE_DIRTY)
#define PAGE_READ_WRITE (PAGE_READ_ONLY | PAGE_WRITABLE)

/* Pages of the spare window with a fixed use; an attack's alias must outlive the attack. */
enum spare_page { SPARE_LOAD, SPARE_DATA_ALIAS, SPARE_CODE_ALIAS };

extern struct shared_info shared_info;
extern struct grant_entry_v1 grant_table[];

/* Builds the page tables for that much memory and has the platform switch to them. */
void mm_init(uint64_t pages);

/* Number of a page of the image, and address of a page in the image's mapping. */
uint64_t mm_page_number(const volatile void *address);
void *mm_image_address(uint64_t page_number);
/* Address of a frame, given as Xen counts it, in the direct map. */
void *mm_direct_address(uint64_t frame);
bool mm_is_page_table(uint64_t page_number);

/* Sets an entry in the page tables that are being built, and gets the tables it needs. */
void mm_build_entry(const volatile void *address, uint64_t entry);

/* Last-level entry for an address of the kernel, 0 where nothing is mapped. */
uint64_t mm_entry(const volatile void *address);
/* Where an address leads, as Xen counts it: frame and offset. */
uint64_t mm_frame_address(const volatile void *address);
void *mm_spare_address(enum spare_page page);

/* Sets the entry for a mapped or spare address; 0 or a negated errno. */
long mm_set_entry(const volatile void *address, uint64_t entry);

/* One page from the free list, at its address in the direct map; panics when there is none. */
void *mm_allocate_page(void);
void mm_free_page(void *page);

#endif
