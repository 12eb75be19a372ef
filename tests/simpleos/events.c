#include "events.h"

#include "barrier.h"
#include "clock.h"
#include "hypercall.h"
#include "mm.h"
#include "panic.h"
#include "platform.h"

#define PORTS_PER_WORD 64

static uint32_t timer_port;

static struct vcpu_info *vcpu_info(void)
{
    return &shared_info.vcpu_info[0];
}

void events_init(void)
{
    platform->events_init();
    events_enable();
}

void event_unmask(uint32_t port)
{
    struct evtchn_unmask unmask = {.port = port};

    if (hypercall_event_channel_op(EVTCHNOP_unmask, &unmask))
        panic("event channel %lu: unmask refused", (uint64_t)port);
}

void event_notify(uint32_t port)
{
    struct evtchn_send send = {.port = port};

    /* A peer that is gone is no reason to stop. */
    hypercall_event_channel_op(EVTCHNOP_send, &send);
}

uint32_t event_bind_timer(void)
{
    struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER, .vcpu = 0};

    if (hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind))
        panic("no event channel for the timer");
    timer_port = bind.port;
    event_unmask(timer_port);
    return timer_port;
}

uint32_t event_allocate_for_dom0(void)
{
    struct evtchn_alloc_unbound allocate = {.dom = DOMID_SELF, .remote_dom = 0};

    if (hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &allocate))
        panic("no event channel for Dom0");
    return allocate.port;
}

void events_disable(void)
{
    platform->events_disable();
}

void events_enable(void)
{
    platform->events_enable();
}

void events_block(void)
{
    platform->events_block();
}

/* Only the timer has work here; for all other ports the arrival itself ends a wait. */
void event_upcall(struct registers *registers)
{
    (void)registers;
    WRITE_ONCE(vcpu_info()->evtchn_upcall_pending, 0);
    uint64_t words = __atomic_exchange_n(&vcpu_info()->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);

    while (words) {
        unsigned word = (unsigned)__builtin_ctzl(words);
        uint64_t unmasked = ~READ_ONCE(shared_info.evtchn_mask[word]);
        uint64_t ports =
            __atomic_fetch_and(&shared_info.evtchn_pending[word], ~unmasked, __ATOMIC_SEQ_CST) &
            unmasked;

        words &= words - 1;
        if (word == timer_port / PORTS_PER_WORD && (ports >> timer_port % PORTS_PER_WORD & 1))
            clock_tick();
    }
}
