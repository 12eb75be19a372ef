/* System time and the periodic tick. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#define TICK_NANOSECONDS 10000000ul
#define TICKS_PER_SECOND 100

void clock_init(void);

/* Nanoseconds since Xen started; goes on while the domain is paused. */
uint64_t clock_system_time(void);
/* Ticks since boot; stands still while the domain is paused. */
uint64_t clock_ticks(void);

/* One tick, called when the timer event arrives. */
void clock_tick(void);

#endif
