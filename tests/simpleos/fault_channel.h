/*
 * Reports page faults to a monitor in Dom0: records in a page that Dom0 may read, an event for
 * each, and a short wait, so that the monitor can pause the guest before anything else runs.
 */
#ifndef FAULT_CHANNEL_H
#define FAULT_CHANNEL_H

#include <stdint.h>

#define FAULT_MAGIC "XKMFAULT"
#define FAULT_VERSION 1
#define FAULT_SLOTS 63
#define FAULT_WAIT_NANOSECONDS 250000000ul

/* Little endian, 64 bytes; record n, counted from 1, is in slot (n - 1) % FAULT_SLOTS. */
struct fault_record {
    uint64_t sequence; /* 0 while the record is being written */
    uint64_t address;
    uint64_t ip;
    uint32_t error_code;
    uint32_t cpu;
    uint64_t time; /* system time, nanoseconds */
    uint64_t reserved[3];
};

struct fault_page {
    char magic[8];
    uint32_t version;
    uint32_t slots;
    uint64_t sequence; /* records written so far */
    uint64_t now;      /* system time, nanoseconds, as of the last tick or turn of the wait */
    uint64_t ticks;
    uint64_t reserved[3];
    struct fault_record records[FAULT_SLOTS];
};

/* Grants the page, allocates the event channel and announces both in xenstore. */
void fault_channel_init(void);
void fault_channel_refresh(void);
void fault_channel_report(uint64_t address, uint64_t ip, uint32_t error_code);
void fault_channel_wait(void);

#endif
