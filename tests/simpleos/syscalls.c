#include "syscalls.h"

#include <stdint.h>

#include "console.h"
#include "hypercall.h"
#include "load.h"
#include "mm.h"
#include "state.h"
#include "text.h"

/* Not to be merged, cloned or inlined: its address and its bytes are what the attacks aim at. */
#define STANDS_ALONE __attribute__((noipa))

extern char _text[], _etext[], __invariant_start[], __invariant_end[];

static const struct {
    const char *name;
    enum system_call_slot slot;
} names[] = {
#define SYSTEM_CALL(slot, function) {#function, slot},
#include "syscalls.list"
#undef SYSTEM_CALL
};

bool system_call_by_name(const char *name, const char *argument, char *answer)
{
    for (unsigned i = 0; i < SYSTEM_CALL_COUNT; i++) {
        if (text_equal(name, names[i].name)) {
            sys_call_table[names[i].slot](argument, answer);
            return true;
        }
    }
    return false;
}

static void end_domain(unsigned reason)
{
    struct sched_shutdown end = {.reason = reason};

    state_set("shutdown");
    hypercall_sched_op(SCHEDOP_shutdown, &end);
}

STANDS_ALONE void shutdown(const char *argument, char *answer)
{
    (void)argument;
    print("power off");
    end_domain(SHUTDOWN_poweroff);
    text_copy(answer, ANSWER_SIZE, "shutdown refused by Xen");
}

STANDS_ALONE void reboot(const char *argument, char *answer)
{
    (void)argument;
    print("reboot");
    end_domain(SHUTDOWN_reboot);
    text_copy(answer, ANSWER_SIZE, "reboot refused by Xen");
}

void ping(const char *argument, char *answer)
{
    (void)argument;
    text_copy(answer, ANSWER_SIZE, "pong");
}

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t state, const char *from, const char *to)
{
    for (; from < to; from++)
        state = (state ^ (uint8_t)*from) * 0x100000001b3;
    return state;
}

void checksum(const char *argument, char *answer)
{
    uint64_t state = 0xcbf29ce484222325;

    (void)argument;
    state = hash(state, _text, _etext);
    state = hash(state, __invariant_start, __invariant_end);
    text_format(answer, ANSWER_SIZE, "%lx", state);
}

void peek(const char *argument, char *answer)
{
    uint64_t address;

    if (!text_parse_hex(argument, &address) || address % sizeof(uint64_t))
        text_copy(answer, ANSWER_SIZE, "peek needs an aligned address");
    else if (!mm_entry((void *)address))
        text_copy(answer, ANSWER_SIZE, "not mapped");
    else
        text_format(answer, ANSWER_SIZE, "%lx", *(volatile uint64_t *)address);
}

void entry(const char *argument, char *answer)
{
    uint64_t address;

    if (text_parse_hex(argument, &address))
        text_format(answer, ANSWER_SIZE, "%lx", mm_entry((void *)address));
    else
        text_copy(answer, ANSWER_SIZE, "entry needs an address");
}

void load_on(const char *argument, char *answer)
{
    (void)argument;
    load_set(true);
    text_copy(answer, ANSWER_SIZE, "load on");
}

void load_off(const char *argument, char *answer)
{
    (void)argument;
    load_set(false);
    text_copy(answer, ANSWER_SIZE, "load off");
}
