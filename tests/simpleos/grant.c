#include "grant.h"

#include "barrier.h"
#include "mm.h"
#include "platform.h"

static uint32_t next_reference = GNTTAB_NR_RESERVED_ENTRIES;

void grant_init(void)
{
    platform->map_grant_table();
}

uint32_t grant_to_dom0_read_only(const void *page)
{
    struct grant_entry_v1 *entry = &grant_table[next_reference];

    entry->domid = 0;
    entry->frame = (uint32_t)(mm_frame_address(page) >> PAGE_SHIFT);
    memory_barrier();
    WRITE_ONCE(entry->flags, GTF_permit_access | GTF_readonly);
    return next_reference++;
}
