#include "load.h"

#include <stdint.h>

#include "layout.h"
#include "mm.h"
#include "panic.h"
#include "text.h"
#include "xenbus.h"

#define ROUNDS_PER_STORE_WRITE 10

/* Ordinary data pages directly before and behind the invariant ones; see simpleos.lds. */
#define GUARD(section_name) \
    __attribute__((section(section_name), aligned(PAGE_SIZE)))

volatile uint64_t guard_before[PAGE_SIZE / sizeof(uint64_t)] GUARD(".guard_before") = {0};
volatile uint64_t guard_after[PAGE_SIZE / sizeof(uint64_t)] GUARD(".guard_after") = {0};

static bool load_is_on;
static uint64_t rounds;

void load_set(bool on)
{
    load_is_on = on;
}

static void write_guards(void)
{
    for (unsigned i = 0; i < PAGE_SIZE / sizeof(uint64_t); i++) {
        guard_before[i] = rounds;
        guard_after[i] = rounds;
    }
}

static void map_and_unmap_page(void)
{
    uint64_t *page = mm_allocate_page();
    volatile uint64_t *mapped = mm_spare_address(SPARE_LOAD);

    if (mm_set_entry(mapped, mm_entry(page)))
        panic("load: page cannot be mapped");
    *mapped = rounds;
    if (*(volatile uint64_t *)page != rounds)
        panic("load: two mappings of a page differ");
    if (mm_set_entry(mapped, 0))
        panic("load: page cannot be unmapped");
    mm_free_page(page);
}

void load_step(void)
{
    if (!load_is_on)
        return;
    rounds++;
    write_guards();
    map_and_unmap_page();
    if (rounds % ROUNDS_PER_STORE_WRITE == 0)
        xenbus_write_number("data/load", rounds);
}
