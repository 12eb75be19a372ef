/* The enemy inside: ways to make a guest that cannot be shut down. */
#ifndef ATTACKS_H
#define ATTACKS_H

#include <stdbool.h>

struct registers;

/* Runs the attack of that name, keeps `data/state` and answers; false where there is none. */
bool attack_by_name(const char *name, char *answer);

/* Page-fault handler of mute_attack. */
void mute_fault(struct registers *registers);

#endif
