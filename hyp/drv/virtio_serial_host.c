// SPDX-License-Identifier: BSD-2-Clause
// The host's virtio serial device: ports 1 .. SERIAL_PORTS of it, as the device numbers them (its port 0 is for a
// console). A port has a queue each way; two more carry messages about ports.
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "drv/drv.h"
#include "drv/serial_ports.h"
#include "drv/virtio_host.h"
#include "mem/heap.h"

#define F_MULTIPORT (1ull << 1)
enum { CFG_MAX_PORTS = 4 };
/* What a client sends may be long (a bundle), and an interrupt comes with each buffer; QEMU fills 4 KiB at most. */
enum { BUFFERS = 8, INPUT_SIZE = 4096, OTHER_SIZE = 512, CONTROL_RX = 2, CONTROL_TX = 3 };

/* 5.3.6.2, "Multiport Device Operation" */
struct control {
    uint32_t id;
    uint16_t event, value;
};
enum {
    DEVICE_READY = 0,
    DEVICE_ADD = 1,
    DEVICE_REMOVE = 2,
    PORT_READY = 3,
    PORT_OPEN = 6,
};

/* A queue with BUFFERS buffers. Of a queue for input, those that came and were not read yet, in their order. */
struct channel {
    struct virtio_host_queue queue;
    char *memory; /* BUFFERS buffers of size bytes */
    unsigned size;
    uint8_t buffer_of[VIRTIO_HOST_QUEUE]; /* by head */
    uint8_t ready[BUFFERS]; /* input: buffers that wait to be read; output: free ones */
    uint16_t length[BUFFERS];
    unsigned first, count; /* of ready */
    unsigned offset; /* bytes read of the first */
};

static struct port {
    struct channel in, out;
    bool usable;
    unsigned connection, connections;
} ports[SERIAL_PORTS];
static struct channel control_in, control_out;
static struct virtio_host *device;
static void (*wake)(void);

static char *buffer_at(struct channel *c, unsigned buffer) { return c->memory + buffer * c->size; }

static void offer(struct channel *c, unsigned buffer, uint32_t len, bool device_writes)
{
    int head = -1;

    virtio_host_append(
        &c->queue, &head,
        (struct virtio_host_buf){hva_to_pa(buffer_at(c, buffer)), len, device_writes});
    c->buffer_of[head] = (uint8_t)buffer;
    virtio_host_offer(&c->queue, head);
}

/* Buffers that the device has used become ready: filled ones of input, free ones of output. */
static void collect(struct channel *c)
{
    uint32_t len;
    int head;

    while ((head = virtio_host_used(&c->queue, &len)) >= 0) {
        unsigned buffer = c->buffer_of[head];

        c->ready[(c->first + c->count++) % BUFFERS] = (uint8_t)buffer;
        c->length[buffer] = (uint16_t)min_u64(len, c->size);
    }
}

/* The first of the ready buffers is done with. */
static unsigned drop(struct channel *c)
{
    unsigned buffer = c->ready[c->first];

    c->first = (c->first + 1) % BUFFERS;
    c->count--;
    c->offset = 0;
    return buffer;
}

static void give_back(struct channel *c)
{
    offer(c, drop(c), c->size, true);
    virtio_host_kick(&c->queue);
}

static size_t channel_read(struct channel *c, char *to, size_t max)
{
    size_t done = 0;

    collect(c);
    while (done < max && c->count) {
        unsigned buffer = c->ready[c->first];
        size_t n = min_u64(max - done, c->length[buffer] - c->offset);

        memcpy(to + done, buffer_at(c, buffer) + c->offset, n);
        done += n;
        c->offset += (unsigned)n;
        if (c->offset == c->length[buffer])
            give_back(c);
    }
    return done;
}

static size_t channel_write(struct channel *c, const char *data, size_t len)
{
    size_t done = 0;

    collect(c);
    while (done < len && c->count) {
        unsigned buffer = drop(c);
        size_t n = min_u64(len - done, c->size);

        memcpy(buffer_at(c, buffer), data + done, n);
        offer(c, buffer, (uint32_t)n, false);
        done += n;
    }
    if (done)
        virtio_host_kick(&c->queue);
    return done;
}

/* ---- messages about ports ---- */

/* The device answers at once; should it not, the message is left out, and its port is not used. */
static void tell(uint32_t id, uint16_t event, uint16_t value)
{
    struct control m = {id, event, value};

    if (channel_write(&control_out, (const char *)&m, sizeof(m)) != sizeof(m))
        log_warn("virtio-serial: the device takes no messages");
}

static void discard_input(struct port *p)
{
    collect(&p->in);
    while (p->in.count)
        give_back(&p->in);
}

static void set_open(struct port *p, bool open)
{
    if (open && !p->connection) {
        p->connection = ++p->connections;
    } else if (!open && p->connection) {
        p->connection = 0;
        discard_input(p); /* of a client that is gone */
    }
}

static void hear(const struct control *m)
{
    struct port *p = m->id >= 1 && m->id <= SERIAL_PORTS ? &ports[m->id - 1] : NULL;

    if (!p || !p->usable) {
        if (m->event == DEVICE_ADD && m->id)
            log_warn("virtio-serial: port %u is not used: 1 to %d are", m->id, SERIAL_PORTS);
        if (m->event == DEVICE_ADD)
            tell(m->id, PORT_READY, 0);
        return;
    }
    switch (m->event) {
    case DEVICE_ADD:
        tell(m->id, PORT_READY, 1);
        tell(m->id, PORT_OPEN, 1);
        break;
    case DEVICE_REMOVE:
        set_open(p, false);
        break;
    case PORT_OPEN:
        set_open(p, m->value != 0);
        break;
    default:
        break; /* a name; a console's, and its size: none of ours */
    }
}

void serial_ports_step(void)
{
    struct channel *c = &control_in;

    if (!device)
        return;
    collect(c);
    while (c->count) {
        unsigned buffer = c->ready[c->first];
        struct control m;

        memcpy(&m, buffer_at(c, buffer), sizeof(m));
        if (c->length[buffer] >= sizeof(m))
            hear(&m);
        give_back(c);
    }
}

/* ---- ports ---- */

unsigned serial_port_connection(unsigned port) { return ports[port].connection; }

size_t serial_port_read(unsigned port, char *to, size_t max)
{
    return ports[port].connection ? channel_read(&ports[port].in, to, max) : 0;
}

size_t serial_port_write(unsigned port, const char *data, size_t len)
{
    return ports[port].connection ? channel_write(&ports[port].out, data, len) : len;
}

/* ---- set-up ---- */

static int channel_init(struct channel *c, struct virtio_host *d, unsigned index, unsigned size,
                        bool input)
{
    int error = virtio_host_queue_init(&c->queue, d, index, BUFFERS);

    if (error)
        return error;
    c->size = size;
    c->memory = heap_alloc(BUFFERS * size);
    if (!c->memory)
        return -ENOMEM;
    for (unsigned i = 0; i < BUFFERS && i < c->queue.size; i++) {
        if (input)
            offer(c, i, c->size, true);
        else
            c->ready[c->count++] = (uint8_t)i;
    }
    return 0;
}

/* The queues of port n, by the device's number: 0 and 1 are port 0's, 2 and 3 for messages. */
static int port_init(struct port *p, struct virtio_host *d, unsigned n)
{
    int error = channel_init(&p->in, d, 2 + 2 * n, INPUT_SIZE, true);

    if (!error)
        error = channel_init(&p->out, d, 3 + 2 * n, OTHER_SIZE, false);
    p->usable = !error;
    return error;
}

static void channel_free(struct channel *c)
{
    heap_free(c->memory);
    memset(c, 0, sizeof(*c));
}

static void free_all(void)
{
    channel_free(&control_in);
    channel_free(&control_out);
    for (unsigned i = 0; i < SERIAL_PORTS; i++) {
        channel_free(&ports[i].in);
        channel_free(&ports[i].out);
        ports[i].usable = false;
    }
}

static void on_interrupt(void *arg)
{
    virtio_host_ack(arg);
    if (wake)
        wake();
}

static int set_up(struct virtio_host *d)
{
    int error = virtio_host_begin(d, F_MULTIPORT);
    uint32_t most;

    if (error)
        return error;
    if (!(d->features & F_MULTIPORT))
        return -ENODEV; /* a console: the machine has one */
    most = virtio_host_config32(d, CFG_MAX_PORTS);
    error = channel_init(&control_in, d, CONTROL_RX, OTHER_SIZE, true);
    if (!error)
        error = channel_init(&control_out, d, CONTROL_TX, OTHER_SIZE, false);
    for (unsigned n = 1; n <= SERIAL_PORTS && n < most && !error; n++)
        error = port_init(&ports[n - 1], d, n);
    if (!error)
        error = host_irq_register(d->irq, on_interrupt, d);
    return error;
}

int virtio_serial_host_attach(struct virtio_host *d)
{
    int error = device ? -EEXIST : set_up(d);

    if (error) {
        virtio_host_forget(d); /* before its memory is freed */
        if (!device)
            free_all();
        return error;
    }
    device = d;
    virtio_host_go(d);
    for (struct virtio_host_queue *q = d->queues; q; q = q->next)
        virtio_host_kick(q);
    tell(0, DEVICE_READY, 1);
    return 0;
}

void serial_ports_start(void (*fn)(void)) { wake = fn; }
