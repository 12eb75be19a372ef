#include "attacks.h"

#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "mm.h"
#include "panic.h"
#include "platform.h"
#include "state.h"
#include "syscalls.h"
#include "text.h"
#include "traps.h"
#include "xenbus.h"

#define WORD_SIZE sizeof(uint64_t)
#define STORM_READINGS 1000
#define STORM_STORES 64
#define TABLE_USE_VALUE 0x7461626c65

extern char empty_start[], empty_end[];

/* Takes the place of `shutdown`. In a section of its own, so that its length is known. */
__attribute__((section(".empty_function"), noipa)) static void empty(const char *argument,
                                                                    char *answer)
{
    (void)argument;
    (void)answer;
}

/* The slot that holds the address of `shutdown`, as it is reached through a mapping of its page. */
static volatile uint64_t *table_slot(volatile void *page)
{
    uint64_t offset = (uint64_t)&sys_call_table[shutdown_p] % PAGE_SIZE;

    return (volatile uint64_t *)((uint64_t)page + offset);
}

static volatile uint8_t *shutdown_code(volatile void *page)
{
    return (volatile uint8_t *)((uint64_t)page + (uint64_t)shutdown % PAGE_SIZE);
}

static void *page_of(const volatile void *address)
{
    return (void *)((uint64_t)address & -(uint64_t)PAGE_SIZE);
}

static long write_data(volatile void *table_page)
{
    *table_slot(table_page) = (uint64_t)empty;
    return 0;
}

static long write_code(volatile void *code_page)
{
    for (unsigned i = 0; i < empty_end - empty_start; i++)
        shutdown_code(code_page)[i] = (uint8_t)empty_start[i];
    return 0;
}

static long make_writable(const volatile void *address)
{
    return mm_set_entry(address, mm_entry(address) | PAGE_WRITABLE);
}

/* Maps the frame behind an address a second time, writable; that mapping stays. */
static long map_alias(const volatile void *address, enum spare_page spare)
{
    return mm_set_entry(mm_spare_address(spare),
                        (mm_entry(address) & PAGE_FRAME_MASK) | PAGE_READ_WRITE);
}

static long data_attack(void)
{
    return write_data(page_of(sys_call_table));
}

/* As the page is mapped: what the kernel itself made read-only stops it. */
static long code_attack_store(void)
{
    return write_code(page_of(shutdown));
}

static long code_attack(void)
{
    platform->set_write_protection(false);
    long result = write_code(page_of(shutdown));

    platform->set_write_protection(true);
    return result;
}

static long data_attack_remap(void)
{
    long result = make_writable(sys_call_table);

    return result ? result : data_attack();
}

static long code_attack_remap(void)
{
    long result = make_writable(shutdown);

    return result ? result : code_attack_store();
}

static long data_attack_hypercall(void)
{
    return platform->write_frame(&sys_call_table[shutdown_p], (uint64_t)empty);
}

static long code_attack_hypercall(void)
{
    uint64_t words[4];
    size_t length = (size_t)(empty_end - empty_start);
    long result = 0;

    memcpy(words, (const void *)shutdown, sizeof(words));
    memcpy(words, empty_start, length < sizeof(words) ? length : sizeof(words));
    for (unsigned i = 0; !result && i * WORD_SIZE < length; i++)
        result = platform->write_frame((const uint64_t *)shutdown + i, words[i]);
    return result;
}

static long data_attack_alias(void)
{
    long result = map_alias(sys_call_table, SPARE_DATA_ALIAS);

    return result ? result : write_data(mm_spare_address(SPARE_DATA_ALIAS));
}

static long code_attack_alias(void)
{
    long result = map_alias(shutdown, SPARE_CODE_ALIAS);

    return result ? result : write_code(mm_spare_address(SPARE_CODE_ALIAS));
}

/* The flags of the entry stay as they are; only the frame is another one. */
static long data_attack_swap(void)
{
    void *table_page = page_of(sys_call_table);
    void *copy = mm_allocate_page();
    uint64_t flags = mm_entry(table_page) & ~PAGE_FRAME_MASK;

    memcpy(copy, table_page, PAGE_SIZE);
    write_data(copy);
    return mm_set_entry(table_page, (mm_entry(copy) & PAGE_FRAME_MASK) | flags);
}

/* No table changes, and the page keeps its number. */
static long data_attack_populate(void)
{
    void *table_page = page_of(sys_call_table);
    void *copy = mm_allocate_page();
    long result;

    memcpy(copy, table_page, PAGE_SIZE);
    write_data(copy);
    result = platform->replace_frame(table_page);
    if (!result)
        memcpy(table_page, copy, PAGE_SIZE);
    mm_free_page(copy);
    return result;
}

/* No table changes, and Xen counts as many pages as before; the copy's own number leads nowhere. */
static long data_attack_move(void)
{
    void *table_page = page_of(sys_call_table);
    void *copy = mm_allocate_page();

    memcpy(copy, table_page, PAGE_SIZE);
    write_data(copy);
    return platform->move_frame(copy, table_page);
}

void mute_fault(struct registers *registers)
{
    const void *address = (const void *)platform->fault_address();

    if (make_writable(address))
        abandon_guarded_call(registers, (uint64_t)address);
}

/* Writes where it takes a page fault: to read-only text, else to data, which a monitor protects. */
static long mute_attack(void)
{
    long result = platform->mute_page_faults();

    if (result)
        return result;
    return platform->text_is_read_only ? code_attack_store() : data_attack();
}

/* As mute_attack; the kernel's own table of handlers stays as it is. */
static long idt_attack(void)
{
    long result = platform->move_page_faults();

    return result ? result : code_attack_store();
}

/* Proves nothing, but a monitor that is told of each reading is kept busy. */
static long idt_storm(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer;

    for (unsigned i = 0; i < STORM_READINGS; i++)
        asm volatile("sidt %0" : "=m"(pointer));
    return 0;
}

/*
 * Proves nothing, but uses the table that leads to the image: maps a page below that, leaves it to
 * the processor to mark the entry, and unmaps it. A kernel does so all the time.
 */
static long table_use(void)
{
    volatile uint64_t *mapped = mm_image_address(0);
    uint64_t *page = mm_allocate_page();
    long result = mm_set_entry(mapped, mm_entry(page) & ~(PAGE_ACCESSED | PAGE_DIRTY));

    if (!result) {
        *mapped = TABLE_USE_VALUE;
        if (*(volatile uint64_t *)page != TABLE_USE_VALUE)
            panic("table_use: two mappings of a page differ");
        result = mm_set_entry(mapped, 0);
    }
    mm_free_page(page);
    return result;
}

/*
 * Stores into pages that nobody has used yet, then as many into a page that a monitor closes,
 * which change nothing, and tells the store how long each took.
 */
static long write_storm(void)
{
    volatile uint64_t *pages[STORM_STORES];
    uint64_t start, middle;

    for (unsigned i = 0; i < STORM_STORES; i++)
        pages[i] = mm_allocate_page();
    start = clock_system_time();
    for (unsigned i = 0; i < STORM_STORES; i++)
        *pages[i] = 0;
    middle = clock_system_time();
    for (unsigned i = 0; i < STORM_STORES; i++)
        *table_slot(page_of(sys_call_table)) = (uint64_t)shutdown;
    xenbus_write_number("data/storm-table", clock_system_time() - middle);
    xenbus_write_number("data/storm-pages", middle - start);
    for (unsigned i = 0; i < STORM_STORES; i++)
        mm_free_page((void *)pages[i]);
    return 0;
}

#define ATTACK(function) {#function, function}

static const struct {
    const char *name;
    long (*run)(void);
} attacks[] = {
    ATTACK(data_attack),
    ATTACK(code_attack),
    ATTACK(code_attack_store),
    ATTACK(data_attack_remap),
    ATTACK(code_attack_remap),
    ATTACK(data_attack_hypercall),
    ATTACK(code_attack_hypercall),
    ATTACK(data_attack_alias),
    ATTACK(code_attack_alias),
    ATTACK(data_attack_swap),
    ATTACK(data_attack_populate),
    ATTACK(data_attack_move),
    ATTACK(mute_attack),
    ATTACK(idt_attack),
    ATTACK(idt_storm),
    ATTACK(table_use),
    ATTACK(write_storm),
};

bool attack_by_name(const char *name, char *answer)
{
    for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        if (!text_equal(name, attacks[i].name))
            continue;
        state_set("attacking %s", name);
        bool done = guarded_call(attacks[i].run) == 0;

        state_set("%s %s", done ? "attacked" : "blocked", name);
        text_copy(answer, ANSWER_SIZE, done ? "done" : "blocked");
        return true;
    }
    return false;
}
