/*
 * What a C program needs in Dom0 for the same work as xkmon: the measure of `deno task bench`.
 *
 *   baseline compare DOMAIN               comparisons, as ordered on standard input
 *   baseline pause DOMAIN REF PORT        pauses the guest at its next write fault
 *   baseline fault DOMAIN REF             how long the guest ran on after its last fault
 *   baseline watch DOMAIN [START BYTES]...  compares ranges once a second, for ever
 *
 * REF and PORT are what the guest announced in xenstore; a range is a guest virtual address,
 * hexadecimal, and its bytes, decimal.
 */
#include <err.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <xenctrl.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>

#include "../simpleos/fault_channel.h"

#define PAGE_BYTES 4096ul
#define MAX_RANGES 16
#define WAIT_MILLISECONDS 60000
#define WRITE_TO_PRESENT_PAGE 3 /* page-fault error code: present, write */

/* Guest pages that are mapped for good, and what they held at the first look. */
struct range {
    uint64_t start;
    size_t bytes;
    unsigned char *guest;
    unsigned char *trusted;
};

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static xc_interface *open_control(void)
{
    xc_interface *control = xc_interface_open(NULL, NULL, 0);

    if (!control)
        err(1, "xc_interface_open");
    return control;
}

static struct range map_range(xc_interface *control, xenforeignmemory_handle *memory,
                              uint32_t domain, uint64_t start, size_t bytes)
{
    const size_t pages = bytes / PAGE_BYTES;
    struct range range = {
        .start = start, .bytes = bytes, .trusted = aligned_alloc(PAGE_BYTES, bytes)};
    xen_pfn_t *frames = calloc(pages, sizeof(*frames));
    int *errors = calloc(pages, sizeof(*errors));

    if (!range.trusted || !frames || !errors)
        err(1, "range of %zu bytes", bytes);
    for (size_t page = 0; page < pages; page++) {
        frames[page] = xc_translate_foreign_address(control, domain, 0, start + page * PAGE_BYTES);
        if (!frames[page])
            errx(1, "page %zu of %" PRIx64 " is not mapped", page, start);
    }
    range.guest = xenforeignmemory_map(memory, domain, PROT_READ, pages, frames, errors);
    if (!range.guest)
        err(1, "xenforeignmemory_map");
    for (size_t page = 0; page < pages; page++)
        if (errors[page])
            errx(1, "page %zu of %" PRIx64 ": error %d", page, start, errors[page]);
    memcpy(range.trusted, range.guest, bytes);
    free(frames);
    free(errors);
    return range;
}

/* Pages that differ, with `step` bytes to a call of memcmp. */
static size_t compare(const struct range *range, size_t step)
{
    size_t differing = 0;

    for (size_t at = 0; at < range->bytes; at += step)
        differing += memcmp(range->guest + at, range->trusted + at, step) != 0;
    return differing;
}

static size_t compare_all(const struct range *const *ranges, unsigned count, size_t step)
{
    size_t differing = 0;

    for (unsigned i = 0; i < count; i++)
        differing += compare(ranges[i], step ? step : ranges[i]->bytes);
    return differing;
}

/*
 * A line orders "MILLISECONDS STEP COUNT [START BYTES]...": to compare these ranges again and again
 * for that time, STEP bytes to a call of memcmp, or with 0 each range in one. The answer is
 * "ROUNDS NANOSECONDS DIFFERENCES".
 */
static int serve_comparisons(uint32_t domain)
{
    xc_interface *control = open_control();
    xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
    struct range known[MAX_RANGES];
    const struct range *ordered[MAX_RANGES];
    unsigned known_count = 0, count;
    uint64_t milliseconds;
    size_t step;

    if (!memory)
        err(1, "xenforeignmemory_open");
    puts("ready");
    while (fflush(stdout),
           scanf("%" SCNu64 " %zu %u", &milliseconds, &step, &count) == 3 && count <= MAX_RANGES) {
        for (unsigned i = 0; i < count; i++) {
            uint64_t start;
            size_t bytes;
            unsigned which = 0;

            if (scanf("%" SCNx64 " %zu", &start, &bytes) != 2)
                errx(1, "half an order");
            while (which < known_count &&
                   (known[which].start != start || known[which].bytes != bytes))
                which++;
            if (which == MAX_RANGES)
                errx(1, "more than %d ranges", MAX_RANGES);
            if (which == known_count)
                known[known_count++] = map_range(control, memory, domain, start, bytes);
            ordered[i] = &known[which];
        }

        size_t differences = compare_all(ordered, count, step);
        const uint64_t begin = nanoseconds(), end = begin + milliseconds * 1000000;
        uint64_t rounds = 0, now = begin;

        for (; now < end; now = nanoseconds(), rounds++)
            differences += compare_all(ordered, count, step);
        printf("%" PRIu64 " %" PRIu64 " %zu\n", rounds, now - begin, differences);
    }
    return 0;
}

static const struct fault_page *map_fault_page(uint32_t domain, uint32_t reference)
{
    xengnttab_handle *grants = xengnttab_open(NULL, 0);
    void *page = grants ? xengnttab_map_grant_ref(grants, domain, reference, PROT_READ) : NULL;

    if (!page)
        err(1, "xengnttab_map_grant_ref");
    return page;
}

static int report_fault(uint32_t domain, uint32_t reference)
{
    const struct fault_page *page = map_fault_page(domain, reference);
    const uint64_t sequence = page->sequence;
    const struct fault_record *record = &page->records[(sequence - 1) % FAULT_SLOTS];

    printf("%" PRIu64 " %" PRIu64 "\n", sequence, sequence ? page->now - record->time : 0);
    return 0;
}

static int pause_at_fault(uint32_t domain, uint32_t reference, uint32_t remote_port)
{
    xc_interface *control = open_control();
    const struct fault_page *page = map_fault_page(domain, reference);
    xenevtchn_handle *events = xenevtchn_open(NULL, 0);
    uint64_t last = page->sequence;

    if (!events || xenevtchn_bind_interdomain(events, domain, remote_port) < 0)
        err(1, "xenevtchn_bind_interdomain");
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd source = {.fd = xenevtchn_fd(events), .events = POLLIN};

        if (poll(&source, 1, WAIT_MILLISECONDS) != 1)
            errx(1, "no event");
        const int port = xenevtchn_pending(events);
        const struct fault_page copy = *page;

        for (; last < copy.sequence; last++) {
            const struct fault_record *record = &copy.records[last % FAULT_SLOTS];

            if ((record->error_code & WRITE_TO_PRESENT_PAGE) != WRITE_TO_PRESENT_PAGE)
                continue;
            if (xc_domain_pause(control, domain))
                err(1, "xc_domain_pause");
            printf("paused %" PRIx64 "\n", record->address);
            return 0;
        }
        if (port < 0 || xenevtchn_unmask(events, (evtchn_port_t)port))
            err(1, "event channel");
    }
}

static int watch(uint32_t domain, int arguments, char **argument)
{
    xc_interface *control = open_control();
    xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
    struct range ranges[MAX_RANGES];
    int count = arguments / 2;

    if (!memory || count > MAX_RANGES)
        errx(1, "cannot watch %d ranges", count);
    for (int i = 0; i < count; i++)
        ranges[i] = map_range(control, memory, domain, strtoull(argument[2 * i], NULL, 16),
                              strtoull(argument[2 * i + 1], NULL, 10));
    puts("ready");
    fflush(stdout);
    for (;;) {
        poll(NULL, 0, 1000);
        for (int i = 0; i < count; i++)
            if (compare(&ranges[i], ranges[i].bytes))
                errx(1, "%" PRIx64 " differs", ranges[i].start);
    }
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int count, char **argument)
{
    const char *command = count > 2 ? argument[1] : "";

    if (!strcmp(command, "compare") && count == 3)
        return serve_comparisons(number(argument[2]));
    if (!strcmp(command, "pause") && count == 5)
        return pause_at_fault(number(argument[2]), number(argument[3]), number(argument[4]));
    if (!strcmp(command, "fault") && count == 4)
        return report_fault(number(argument[2]), number(argument[3]));
    if (!strcmp(command, "watch"))
        return watch(number(argument[2]), count - 3, argument + 3);
    errx(64, "see the head of baseline.c");
}
