// SPDX-License-Identifier: BSD-2-Clause
// virtio console: one port, its size, and a register for emergencies. (virtio 1.2, 5.3)
#include <errno.h>
#include <string.h>

#include "mem/heap.h"
#include "vdev/virtio/virtio_dev.h"
#include "vdev/virtio/virtio_mmio.h"

enum { QUEUE_RX, QUEUE_TX };
#define VCON_F_SIZE (1ull << 0)
#define VCON_F_EMERG_WRITE (1ull << 2)
enum {
    CONFIG_COLUMNS = 0,
    CONFIG_ROWS = 2,
    CONFIG_MAX_PORTS = 4,
    CONFIG_EMERG_WRITE = 8,
    CONFIG_LEN = 12
};

/* Output that one exit may carry before the vCPU gets a chance to be scheduled away. */
enum {
    VCON_KICK_BYTES = 8 * 1024,
    VCON_CHAIN_COST =
        128, /* what a chain costs of those, however short: it may have 511 buffers for nothing */
    VCON_PIECE = 256,
    VCON_RX_BUFS = 16, /* buffers of an input chain that are looked at */
};

struct vcon {
    struct virtio_dev v;
    struct chr_backend *chr;
    uint64_t tx_done; /* bytes of the chain at the front that are out already */
    uint8_t rx_len;   /* input taken from the backend that found no buffer yet */
    char rx[64];
};

static struct vcon *vcon_of(struct virtio_dev *v) { return CONTAINER_OF(v, struct vcon, v); }

/* ---- output ---- */

/* Gathers up to VCON_PIECE bytes of the chain into one write: a line of output in many small
 * buffers costs one call. *at: the cursor in the chain; skip: bytes that are out already. */
struct tx_cursor {
    struct virtq_chain *chain;
    struct virtq_buf buf;
    uint64_t skip;
};

static int tx_gather(struct vcon *c, struct tx_cursor *at, char *to)
{
    size_t got = 0;

    while (got < VCON_PIECE) {
        uint32_t n;
        int r;

        if (!at->buf.len) {
            r = virtq_next(at->chain, &at->buf);
            if (r == 0)
                break;
            if (r < 0 || at->buf.write)
                return -EILSEQ;
        }
        if (at->skip >= at->buf.len) {
            at->skip -= at->buf.len;
            at->buf.len = 0;
            continue;
        }
        at->buf.addr = gpa_add(at->buf.addr, at->skip);
        at->buf.len -= (uint32_t)at->skip;
        at->skip = 0;
        n = (uint32_t)min_u64(at->buf.len, VCON_PIECE - got);
        r = guest_mem_read(c->v.vdev.mem, at->buf.addr, to + got, n);
        if (r)
            return r;
        at->buf.addr = gpa_add(at->buf.addr, n);
        at->buf.len -= n;
        got += n;
    }
    return (int)got;
}

/* 0, -EAGAIN (the backend is full, or the budget is spent: tx_done says how far it went), or the chain is bad. */
static int tx_chain(struct vcon *c, struct virtq_chain *chain, size_t *budget)
{
    struct tx_cursor at = {.chain = chain, .skip = c->tx_done};
    char piece[VCON_PIECE];
    int got;

    while ((got = tx_gather(c, &at, piece)) > 0) {
        size_t taken = c->chr->write(c->chr->ctx, piece, (size_t)got);

        c->tx_done += taken;
        vdev_moved(&c->v.vdev, VDEV_WRITE, taken);
        if (taken < (size_t)got || *budget < (size_t)got)
            return -EAGAIN;
        *budget -= (size_t)got;
    }
    c->tx_done = 0;
    return got;
}

static enum mmio_result vcon_tx(struct vcon *c)
{
    struct virtq *q = &c->v.q[QUEUE_TX];
    enum mmio_result result = MMIO_RETRY;
    size_t budget = VCON_KICK_BYTES;

    for (unsigned n = 0; n < q->size; n++) {
        struct virtq_chain chain;
        int r = virtq_pop(q, &chain);

        if (r == 0) {
            if (virtq_arm(q))
                continue;
            result = MMIO_OK;
            break;
        }
        if (r > 0)
            r = tx_chain(c, &chain, &budget);
        if (r == -EAGAIN) {
            virtq_undo_pop(q);
            break;
        }
        if (r < 0) {
            virtio_fail(&c->v, "malformed output");
            return MMIO_OK;
        }
        virtq_push(q, chain.head, 0);
        vdev_operated(&c->v.vdev, VDEV_WRITE);
        if (budget < VCON_CHAIN_COST)
            break;
        budget -= VCON_CHAIN_COST;
    }
    virtio_used(&c->v, QUEUE_TX);
    return result;
}

/* ---- input ---- */

static int rx_chain(struct vcon *c, struct virtq_chain *chain, uint32_t *filled)
{
    struct virtq_buf b;
    int r;

    *filled = 0;
    for (unsigned i = 0; i < VCON_RX_BUFS && *filled < c->rx_len; i++) {
        uint32_t n;

        r = virtq_next(chain, &b);
        if (r == 0)
            break;
        n = (uint32_t)min_u64(b.len, c->rx_len - *filled);
        if (r < 0 || !b.write)
            return -EILSEQ;
        r = guest_mem_write(c->v.vdev.mem, b.addr, c->rx + *filled, n);
        if (r)
            return r;
        *filled += n;
    }
    return *filled ? 0 : -EILSEQ; /* a buffer for nothing would never end */
}

/* Moves input to the guest while there are input and buffers. Asks for kicks only when input waits
 * for a buffer: adding input buffers costs the guest no exits. */
static void vcon_rx(struct vcon *c)
{
    struct virtq *q = &c->v.q[QUEUE_RX];

    for (;;) {
        struct virtq_chain chain;
        uint32_t filled;
        int r;

        if (!c->rx_len)
            c->rx_len = (uint8_t)c->chr->read(c->chr->ctx, c->rx, sizeof(c->rx));
        if (!c->rx_len) {
            virtq_disarm(q);
            break;
        }
        r = virtq_pop(q, &chain);
        if (r == 0) {
            if (virtq_arm(q))
                continue;
            break;
        }
        if (r < 0 || rx_chain(c, &chain, &filled)) {
            virtio_fail(&c->v, "a malformed input buffer");
            return;
        }
        virtq_push(q, chain.head, filled);
        vdev_operated(&c->v.vdev, VDEV_READ);
        vdev_moved(&c->v.vdev, VDEV_READ, filled);
        c->rx_len = (uint8_t)(c->rx_len - filled);
        memmove(c->rx, c->rx + filled, c->rx_len);
    }
    virtio_used(&c->v, QUEUE_RX);
}

/* ---- the device ---- */

static bool vcon_read_size(struct vcon *c)
{
    uint16_t size[2] = {80, 25};

    if (!c->chr->size)
        return false;
    c->chr->size(c->chr->ctx, &size[0], &size[1]);
    if (!memcmp(c->v.config + CONFIG_COLUMNS, size, sizeof(size)))
        return false;
    memcpy(c->v.config + CONFIG_COLUMNS, size, sizeof(size));
    return true;
}

static void vcon_ready(void *device)
{
    struct vcon *c = device;

    spin_lock(&c->v.vdev.lock);
    if (vcon_read_size(c))
        virtio_config_changed(&c->v);
    if (virtio_live(&c->v, QUEUE_RX))
        vcon_rx(c);
    spin_unlock(&c->v.vdev.lock);
}

static enum mmio_result vcon_notify(struct virtio_dev *v, unsigned queue)
{
    if (queue == QUEUE_TX)
        return vcon_tx(vcon_of(v));
    vcon_rx(vcon_of(v));
    return MMIO_OK;
}

static void vcon_start(struct virtio_dev *v)
{
    if (virtio_live(v, QUEUE_RX))
        vcon_rx(vcon_of(v));
}

static void vcon_stop(struct virtio_dev *v, int queue)
{
    if (queue != QUEUE_RX)
        vcon_of(v)->tx_done = 0;
}

/* 5.3.4: works before any set-up, so a guest that dies early can still say why. */
static void vcon_config_write(struct virtio_dev *v, uint64_t offset, uint64_t value, unsigned width)
{
    struct chr_backend *chr = vcon_of(v)->chr;
    char ch = (char)value;

    if (offset == CONFIG_EMERG_WRITE && width <= 4)
        (void)chr->write(chr->ctx, &ch, 1);
}

static void vcon_save(struct virtio_dev *v, struct state_writer *w)
{
    struct vcon *c = vcon_of(v);

    state_put_u64(w, c->tx_done);
    state_put_u8(w, c->rx_len);
    state_put(w, c->rx, sizeof(c->rx));
    state_put(w, v->config, CONFIG_MAX_PORTS); /* the size that the driver knows */
}

static int vcon_load(struct virtio_dev *v, struct state_reader *r)
{
    struct vcon *c = vcon_of(v);

    c->tx_done = state_get_u64(r);
    c->rx_len = state_get_u8(r);
    state_get(r, c->rx, sizeof(c->rx));
    state_get(r, v->config, CONFIG_MAX_PORTS);
    if (c->rx_len > sizeof(c->rx)) {
        c->rx_len = 0;
        return -EINVAL;
    }
    return r->error;
}

/* The terminal here may have another size than the one where the state was saved. */
static void vcon_resume(struct virtio_dev *v)
{
    if (vcon_read_size(vcon_of(v)))
        virtio_config_changed(v);
    vcon_start(v);
}

static void vcon_destroy(struct virtio_dev *v)
{
    struct vcon *c = vcon_of(v);

    c->chr->ready = NULL;
    c->chr->device = NULL;
    heap_free(c);
}

static uint64_t vcon_memory(struct virtio_dev *v)
{
    (void)v;
    return heap_takes(sizeof(struct vcon));
}

static const struct virtio_ops vcon_ops = {
    .device_id = 3,
    .queues = 2,
    .notify = vcon_notify,
    .start = vcon_start,
    .stop = vcon_stop,
    .config_write = vcon_config_write,
    .save = vcon_save,
    .load = vcon_load,
    .resume = vcon_resume,
    .destroy = vcon_destroy,
    .memory = vcon_memory,
};

struct vdev *virtio_console_create(struct stage2 *mem, struct chr_backend *chr)
{
    struct vcon *c = heap_alloc(sizeof(*c));

    if (!c)
        return NULL;
    c->chr = chr;
    virtio_init(&c->v, &vcon_ops, mem, VCON_F_EMERG_WRITE | (chr->size ? VCON_F_SIZE : 0));
    c->v.config_len = CONFIG_LEN;
    c->v.config[CONFIG_MAX_PORTS] = 1;
    (void)vcon_read_size(c);
    chr->device = c;
    chr->ready = vcon_ready;
    return &c->v.vdev;
}
