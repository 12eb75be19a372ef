#include "fault_channel.h"

#include <stddef.h>

#include "barrier.h"
#include "clock.h"
#include "events.h"
#include "grant.h"
#include "hypercall.h"
#include "layout.h"
#include "text.h"
#include "xenbus.h"

static struct fault_page fault_page __attribute__((aligned(PAGE_SIZE))) = {
    .magic = FAULT_MAGIC,
    .version = FAULT_VERSION,
    .slots = FAULT_SLOTS,
};
static uint32_t fault_port;

_Static_assert(sizeof(struct fault_page) == PAGE_SIZE, "the fault page is one page");

void fault_channel_init(void)
{
    fault_port = event_allocate_for_dom0();
    xenbus_write_number("data/xkmon/fault-ref", grant_to_dom0_read_only(&fault_page));
    xenbus_write_number("data/xkmon/fault-port", fault_port);
    xenbus_write_number("data/xkmon/fault-version", FAULT_VERSION);
}

void fault_channel_refresh(void)
{
    WRITE_ONCE(fault_page.now, clock_system_time());
    WRITE_ONCE(fault_page.ticks, clock_ticks());
}

void fault_channel_report(uint64_t address, uint64_t ip, uint32_t error_code)
{
    const uint64_t sequence = fault_page.sequence + 1;
    struct fault_record *record = &fault_page.records[(sequence - 1) % FAULT_SLOTS];

    /* The record's time is `now`: what `now` gains from here on is how long the guest ran on. */
    fault_channel_refresh();
    WRITE_ONCE(record->sequence, 0);
    memory_barrier();
    record->address = address;
    record->ip = ip;
    record->error_code = error_code;
    record->cpu = 0;
    record->time = fault_page.now;
    memory_barrier();
    WRITE_ONCE(record->sequence, sequence);
    memory_barrier();
    WRITE_ONCE(fault_page.sequence, sequence);
    event_notify(fault_port);
}

void fault_channel_wait(void)
{
    const uint64_t end = clock_system_time() + FAULT_WAIT_NANOSECONDS;

    do {
        /* Where Dom0 shares this CPU, the monitor must not wait for the end of a time slice. */
        hypercall_sched_op(SCHEDOP_yield, NULL);
        fault_channel_refresh();
    } while (fault_page.now < end);
}
