/* SimpleOS: the smallest guest kernel that is worth attacking. */
#include <stdint.h>

#include "clock.h"
#include "commands.h"
#include "console.h"
#include "events.h"
#include "fault_channel.h"
#include "grant.h"
#include "load.h"
#include "mm.h"
#include "platform.h"
#include "state.h"
#include "xenbus.h"

#define TICKS_PER_REPORT 25

/* 1 from when page tables, trap table and fault channel are as they will stay. */
uint32_t boot_complete;

const struct platform *platform;

static void boot(const struct boot_info *boot_info)
{
    console_init(platform->boot_address(boot_info->console_frame), boot_info->console_port);
    print("boot, %s, %lu pages", platform->name, boot_info->page_count);
    mm_init(boot_info->page_count);
    console_init(mm_direct_address(boot_info->console_frame), boot_info->console_port);
    platform->traps_init();
    events_init();
    clock_init();
    xenbus_init(mm_direct_address(boot_info->store_frame), boot_info->store_port);
    state_set("booting");
    grant_init();
    fault_channel_init();
    commands_init();
    boot_complete = 1;
    state_set("running");
}

void kernel_main(const struct platform *started_on, const struct boot_info *boot_info)
{
    uint64_t seen = 0, reported = 0;

    platform = started_on;
    boot(boot_info);
    for (;;) {
        wait_for(xenbus_pending() || clock_ticks() != seen, TICKS_PER_SECOND);
        xenbus_poll();
        commands_run();
        if (clock_ticks() != seen) {
            seen = clock_ticks();
            load_step();
        }
        if (seen - reported >= TICKS_PER_REPORT) {
            reported = seen;
            xenbus_write_number("data/ticks", seen);
        }
    }
}
