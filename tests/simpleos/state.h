/* What the guest is doing, for Dom0 (`data/state`) and on the console. */
#ifndef STATE_H
#define STATE_H

void state_set(const char *pattern, ...) __attribute__((format(printf, 1, 2)));

#endif
