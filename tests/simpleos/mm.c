#include "mm.h"

#include <stdbool.h>
#include <stddef.h>

#include "hypercall.h"
#include "panic.h"

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

/* The page tables that the domain builder made, in the direct map. */
static uint64_t builder_tables_start, builder_tables_end;

static const uint64_t *machine_frames; /* by page number, given by the domain builder */
static uint64_t page_count;

static void *free_pages[FREE_PAGE_COUNT];
static unsigned free_page_count;

static uint64_t image_page_number(const volatile void *address)
{
    return ((uint64_t)address - VIRT_BASE) >> PAGE_SHIFT;
}

static void *image_address(uint64_t page_number)
{
    return (void *)(VIRT_BASE + (page_number << PAGE_SHIFT));
}

static uint64_t direct_address(uint64_t page_number)
{
    return DIRECT_MAP_BASE + (page_number << PAGE_SHIFT);
}

static uint64_t page_number_of_frame(uint64_t machine_frame)
{
    return machine_to_phys_mapping[machine_frame];
}

void *mm_builder_address(uint64_t machine_frame)
{
    return image_address(page_number_of_frame(machine_frame));
}

void *mm_direct_address(uint64_t machine_frame)
{
    return (void *)direct_address(page_number_of_frame(machine_frame));
}

/* The table below an entry, taken from the pool where the entry is empty and `create` is set. */
static uint64_t *lower_table(uint64_t *entry, bool create)
{
    if (!(*entry & PAGE_PRESENT)) {
        if (!create)
            return NULL;
        if (tables_used == PAGE_TABLE_COUNT)
            panic("out of page tables");
        uint64_t frame = machine_frames[image_page_number(table_pool[tables_used++])];
        *entry = frame << PAGE_SHIFT | PAGE_READ_WRITE;
    }
    return image_address(page_number_of_frame((*entry & PAGE_FRAME_MASK) >> PAGE_SHIFT));
}

static uint64_t *find_entry(uint64_t address, bool create)
{
    uint64_t *table = swapper_pg_dir;

    for (unsigned shift = 39; table && shift > PAGE_SHIFT; shift -= 9)
        table = lower_table(&table[address >> shift & (ENTRIES_PER_TABLE - 1)], create);
    return table ? &table[address >> PAGE_SHIFT & (ENTRIES_PER_TABLE - 1)] : NULL;
}

static bool is_page_table(uint64_t page_number)
{
    return page_number >= image_page_number(__page_tables_start) &&
           page_number < image_page_number(__page_tables_end);
}

static void build_image_map(uint64_t shared_info_frame)
{
    /* Entries of the spare window are set later, but their tables must be there. */
    for (uint64_t offset = 0; offset < IMAGE_WINDOW; offset += PAGE_SIZE)
        find_entry(VIRT_BASE + offset, true);

    for (uint64_t page = IMAGE_OFFSET >> PAGE_SHIFT; page < image_page_number(_end); page++) {
        bool shared = page == image_page_number(&shared_info);
        uint64_t frame = shared ? shared_info_frame : machine_frames[page];

        *find_entry((uint64_t)image_address(page), true) =
            frame << PAGE_SHIFT | (is_page_table(page) ? PAGE_READ_ONLY : PAGE_READ_WRITE);
    }
}

static void build_direct_map(void)
{
    for (uint64_t page = 0; page < page_count; page++) {
        uint64_t address = direct_address(page);
        bool read_only = is_page_table(page) ||
                         (address >= builder_tables_start && address < builder_tables_end);

        *find_entry(address, true) =
            machine_frames[page] << PAGE_SHIFT | (read_only ? PAGE_READ_ONLY : PAGE_READ_WRITE);
    }
}

static void update_or_panic(uint64_t address, uint64_t entry)
{
    long result = hypercall_update_va_mapping(address, entry);

    if (result)
        panic("update_va_mapping of %lx to %lx failed: -%lu", address, entry, (uint64_t)-result);
}

static void page_table_operation(unsigned command, uint64_t machine_frame)
{
    struct mmuext_op operation = {.cmd = command, .arg1.mfn = machine_frame};
    long result = hypercall_mmuext_op(&operation, 1);

    if (result)
        panic("mmuext_op %lu failed: -%lu", (uint64_t)command, (uint64_t)-result);
}

static void switch_page_tables(uint64_t builder_root_frame)
{
    uint64_t root_frame = machine_frames[image_page_number(swapper_pg_dir)];

    /* Xen takes a page as a page table only if nothing maps it writable. */
    for (uint64_t page = 0; page < page_count; page++)
        if (is_page_table(page))
            update_or_panic((uint64_t)image_address(page),
                            machine_frames[page] << PAGE_SHIFT | PAGE_READ_ONLY);

    page_table_operation(MMUEXT_PIN_L4_TABLE, root_frame);
    page_table_operation(MMUEXT_NEW_BASEPTR, root_frame);
    page_table_operation(MMUEXT_UNPIN_TABLE, builder_root_frame);
}

void mm_init(const struct start_info *start_info)
{
    uint64_t builder_root = image_page_number((void *)start_info->pt_base);

    machine_frames = (const uint64_t *)start_info->mfn_list;
    page_count = start_info->nr_pages;
    if (page_count > DIRECT_MAP_MAX_PAGES)
        page_count = DIRECT_MAP_MAX_PAGES;
    builder_tables_start = direct_address(builder_root);
    builder_tables_end = direct_address(builder_root + start_info->nr_pt_frames);

    build_image_map(start_info->shared_info >> PAGE_SHIFT);
    build_direct_map();
    switch_page_tables(machine_frames[builder_root]);
    machine_frames = (void *)direct_address(image_page_number(machine_frames));

    for (uint64_t address = builder_tables_start; address < builder_tables_end;
         address += PAGE_SIZE)
        update_or_panic(address, mm_entry((void *)address) | PAGE_WRITABLE);

    /* The domain builder used the lower end of the memory, so the upper end is free. */
    while (free_page_count < FREE_PAGE_COUNT)
        mm_free_page((void *)direct_address(page_count - 1 - free_page_count));
}

uint64_t mm_entry(const volatile void *address)
{
    const uint64_t *entry = find_entry((uint64_t)address, false);

    return entry ? *entry : 0;
}

uint64_t mm_machine_address(const volatile void *address)
{
    return (mm_entry(address) & PAGE_FRAME_MASK) + (uint64_t)address % PAGE_SIZE;
}

void *mm_spare_address(enum spare_page page)
{
    return (void *)(VIRT_BASE + SPARE_WINDOW + (uint64_t)page * PAGE_SIZE);
}

long mm_set_entry(const volatile void *address, uint64_t entry)
{
    return hypercall_update_va_mapping((uint64_t)address & -(uint64_t)PAGE_SIZE, entry);
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
