#include "console.h"

#include <stdarg.h>
#include <xen/xen.h>
#include <xen/io/console.h>

#include "barrier.h"
#include "events.h"
#include "hypercall.h"
#include "layout.h"
#include "text.h"

/* A console that nobody empties must not stop the kernel: the rest of the text is dropped. */
#define FULL_RING_ATTEMPTS 20000

static struct xencons_interface *console_ring;
static uint32_t console_port;

void console_init(struct xencons_interface *ring, uint32_t port)
{
    console_ring = ring;
    console_port = port;
}

static size_t console_write(const char *text, size_t length)
{
    const uint32_t size = sizeof(console_ring->out);
    size_t written = 0;

    for (unsigned attempt = 0; written < length && attempt < FULL_RING_ATTEMPTS; attempt++) {
        uint32_t produced = console_ring->out_prod;

        memory_barrier();
        while (written < length && produced - READ_ONCE(console_ring->out_cons) < size)
            console_ring->out[produced++ % size] = text[written++];
        memory_barrier();
        WRITE_ONCE(console_ring->out_prod, produced);
        if (written < length) {
            event_notify(console_port);
            hypercall_sched_op(SCHEDOP_yield, NULL);
        }
    }
    return written;
}

static void console_flush(void)
{
    event_notify(console_port);
}

struct file_operations console_file_operations
    __attribute__((section(".invariant.file_operations"), aligned(PAGE_SIZE))) = {
        .write = console_write,
        .flush = console_flush,
};

void print(const char *pattern, ...)
{
    static const char name[] = "SimpleOS: ";
    char line[256];
    va_list arguments;

    text_copy(line, sizeof(line), name);
    va_start(arguments, pattern);
    size_t length = sizeof(name) - 1;
    length += text_format_list(line + length, sizeof(line) - length - 2, pattern, arguments);
    va_end(arguments);
    line[length++] = '\r';
    line[length++] = '\n';
    console_file_operations.write(line, length);
    console_file_operations.flush();
}
