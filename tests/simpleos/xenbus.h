/* Xenstore client; paths are relative to the domain's home, /local/domain/ID. */
#ifndef XENBUS_H
#define XENBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xenstore_domain_interface;

/* A path whose changes are wanted; the store also reports it once when the watch is set. */
struct xenbus_watch {
    const char *path;
    bool fired;
};

void xenbus_init(struct xenstore_domain_interface *ring, uint32_t port);

/* Panics where the store refuses: the paths of this kernel are its own. */
void xenbus_write(const char *path, const char *value);
void xenbus_write_number(const char *path, uint64_t value);

/* False, and an empty text, where there is no such node. */
bool xenbus_read(const char *path, char *value, size_t size);

/* Watches that live forever; the number of watches is fixed and small. */
void xenbus_watch(struct xenbus_watch *watch);

/* True if something has arrived that xenbus_poll has not looked at yet. */
bool xenbus_pending(void);
/* Takes what has arrived and marks the watches that fired. */
void xenbus_poll(void);

#endif
