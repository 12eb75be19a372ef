/* Console output through the ring that the domain builder set up. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stddef.h>
#include <stdint.h>

struct xencons_interface;

/* What can be done with an open file. A kernel never changes such a table once it is built. */
struct file_operations {
    size_t (*write)(const char *text, size_t length);
    void (*flush)(void);
};

extern struct file_operations console_file_operations;

void console_init(struct xencons_interface *ring, uint32_t port);

/* One line, "SimpleOS: " before and a line end behind it. */
void print(const char *pattern, ...) __attribute__((format(printf, 1, 2)));

#endif
