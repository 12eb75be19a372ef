#include "clock.h"

#include <stddef.h>

#include "barrier.h"
#include "events.h"
#include "fault_channel.h"
#include "hypercall.h"
#include "mm.h"
#include "panic.h"

static uint64_t ticks;
static uint64_t next_tick;

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

uint64_t clock_system_time(void)
{
    const volatile struct vcpu_time_info *time = &shared_info.vcpu_info[0].time;
    uint32_t version;
    uint64_t result;

    do {
        version = time->version;
        memory_barrier();
        uint64_t delta = read_tsc() - time->tsc_timestamp;

        delta = time->tsc_shift < 0 ? delta >> -time->tsc_shift : delta << time->tsc_shift;
        result = time->system_time +
                 (uint64_t)((unsigned __int128)delta * time->tsc_to_system_mul >> 32);
        memory_barrier();
    } while ((version & 1) || version != time->version);
    return result;
}

uint64_t clock_ticks(void)
{
    return READ_ONCE(ticks);
}

static void arm_timer(void)
{
    uint64_t now = clock_system_time();

    next_tick += TICK_NANOSECONDS;
    /* After a pause the missed ticks are not made up for. */
    if (next_tick <= now)
        next_tick = now + TICK_NANOSECONDS;
    if (hypercall_set_timer_op(next_tick))
        panic("timer refused");
}

void clock_tick(void)
{
    WRITE_ONCE(ticks, ticks + 1);
    fault_channel_refresh();
    arm_timer();
}

void clock_init(void)
{
    event_bind_timer();
    /* Xen's own periodic timer would not wake a vCPU that blocks. */
    if (hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL))
        panic("periodic timer does not stop");
    arm_timer();
}
