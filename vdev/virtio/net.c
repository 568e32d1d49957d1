// SPDX-License-Identifier: BSD-2-Clause
// virtio network card: one pair of queues. (virtio 1.2, 5.1)
//
// Frames go from a sender's buffers straight into the receiver's, while the sender's kick is handled: only their first
// bytes, in which addresses and headers are, are copied by way of the hypervisor. Checksums and segmentation that the
// sender left undone travel with the frame. A receiver that has no buffers loses frames: nobody waits for it.
#include "vdev/virtio/net.h"

#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "mem/heap.h"
#include "net/offload.h"
#include "vdev/virtio/virtio_dev.h"

enum { FLAG_NEEDS_CSUM = 1 };
enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_ECN = 0x80 };

enum {
    VNET_KICK_FRAMES = 64, /* sent in one exit */
    VNET_KICK_BYTES = 1 << 20, /* copied, or worth it, in one exit */
    VNET_CHAIN_COST = 2048, /* what a frame costs of those, however short */
    VNET_DESC_COST = 128,
    VNET_TX_DESCS = 96, /* descriptors of a chain that are looked at */
    VNET_RX_DESCS = 192, /* and of all chains that a frame is put into */
    /* A driver that sends frees what was sent before by itself, or when frames come. An interrupt for that can wait so
     * long, until so many parts of the queue are used. */
    VNET_TX_LATE_US = 500,
    VNET_TX_LATE_PART = 4,
};

/* ---- receiving ---- */

/* Where the next byte of a frame goes. */
struct rx {
    struct virtq *q;
    struct virtq_chain chain;
    struct virtq_buf buf; /* what is left of the buffer at the cursor */
    uint16_t chains; /* popped */
    uint16_t descs; /* looked at */
    uint32_t written; /* to the chain at the cursor */
    bool mergeable;
    gpa_t count_at[2]; /* where the bytes of num_buffers are */
};

/* Goes on to a buffer with room, in this chain or, where buffers are merged, the next. 0, -ENOSPC (there is none, or none
 * worth the search), or malformed. */
static int rx_next(struct rx *rx)
{
    do {
        int r = rx->chains && rx->descs < VNET_RX_DESCS ? virtq_next(&rx->chain, &rx->buf) : 0;

        rx->descs++;
        if (r < 0 || (r && !rx->buf.write))
            return -EILSEQ;
        if (r)
            continue;
        if (rx->descs > VNET_RX_DESCS || (rx->chains && !rx->mergeable))
            return -ENOSPC;
        if (rx->chains)
            virtq_put(rx->q, (uint16_t)(rx->chains - 1), rx->chain.head, rx->written);
        r = virtq_pop(rx->q, &rx->chain);
        if (r <= 0)
            return r ? r : -ENOSPC;
        rx->chains++;
        rx->written = 0;
    } while (!rx->buf.len);
    return 0;
}

static inline int rx_advance(struct rx *rx) { return rx->buf.len ? 0 : rx_next(rx); }

/* What the buffer at the cursor takes of len bytes. */
static uint32_t rx_room(const struct rx *rx, uint32_t len)
{
    return (uint32_t)min_u64(len, rx->buf.len);
}

static void rx_took(struct rx *rx, uint32_t len)
{
    rx->buf.addr = gpa_add(rx->buf.addr, len);
    rx->buf.len -= len;
    rx->written += len;
}

static int rx_put(struct rx *rx, const void *from, uint32_t len)
{
    const char *p = from;

    while (len) {
        int r = rx_advance(rx);
        uint32_t n = rx_room(rx, len);

        if (!r)
            r = guest_mem_write(rx->q->mem, rx->buf.addr, p, n);
        if (r)
            return r;
        rx_took(rx, n);
        p += n;
        len -= n;
    }
    return 0;
}

/* The same from another guest's memory, which is known to be RAM. */
static int rx_copy(struct rx *rx, struct stage2 *mem, gpa_t from, uint32_t len)
{
    while (len) {
        int r = rx_advance(rx);
        uint32_t n = rx_room(rx, len);

        if (!r)
            r = guest_mem_copy(rx->q->mem, rx->buf.addr, mem, from, n);
        if (r)
            return r;
        rx_took(rx, n);
        from = gpa_add(from, n);
        len -= n;
    }
    return 0;
}

/* What follows a frame's head. */
static int rx_data(struct rx *rx, const struct net_frame *f)
{
    uint32_t skip = f->data_at, left = f->len - f->head_len;

    for (unsigned i = 0; left; i++) {
        const struct net_piece *p = &f->data->piece[i];
        uint32_t n;
        int r;

        if (skip >= p->len) {
            skip -= p->len;
            continue;
        }
        n = (uint32_t)min_u64(left, p->len - skip);
        r = f->data->mem ? rx_copy(rx, f->data->mem, gpa_add(p->gpa, skip), n)
                         : rx_put(rx, (const char *)p->hva + skip, n);
        if (r)
            return r;
        left -= n;
        skip = 0;
    }
    return 0;
}

static struct vnet_header header_of(const struct net_offload *o)
{
    static const uint8_t types[] = {
        [NET_GSO_NONE] = GSO_NONE, [NET_GSO_TCP4] = GSO_TCPV4, [NET_GSO_TCP6] = GSO_TCPV6};
    struct vnet_header h = {.num_buffers = 1};

    if (o->csum) {
        h.flags = FLAG_NEEDS_CSUM;
        h.csum_start = o->csum_start;
        h.csum_offset = o->csum_offset;
    }
    if (o->gso) {
        h.gso_type = (uint8_t)(types[o->gso] | (o->ecn ? GSO_ECN : 0));
        h.gso_size = o->gso_size;
        h.hdr_len = o->header;
    }
    return h;
}

/* A header that the first buffer has no room for. */
static int rx_split_header(struct rx *rx, const struct vnet_header *h)
{
    int r = rx_put(rx, h, offsetof(struct vnet_header, num_buffers));

    for (unsigned i = 0; i < 2 && !r; i++) {
        r = rx_advance(rx);
        rx->count_at[i] = rx->buf.addr;
        if (!r)
            r = rx_put(rx, (const char *)&h->num_buffers + i, 1);
    }
    return !r && rx->chains > 1 ? -EILSEQ : r; /* 5.1.6.3.1: it is in the first chain, whole */
}

/* Header and head, mostly by one write: the header is put into the room before the head. */
static int rx_head(struct rx *rx, const struct net_frame *f)
{
    struct vnet_header *header = (struct vnet_header *)(void *)(f->head - sizeof(*header));
    int r = rx_advance(rx);

    if (r)
        return r;
    *header = header_of(&f->offload);
    if (rx->buf.len < sizeof(*header)) {
        r = rx_split_header(rx, header);
        return r ? r : rx_put(rx, f->head, f->head_len);
    }
    for (unsigned i = 0; i < 2; i++)
        rx->count_at[i] = gpa_add(rx->buf.addr, offsetof(struct vnet_header, num_buffers) + i);
    return rx_put(rx, header, (uint32_t)sizeof(*header) + f->head_len);
}

static int rx_put_count(struct rx *rx)
{
    int r = 0;

    for (unsigned i = 0; i < 2 && !r; i++)
        r = guest_mem_write(rx->q->mem, rx->count_at[i], (const char *)&rx->chains + i, 1);
    return r;
}

/* 0; -ENOSPC, -ENOMEM: nothing was given to the driver; or malformed. */
static int rx_frame(struct rx *rx, const struct net_frame *f)
{
    int r = rx_head(rx, f);

    if (!r)
        r = rx_data(rx, f);
    if (!r && rx->chains > 1)
        r = rx_put_count(rx);
    if (r)
        return r;
    virtq_put(rx->q, (uint16_t)(rx->chains - 1), rx->chain.head, rx->written);
    virtq_show(rx->q, rx->chains);
    return 0;
}

/* Not the chain, which rx_advance takes: it is large. */
static void rx_begin(struct rx *rx, struct vnet *n)
{
    rx->q = &n->v.q[VNET_RX];
    rx->buf.len = 0;
    rx->chains = rx->descs = 0;
    rx->mergeable = vnet_has(n, VNET_F_MRG_RXBUF);
}

static enum net_fate rx_locked(struct vnet *n, const struct net_frame *f)
{
    struct rx rx;
    int r;

    if (!virtio_live(&n->v, VNET_RX) || !(n->v.config[VNET_CONFIG_STATUS] & VNET_S_LINK_UP))
        return NET_DOWN;
    if (!vnet_wants(n, f->head))
        return NET_FILTERED;
    rx_begin(&rx, n);
    r = rx_frame(&rx, f);
    if (!r) {
        vdev_operated(&n->v.vdev, VDEV_READ);
        vdev_moved(&n->v.vdev, VDEV_READ, f->len);
        return NET_TAKEN;
    }
    while (rx.chains--)
        virtq_undo_pop(rx.q);
    if (r != -ENOSPC && r != -ENOMEM)
        virtio_fail(&n->v, "a malformed receive buffer");
    return NET_FULL;
}

static enum net_fate vnet_receive(void *device, const struct net_frame *f)
{
    struct vnet *n = device;
    enum net_fate fate;

    spin_lock(&n->lock);
    fate = rx_locked(n, f);
    spin_unlock(&n->lock);
    return fate;
}

static void vnet_received(void *device)
{
    struct vnet *n = device;
    bool wanted;

    spin_lock(&n->lock);
    wanted = virtio_live(&n->v, VNET_RX) && virtq_notify(&n->v.q[VNET_RX]);
    spin_unlock(&n->lock);
    if (!wanted)
        return;
    atomic_fetch_add(&n->told, 1);
    virtio_interrupt(&n->v, VIRTIO_INT_USED);
}

/* ---- sending ---- */

static int data_read(const struct net_data *d, uint32_t offset, void *to, uint32_t len)
{
    char *p = to;

    for (unsigned i = 0; len && i < d->pieces; i++) {
        uint32_t n;
        int r;

        if (offset >= d->piece[i].len) {
            offset -= d->piece[i].len;
            continue;
        }
        n = (uint32_t)min_u64(len, d->piece[i].len - offset);
        r = guest_mem_read(d->mem, gpa_add(d->piece[i].gpa, offset), p, n);
        if (r)
            return r;
        p += n;
        len -= n;
        offset = 0;
    }
    return len ? -EFAULT : 0;
}

/* A chain read: n->first and n->piece[] have it. */
struct tx {
    struct net_data data;
    uint64_t len; /* header and frame */
    uint32_t first; /* bytes of n->first */
    unsigned descs;
    bool too_many; /* descriptors: the frame is dropped */
};

static int tx_buffer(struct vnet *n, struct tx *t, const struct virtq_buf *b)
{
    uint32_t head = (uint32_t)min_u64(b->len, VNET_FIRST - t->first), rest = b->len - head;
    int r = 0;

    if (head)
        r = guest_mem_read(n->v.vdev.mem, b->addr, (char *)&n->first + t->first, head);
    if (r)
        return r;
    t->first += head;
    t->len += b->len;
    if (!rest)
        return 0;
    if (!guest_mem_is_ram(n->v.vdev.mem, gpa_add(b->addr, head), rest))
        return -EFAULT;
    if (t->data.pieces == VNET_PIECES) {
        t->too_many = true;
        return 0;
    }
    n->piece[t->data.pieces++] = (struct net_piece){.gpa = gpa_add(b->addr, head), .len = rest};
    return 0;
}

static int tx_gather(struct vnet *n, struct tx *t, struct virtq_chain *chain)
{
    struct virtq_buf b;
    int r;

    while ((r = virtq_next(chain, &b)) > 0) {
        if (b.write)
            return -EILSEQ;
        t->too_many = t->too_many || ++t->descs > VNET_TX_DESCS;
        if (t->too_many)
            return 0;
        r = tx_buffer(n, t, &b);
        if (r)
            return r;
    }
    return r;
}

/* What the driver's header says, and whether it may say so. *o is zeroed. */
static bool tx_offload(const struct vnet *n, struct net_offload *o)
{
    static const struct {
        uint8_t type, gso;
        uint64_t feature;
    } types[] = {
        {GSO_NONE, NET_GSO_NONE, 0},
        {GSO_TCPV4, NET_GSO_TCP4, VNET_F_HOST_TSO4},
        {GSO_TCPV6, NET_GSO_TCP6, VNET_F_HOST_TSO6},
    };
    const struct vnet_header *h = &n->first.header;
    uint64_t needs;
    unsigned i = 0;

    if (!h->gso_type && !(h->flags & FLAG_NEEDS_CSUM)) /* nothing was left undone */
        return true;
    while (i < ARRAY_LEN(types) && types[i].type != (h->gso_type & ~GSO_ECN))
        i++;
    if (i == ARRAY_LEN(types))
        return false;
    *o = (struct net_offload){.csum = h->flags & FLAG_NEEDS_CSUM,
                              .ecn = h->gso_type & GSO_ECN,
                              .gso = types[i].gso,
                              .csum_start = h->csum_start,
                              .csum_offset = h->csum_offset,
                              .gso_size = h->gso_size};
    needs = types[i].feature | (o->csum ? VNET_F_CSUM : 0) | (o->ecn ? VNET_F_HOST_ECN : 0);
    return (n->v.accepted & needs) == needs;
}

/* Sends what was gathered; what it cost. */
static uint64_t tx_send(struct vnet *n, struct tx *t)
{
    struct net_frame f = {.head = n->first.head,
                          .head_len = t->first - (uint32_t)sizeof(n->first.header),
                          .data = &t->data,
                          .batch = true};

    f.len = (uint32_t)(t->len - sizeof(n->first.header));
    if (t->too_many || t->len > NET_FRAME_MAX + sizeof(n->first.header) || f.len < NET_ETHERNET ||
        !tx_offload(n, &f.offload) || !offload_check(&f)) {
        n->net->refused++;
        return 0;
    }
    vdev_operated(&n->v.vdev, VDEV_WRITE);
    vdev_moved(&n->v.vdev, VDEV_WRITE, f.len);
    return n->net->send(n->net->ctx, &f);
}

/* Takes one chain: what it cost, or negative: malformed. */
static int64_t tx_chain(struct vnet *n, struct virtq_chain *chain)
{
    struct tx t = {.data = {.mem = n->v.vdev.mem, .piece = n->piece, .read = data_read}};
    uint64_t cost = 0;
    int r = tx_gather(n, &t, chain);

    if (r == -ENOMEM)
        n->net
            ->refused++; /* the hypervisor has no memory for a page that the guest never touched */
    else if (r || (t.first < sizeof(n->first.header) && !t.too_many))
        return r ? r : -EILSEQ;
    else
        cost = tx_send(n, &t);
    return (int64_t)(cost + VNET_CHAIN_COST + t.descs * VNET_DESC_COST);
}

/* Sends until the queue is empty or the exit has had its share: MMIO_RETRY then. *sent: chains to be shown as used. */
static enum mmio_result tx_run(struct vnet *n, uint16_t *sent, const char **why)
{
    struct virtq *q = &n->v.q[VNET_TX];
    int64_t budget = VNET_KICK_BYTES, cost;

    for (*sent = 0; *sent < VNET_KICK_FRAMES && budget > 0;) {
        struct virtq_chain chain;
        int r = virtq_pop(q, &chain);

        if (r == 0) {
            if (virtq_arm(q))
                continue;
            return MMIO_OK;
        }
        cost = r < 0 ? r : tx_chain(n, &chain);
        if (cost < 0) {
            *why = "a malformed frame to send";
            return MMIO_OK;
        }
        virtq_put(q, (*sent)++, chain.head, 0);
        budget -= cost;
    }
    return MMIO_RETRY;
}

/* Whether an interrupt for received frames has come since the driver was shown what was sent: it told of that, too. */
static bool tx_told(struct vnet *n) { return atomic_load(&n->told) != n->told_at_show; }

static void tx_show(struct vnet *n, uint16_t sent)
{
    struct virtq *q = &n->v.q[VNET_TX];

    if (tx_told(n))
        virtq_told(q);
    virtq_show(q, sent);
    n->told_at_show = atomic_load(&n->told);
}

/* Interrupts for what was sent, at once or later. */
static void tx_used(struct vnet *n)
{
    struct virtq *q = &n->v.q[VNET_TX];

    if (!virtq_wants_notify(q))
        return;
    if (virtq_unsignalled(q) >= q->size / VNET_TX_LATE_PART) {
        virtio_used(&n->v, VNET_TX);
    } else if (!n->tx_late_set) {
        n->tx_late_set = true;
        timer_set(&n->tx_late, arch_time() + timer_us(VNET_TX_LATE_US));
    }
}

static void vnet_tx_late(struct timer *t)
{
    struct vnet *n = CONTAINER_OF(t, struct vnet, tx_late);

    spin_lock(&n->v.vdev.lock);
    n->tx_late_set = false;
    if (virtio_live(&n->v, VNET_TX) && n->v.q[VNET_TX].mapped && !tx_told(n))
        virtio_used(&n->v, VNET_TX);
    spin_unlock(&n->v.vdev.lock);
}

static void tx_fail(struct vnet *n, const char *why)
{
    spin_lock(&n->lock);
    virtio_fail(&n->v, why);
    spin_unlock(&n->lock);
}

static enum mmio_result vnet_tx(struct vnet *n)
{
    const char *why = NULL;
    uint16_t sent;
    enum mmio_result result = tx_run(n, &sent, &why);

    n->net->flush(n->net->ctx);
    tx_show(n, sent);
    if (why)
        tx_fail(n, why);
    else
        tx_used(n);
    return result;
}

/* ---- the device ---- */

/* Frames are lost, not kept, where there are no buffers: so nobody need say that there are some. */
static enum mmio_result vnet_rx_kick(struct vnet *n)
{
    spin_lock(&n->lock);
    virtq_disarm(&n->v.q[VNET_RX]);
    spin_unlock(&n->lock);
    return MMIO_OK;
}

static enum mmio_result vnet_notify(struct virtio_dev *v, unsigned queue)
{
    struct vnet *n = vnet_of(v);

    if (queue == VNET_TX)
        return vnet_tx(n);
    return queue == VNET_RX ? vnet_rx_kick(n) : vnet_control(n);
}

/* What senders may leave to this driver. */
static void vnet_set_can(struct vnet *n)
{
    static const struct {
        uint64_t feature;
        unsigned can;
    } bits[] = {
        {VNET_F_GUEST_TSO4, NET_CAN_TSO4},
        {VNET_F_GUEST_TSO6, NET_CAN_TSO6},
        {VNET_F_GUEST_ECN, NET_CAN_ECN},
    };
    unsigned can = 0;

    if ((n->v.status & VIRTIO_DRIVER_OK) && vnet_has(n, VNET_F_GUEST_CSUM)) {
        can = NET_CAN_CSUM;
        for (unsigned i = 0; i < ARRAY_LEN(bits); i++)
            can |= vnet_has(n, bits[i].feature) ? bits[i].can : 0;
    }
    atomic_store_explicit(&n->net->can, can, memory_order_relaxed);
}

static void vnet_start(struct virtio_dev *v)
{
    struct vnet *n = vnet_of(v);

    vnet_set_can(n);
    if (virtio_live(v, VNET_RX))
        virtq_disarm(&v->q[VNET_RX]);
}

static void vnet_stop(struct virtio_dev *v, int queue)
{
    struct vnet *n = vnet_of(v);

    if (queue != VIRTIO_ALL_QUEUES)
        return;
    vnet_filter_reset(n);
    atomic_store_explicit(&n->net->can, 0, memory_order_relaxed);
    if (memcmp(v->config + VNET_CONFIG_MAC, n->net->mac, NET_MAC) &&
        n->net->set_mac(n->net->ctx, n->net->mac))
        memcpy(v->config + VNET_CONFIG_MAC, n->net->mac, NET_MAC);
}

static void put_link(struct vnet *n)
{
    n->v.config[VNET_CONFIG_STATUS] = n->net->link ? VNET_S_LINK_UP : 0;
}

static void vnet_link_changed(void *device)
{
    struct vnet *n = device;
    uint8_t was;

    spin_lock(&n->v.vdev.lock);
    spin_lock(&n->lock);
    was = n->v.config[VNET_CONFIG_STATUS];
    put_link(n);
    if (was != n->v.config[VNET_CONFIG_STATUS])
        virtio_config_changed(&n->v);
    spin_unlock(&n->lock);
    spin_unlock(&n->v.vdev.lock);
}

static void vnet_save(struct virtio_dev *v, struct state_writer *w)
{
    state_put(w, v->config, VNET_CONFIG_LEN);
    vnet_filter_save(vnet_of(v), w);
}

static int vnet_load(struct virtio_dev *v, struct state_reader *r)
{
    struct vnet *n = vnet_of(v);
    uint8_t config[VNET_CONFIG_LEN];

    state_get(r, config, sizeof(config));
    vnet_filter_load(n, r);
    /* A network of another kind will not do: the driver knows the frames' size. */
    if (memcmp(config + VNET_CONFIG_PAIRS, v->config + VNET_CONFIG_PAIRS,
               VNET_CONFIG_LEN - VNET_CONFIG_PAIRS))
        state_fail(r, -EINVAL);
    if (config[VNET_CONFIG_STATUS] & ~VNET_S_LINK_UP || config[VNET_CONFIG_STATUS + 1])
        state_fail(r, -EINVAL);
    if (!r->error && memcmp(config, n->net->mac, NET_MAC) && !n->net->set_mac(n->net->ctx, config))
        state_fail(r, -EINVAL);
    if (r->error)
        return r->error;
    memcpy(v->config, config, sizeof(config));
    vnet_set_can(n);
    return 0;
}

/* The link may be another one here. Who gave frames before the save may have raised the interrupt for them only after it. */
static void vnet_resume(struct virtio_dev *v)
{
    struct vnet *n = vnet_of(v);
    uint8_t was = v->config[VNET_CONFIG_STATUS];

    put_link(n);
    if (was != v->config[VNET_CONFIG_STATUS])
        virtio_config_changed(v);
    if (virtio_live(v, VNET_TX))
        virtio_used(v, VNET_TX);
    if (virtio_live(v, VNET_RX))
        virtio_interrupt(v, VIRTIO_INT_USED);
}

static void vnet_destroy(struct virtio_dev *v)
{
    struct vnet *n = vnet_of(v);

    n->net->close(n->net->ctx);
    timer_cancel_wait(&n->tx_late);
    heap_free(n);
}

static uint64_t vnet_memory(struct virtio_dev *v)
{
    const struct net_backend *net = vnet_of(v)->net;

    return heap_takes(sizeof(struct vnet)) + (net->memory ? net->memory(net->ctx) : 0);
}

static const struct virtio_ops vnet_ops = {
    .device_id = 1,
    .queues = VNET_QUEUES,
    .notify = vnet_notify,
    .start = vnet_start,
    .stop = vnet_stop,
    .save = vnet_save,
    .load = vnet_load,
    .resume = vnet_resume,
    .destroy = vnet_destroy,
    .memory = vnet_memory,
};

#define VNET_FEATURES \
    (VNET_F_CSUM | VNET_F_GUEST_CSUM | VNET_F_MTU | VNET_F_MAC | VNET_F_GUEST_TSO4 | \
     VNET_F_GUEST_TSO6 | VNET_F_GUEST_ECN | VNET_F_HOST_TSO4 | VNET_F_HOST_TSO6 | \
     VNET_F_HOST_ECN | VNET_F_MRG_RXBUF | VNET_F_STATUS | VNET_F_CTRL_VQ | VNET_F_CTRL_RX | \
     VNET_F_CTRL_RX_EXTRA | VNET_F_CTRL_MAC_ADDR)

struct vdev *virtio_net_create(struct stage2 *mem, struct net_backend *net)
{
    struct vnet *n = heap_alloc(sizeof(*n));
    const uint16_t one = 1;

    if (!n)
        return NULL;
    n->net = net;
    virtio_init(&n->v, &vnet_ops, mem, VNET_FEATURES);
    spin_init(&n->lock, LOCK_PORT);
    timer_init(&n->tx_late, vnet_tx_late);
    n->v.inner = &n->lock;
    n->v.config_len = VNET_CONFIG_LEN;
    memcpy(n->v.config + VNET_CONFIG_MAC, net->mac, NET_MAC);
    memcpy(n->v.config + VNET_CONFIG_PAIRS, &one, sizeof(one));
    memcpy(n->v.config + VNET_CONFIG_MTU, &net->mtu, sizeof(net->mtu));
    put_link(n);
    vnet_filter_reset(n);
    net->receive = vnet_receive;
    net->received = vnet_received;
    net->link_changed = vnet_link_changed;
    __atomic_store_n(&net->device, n, __ATOMIC_RELEASE); /* last: frames come from now on */
    return &n->v.vdev;
}
