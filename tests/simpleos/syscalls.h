/* System calls, always made through sys_call_table. */
#ifndef SYSCALLS_H
#define SYSCALLS_H

#include <stdbool.h>

#define ANSWER_SIZE 64

/* Writes its answer over the one that it finds; `answer` holds ANSWER_SIZE bytes. */
typedef void system_call(const char *argument, char *answer);

enum system_call_slot {
#define SYSTEM_CALL(slot, function) slot,
#include "syscalls.list"
#undef SYSTEM_CALL
    SYSTEM_CALL_COUNT
};

#define SYSTEM_CALL(slot, function) system_call function;
#include "syscalls.list"
#undef SYSTEM_CALL

extern system_call *sys_call_table[SYSTEM_CALL_COUNT];

/* Makes the system call of that name; false where there is none. */
bool system_call_by_name(const char *name, const char *argument, char *answer);

#endif
