#include "xenbus.h"

#include <xen/xen.h>
#include <xen/io/xs_wire.h>

#include "barrier.h"
#include "clock.h"
#include "events.h"
#include "panic.h"
#include "text.h"

#define WAIT_TICKS (30 * TICKS_PER_SECOND)
#define MAX_WATCHES 4
#define MAX_PAYLOAD 512

static struct xenstore_domain_interface *store_ring;
static uint32_t store_port;
static uint32_t last_request;
static struct xenbus_watch *watches[MAX_WATCHES];
static unsigned watch_count;

void xenbus_init(struct xenstore_domain_interface *ring, uint32_t port)
{
    store_ring = ring;
    store_port = port;
    event_unmask(port);
}

static uint32_t request_space(void)
{
    return XENSTORE_RING_SIZE -
           (READ_ONCE(store_ring->req_prod) - READ_ONCE(store_ring->req_cons));
}

static uint32_t response_bytes(void)
{
    return READ_ONCE(store_ring->rsp_prod) - READ_ONCE(store_ring->rsp_cons);
}

bool xenbus_pending(void)
{
    return response_bytes() != 0;
}

static void send(const void *data, size_t length)
{
    const char *bytes = data;

    while (length) {
        if (!wait_for(request_space(), WAIT_TICKS))
            panic("xenstore takes no requests");
        uint32_t produced = store_ring->req_prod;
        uint32_t end = produced + request_space();

        memory_barrier();
        for (; length && produced != end; length--)
            store_ring->req[MASK_XENSTORE_IDX(produced++)] = *bytes++;
        memory_barrier();
        WRITE_ONCE(store_ring->req_prod, produced);
        event_notify(store_port);
    }
}

/* Takes `length` bytes off the ring, keeping as many as `size` allows. */
static void receive(void *data, size_t size, size_t length)
{
    char *bytes = data;

    while (length) {
        if (!wait_for(response_bytes(), WAIT_TICKS))
            panic("xenstore does not answer");
        uint32_t consumed = store_ring->rsp_cons;
        uint32_t end = consumed + response_bytes();

        memory_barrier();
        for (; length && consumed != end; length--) {
            char byte = store_ring->rsp[MASK_XENSTORE_IDX(consumed++)];

            if (size) {
                *bytes++ = byte;
                size--;
            }
        }
        memory_barrier();
        WRITE_ONCE(store_ring->rsp_cons, consumed);
        event_notify(store_port);
    }
}

/* The event names the path and then the token, which is the index of the watch. */
static void mark_watch(const char *payload)
{
    unsigned index = (unsigned)(payload[strlen(payload) + 1] - '0');

    if (index < watch_count)
        watches[index]->fired = true;
}

/* Receives one message; watch events are handled here, other payloads returned with a NUL. */
static struct xsd_sockmsg receive_message(char payload[MAX_PAYLOAD])
{
    struct xsd_sockmsg header;

    receive(&header, sizeof(header), sizeof(header));
    receive(payload, MAX_PAYLOAD - 2, header.len);
    size_t length = header.len < MAX_PAYLOAD - 2 ? header.len : MAX_PAYLOAD - 2;

    memset(payload + length, 0, 2);
    if (header.type == XS_WATCH_EVENT)
        mark_watch(payload);
    return header;
}

void xenbus_poll(void)
{
    char payload[MAX_PAYLOAD];

    while (xenbus_pending())
        receive_message(payload);
}

/* Sends a path, with its NUL, and the bytes after it; returns the type of the reply. */
static uint32_t request(uint32_t type, const char *path, const char *value, size_t value_length,
                        char reply[MAX_PAYLOAD])
{
    const size_t path_size = strlen(path) + 1;
    struct xsd_sockmsg header = {
        .type = type,
        .req_id = ++last_request,
        .len = (uint32_t)(path_size + value_length),
    };

    send(&header, sizeof(header));
    send(path, path_size);
    send(value, value_length);
    do
        header = receive_message(reply);
    while (header.type == XS_WATCH_EVENT || header.req_id != last_request);
    return header.type;
}

void xenbus_write(const char *path, const char *value)
{
    char reply[MAX_PAYLOAD];

    if (request(XS_WRITE, path, value, strlen(value), reply) == XS_ERROR)
        panic("xenstore refused to write %s: %s", path, reply);
}

void xenbus_write_number(const char *path, uint64_t value)
{
    char digits[24];

    text_format(digits, sizeof(digits), "%lu", value);
    xenbus_write(path, digits);
}

bool xenbus_read(const char *path, char *value, size_t size)
{
    char reply[MAX_PAYLOAD];
    bool found = request(XS_READ, path, "", 0, reply) == XS_READ;

    text_copy(value, size, found ? reply : "");
    return found;
}

void xenbus_watch(struct xenbus_watch *watch)
{
    char reply[MAX_PAYLOAD];
    char token[2] = {(char)('0' + watch_count), '\0'};

    if (watch_count == MAX_WATCHES)
        panic("too many watches");
    watches[watch_count++] = watch;
    if (request(XS_WATCH, watch->path, token, sizeof(token), reply) == XS_ERROR)
        panic("xenstore refused to watch %s: %s", watch->path, reply);
}
