#include "mm.h"

#include <stddef.h>

#include "panic.h"
#include "platform.h"

#define ENTRIES_PER_TABLE 512
#define PAGE_TABLE_COUNT (DIRECT_MAP_MAX_PAGES / ENTRIES_PER_TABLE + 16)
#define FREE_PAGE_COUNT 64

/* Page tables lie together, so that "is it a page table" is a comparison. */
#define PAGE_TABLE __attribute__((section(".bss.page_tables"), aligned(PAGE_SIZE)))

typedef uint64_t page_table[ENTRIES_PER_TABLE];

extern char _end[], __page_tables_start[], __page_tables_end[];

page_table swapper_pg_dir PAGE_TABLE;
static page_table table_pool[PAGE_TABLE_COUNT] PAGE_TABLE;
static unsigned tables_used;

static void *free_pages[FREE_PAGE_COUNT];
static unsigned free_page_count;

uint64_t mm_page_number(const volatile void *address)
{
    return ((uint64_t)address - VIRT_BASE) >> PAGE_SHIFT;
}

void *mm_image_address(uint64_t page_number)
{
    return (void *)(VIRT_BASE + (page_number << PAGE_SHIFT));
}

static void *direct_address(uint64_t page_number)
{
    return (void *)(DIRECT_MAP_BASE + (page_number << PAGE_SHIFT));
}

void *mm_direct_address(uint64_t frame)
{
    return direct_address(platform->page_of_frame(frame));
}

/* The table below an entry, taken from the pool where the entry is empty and `create` is set. */
static uint64_t *lower_table(uint64_t *entry, bool create)
{
    if (!(*entry & PAGE_PRESENT)) {
        if (!create)
            return NULL;
        if (tables_used == PAGE_TABLE_COUNT)
            panic("out of page tables");
        uint64_t frame = platform->frame_of_page(mm_page_number(table_pool[tables_used++]));
        *entry = frame << PAGE_SHIFT | PAGE_READ_WRITE;
    }
    return mm_image_address(platform->page_of_frame((*entry & PAGE_FRAME_MASK) >> PAGE_SHIFT));
}

static uint64_t *find_entry(uint64_t address, bool create)
{
    uint64_t *table = swapper_pg_dir;

    for (unsigned shift = 39; table && shift > PAGE_SHIFT; shift -= 9)
        table = lower_table(&table[address >> shift & (ENTRIES_PER_TABLE - 1)], create);
    return table ? &table[address >> PAGE_SHIFT & (ENTRIES_PER_TABLE - 1)] : NULL;
}

bool mm_is_page_table(uint64_t page_number)
{
    return page_number >= mm_page_number(__page_tables_start) &&
           page_number < mm_page_number(__page_tables_end);
}

void mm_build_entry(const volatile void *address, uint64_t entry)
{
    *find_entry((uint64_t)address, true) = entry;
}

static void build_image_map(void)
{
    /* Entries of the spare window are set later, but their tables must be there. */
    for (uint64_t offset = 0; offset < IMAGE_WINDOW; offset += PAGE_SIZE)
        find_entry(VIRT_BASE + offset, true);

    for (uint64_t page = IMAGE_OFFSET >> PAGE_SHIFT; page < mm_page_number(_end); page++)
        mm_build_entry(mm_image_address(page), platform->image_entry(page));
}

static void build_direct_map(uint64_t page_count)
{
    for (uint64_t page = 0; page < page_count; page++)
        mm_build_entry(direct_address(page), platform->direct_entry(page));
}

void mm_init(uint64_t pages)
{
    uint64_t page_count = pages < DIRECT_MAP_MAX_PAGES ? pages : DIRECT_MAP_MAX_PAGES;

    build_image_map();
    build_direct_map(page_count);
    platform->use_page_tables(platform->frame_of_page(mm_page_number(swapper_pg_dir)));

    /* The domain builder used the lower end of the memory, so the upper end is free. */
    while (free_page_count < FREE_PAGE_COUNT)
        mm_free_page(direct_address(page_count - 1 - free_page_count));
}

uint64_t mm_entry(const volatile void *address)
{
    const uint64_t *entry = find_entry((uint64_t)address, false);

    return entry ? *entry : 0;
}

uint64_t mm_frame_address(const volatile void *address)
{
    return (mm_entry(address) & PAGE_FRAME_MASK) + (uint64_t)address % PAGE_SIZE;
}

void *mm_spare_address(enum spare_page page)
{
    return (void *)(VIRT_BASE + SPARE_WINDOW + (uint64_t)page * PAGE_SIZE);
}

long mm_set_entry(const volatile void *address, uint64_t entry)
{
    const uint64_t page = (uint64_t)address & -(uint64_t)PAGE_SIZE;

    return platform->set_entry(page, find_entry(page, false), entry);
}

void *mm_allocate_page(void)
{
    if (!free_page_count)
        panic("out of memory");
    return free_pages[--free_page_count];
}

void mm_free_page(void *page)
{
    free_pages[free_page_count++] = page;
}
