#include "grant.h"

#include "barrier.h"
#include "hypercall.h"
#include "mm.h"
#include "panic.h"

static uint32_t next_reference = GNTTAB_NR_RESERVED_ENTRIES;

void grant_init(void)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};

    set_xen_guest_handle(setup.frame_list, &frame);
    if (hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1) || setup.status != GNTST_okay)
        panic("grant table refused");
    if (mm_set_entry(grant_table, frame << PAGE_SHIFT | PAGE_READ_WRITE))
        panic("grant table cannot be mapped");
}

uint32_t grant_to_dom0_read_only(const void *page)
{
    struct grant_entry_v1 *entry = &grant_table[next_reference];

    entry->domid = 0;
    entry->frame = (uint32_t)(mm_machine_address(page) >> PAGE_SHIFT);
    memory_barrier();
    WRITE_ONCE(entry->flags, GTF_permit_access | GTF_readonly);
    return next_reference++;
}
