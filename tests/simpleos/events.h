/* Event channels (two-level ABI) and waiting for them. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdint.h>

struct registers;

/* Registers the entry point; from now on events arrive wherever they are not masked. */
void events_init(void);

void event_unmask(uint32_t port);
void event_notify(uint32_t port);
uint32_t event_bind_timer(void);
uint32_t event_allocate_for_dom0(void);

void events_disable(void);
void events_enable(void);
/* Lets events in and gives the CPU away until one arrives; call with events disabled. */
void events_block(void);

void event_upcall(struct registers *registers);

/*
 * Blocks until the condition holds, looking at it after each event, or `limit` ticks have passed.
 * Ticks, not time: while the domain is paused no limit runs out. Ends with events enabled.
 */
#define wait_for(condition, limit)                                        \
    ({                                                                    \
        const uint64_t wait_end = clock_ticks() + (limit);                \
        events_disable();                                                 \
        while (!(condition) && clock_ticks() < wait_end) {                \
            events_block();                                               \
            events_disable();                                             \
        }                                                                 \
        events_enable();                                                  \
        (condition);                                                      \
    })

#endif
