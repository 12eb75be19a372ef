/* SimpleOS: the smallest guest kernel that is worth attacking. */
#include <stdint.h>
#include <xen/xen.h>

#include "clock.h"
#include "commands.h"
#include "console.h"
#include "events.h"
#include "fault_channel.h"
#include "grant.h"
#include "load.h"
#include "mm.h"
#include "state.h"
#include "text.h"
#include "traps.h"
#include "xenbus.h"

#define TICKS_PER_REPORT 25

/* 1 from when page tables, trap table and fault channel are as they will stay. */
uint32_t boot_complete;

static struct start_info start_info;

static void boot(void)
{
    console_init(mm_builder_address(start_info.console.domU.mfn), start_info.console.domU.evtchn);
    print("boot, %lu pages", start_info.nr_pages);
    mm_init(&start_info);
    console_init(mm_direct_address(start_info.console.domU.mfn), start_info.console.domU.evtchn);
    traps_init();
    events_init();
    clock_init();
    xenbus_init(mm_direct_address(start_info.store_mfn), start_info.store_evtchn);
    state_set("booting");
    grant_init();
    fault_channel_init();
    commands_init();
    boot_complete = 1;
    state_set("running");
}

void kernel_main(const struct start_info *builder_start_info);
void kernel_main(const struct start_info *builder_start_info)
{
    uint64_t seen = 0, reported = 0;

    memcpy(&start_info, builder_start_info, sizeof(start_info));
    boot();
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
