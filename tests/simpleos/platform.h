/*
 * What a kernel does in one way as a PV guest and in another as a PVH guest: decided once, by the
 * entry point at which the domain builder starts it.
 *
 * Frames are numbered as Xen counts them for the guest: the machine's of a PV guest, the guest's
 * own, which are its page numbers, of a PVH guest.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

/* What the domain builder tells. */
struct boot_info {
    uint64_t page_count;
    uint64_t console_frame, store_frame;
    uint32_t console_port, store_port;
};

struct platform {
    const char *name;
    /* Whether plain writes to kernel text fault though no monitor is there. */
    bool text_is_read_only;

    uint64_t (*frame_of_page)(uint64_t page_number);
    uint64_t (*page_of_frame)(uint64_t frame);
    /* Address of a frame in the mapping that the kernel was started in. */
    void *(*boot_address)(uint64_t frame);
    /* Entries for the two mappings of a page: that of the image and the direct one. */
    uint64_t (*image_entry)(uint64_t page_number);
    uint64_t (*direct_entry)(uint64_t page_number);
    /* Switches to the page tables that mm_init has built. */
    void (*use_page_tables)(uint64_t root_frame);
    /* Sets the last-level entry for a page; 0 or a negated errno. */
    long (*set_entry)(uint64_t address, uint64_t *slot, uint64_t entry);
    void (*map_grant_table)(void);

    void (*traps_init)(void);
    uint64_t (*fault_address)(void);
    void (*events_init)(void);
    void (*events_disable)(void);
    void (*events_enable)(void);
    void (*events_block)(void);

    /* What only an attack wants; 0 or what is not 0. */

    /* Has Xen write a word into the frame behind an address, whatever the page tables allow. */
    long (*write_frame)(const volatile void *address, uint64_t word);
    /* Gives the frame behind an address back to Xen, which puts another in its place. */
    long (*replace_frame)(const volatile void *address);
    /* Has Xen put the frame behind an address in the place of another, which keeps its number. */
    long (*move_frame)(const volatile void *from, const volatile void *to);
    /* Switches off what the processor does about writes to read-only pages, and on again. */
    void (*set_write_protection)(bool on);
    /* Lets page faults enter at mute_fault. */
    long (*mute_page_faults)(void);
    /* The same by a table of its own in the processor's place; a PV guest has none there. */
    long (*move_page_faults)(void);
};

extern const struct platform pv_platform, pvh_platform;

/* The one that this guest is on. */
extern const struct platform *platform;

/* Boots and never returns. */
void kernel_main(const struct platform *started_on, const struct boot_info *boot_info)
    __attribute__((noreturn));

#endif
