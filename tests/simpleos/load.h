/* What a busy, honest kernel does: nothing of it may look like an attack. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>

void load_set(bool on);

/* One round, once a tick; does nothing while the load is off. */
void load_step(void);

#endif
