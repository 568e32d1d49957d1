// SPDX-License-Identifier: BSD-2-Clause
// The control queue of virtio-net: which frames the driver wants, and its address. (virtio 1.2, 5.1.6.5)
#include <errno.h>
#include <string.h>

#include "vdev/virtio/net.h"

enum { CLASS_RX = 0, CLASS_MAC = 1 };
enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1 };
enum { ACK_OK = 0, ACK_ERR = 1 };
enum { COMMANDS = 64 }; /* in one exit */

void vnet_filter_reset(struct vnet *n)
{
    n->filter = (struct vnet_filter){.modes = 1 << VNET_PROMISC};
}

static bool in_table(const struct vnet_filter *f, const uint8_t *mac, bool multicast)
{
    unsigned first = multicast ? f->count[0] : 0;

    for (unsigned i = 0; i < f->count[multicast]; i++)
        if (!memcmp(f->mac[first + i], mac, NET_MAC))
            return true;
    return false;
}

bool vnet_wants(const struct vnet *n, const uint8_t mac[NET_MAC])
{
    static const uint8_t broadcast[NET_MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct vnet_filter *f = &n->filter;
    bool multicast = mac[0] & 1;

    if (f->modes & 1 << VNET_PROMISC)
        return true;
    if (!memcmp(mac, broadcast, NET_MAC))
        return !(f->modes & 1 << VNET_NOBCAST);
    if (f->modes & 1 << (multicast ? VNET_NOMULTI : VNET_NOUNI))
        return false;
    if ((f->modes & 1 << (multicast ? VNET_ALLMULTI : VNET_ALLUNI)) || f->overflow[multicast])
        return true;
    if (!multicast && !memcmp(mac, n->v.config + VNET_CONFIG_MAC, NET_MAC))
        return true;
    return in_table(f, mac, multicast);
}

/* ---- commands ---- */

/* What the device reads of a chain, in order, however it is framed. */
struct command {
    struct virtq_chain *chain;
    struct stage2 *mem;
    struct virtq_buf buf; /* what is left of the buffer at the cursor */
    bool readable; /* the cursor has not come to what the device writes */
};

/* 0, or negative: malformed. */
static int next_buffer(struct command *c)
{
    int r = virtq_next(c->chain, &c->buf);

    c->readable = r > 0 && !c->buf.write;
    return r < 0 ? r : 0;
}

/* Reads len bytes (to NULL: passes over them). 0, -EINVAL: there are fewer; or malformed. */
static int take(struct command *c, void *to, uint64_t len)
{
    char *p = to;

    while (len) {
        uint64_t n = min_u64(len, c->buf.len);
        int r = 0;

        if (!c->readable)
            return -EINVAL;
        if (n && p)
            r = guest_mem_read(c->mem, c->buf.addr, p, n);
        if (r)
            return r;
        p = p ? p + n : NULL;
        len -= n;
        c->buf.addr = gpa_add(c->buf.addr, n);
        c->buf.len -= (uint32_t)n;
        if (!c->buf.len && (r = next_buffer(c)))
            return r;
    }
    return 0;
}

static int set_mode(struct vnet *n, struct command *c, uint8_t mode)
{
    uint8_t on;
    int r = take(c, &on, sizeof(on));

    if (r)
        return r;
    if (mode >= VNET_MODES || on > 1 ||
        !vnet_has(n, mode > VNET_ALLMULTI ? VNET_F_CTRL_RX_EXTRA : VNET_F_CTRL_RX))
        return -EINVAL;
    spin_lock(&n->lock);
    n->filter.modes = (uint8_t)((n->filter.modes & ~(1 << mode)) | on << mode);
    spin_unlock(&n->lock);
    return 0;
}

/* One of the two tables, behind what is in f already. */
static int take_table(struct command *c, struct vnet_filter *f, bool multicast)
{
    unsigned first = multicast ? f->count[0] : 0;
    uint32_t entries;
    int r = take(c, &entries, sizeof(entries));

    if (r)
        return r;
    if (entries > VNET_FILTERS - first) {
        f->overflow[multicast] = true;
        return take(c, NULL, (uint64_t)entries * NET_MAC);
    }
    f->count[multicast] = (uint8_t)entries;
    return take(c, f->mac[first], (uint64_t)entries * NET_MAC);
}

static int set_table(struct vnet *n, struct command *c)
{
    struct vnet_filter f = {.modes = n->filter.modes};
    int r = take_table(c, &f, false);

    if (!r)
        r = take_table(c, &f, true);
    if (!r && !vnet_has(n, VNET_F_CTRL_RX))
        r = -EINVAL;
    if (r)
        return r;
    spin_lock(&n->lock);
    n->filter = f;
    spin_unlock(&n->lock);
    return 0;
}

static int set_address(struct vnet *n, struct command *c)
{
    uint8_t mac[NET_MAC];
    int r = take(c, mac, sizeof(mac));

    if (r)
        return r;
    if (!vnet_has(n, VNET_F_CTRL_MAC_ADDR) || !n->net->set_mac(n->net->ctx, mac))
        return -EINVAL;
    spin_lock(&n->lock);
    memcpy(n->v.config + VNET_CONFIG_MAC, mac, NET_MAC);
    virtio_show(&n->v);
    spin_unlock(&n->lock);
    return 0;
}

static int run(struct vnet *n, struct command *c)
{
    uint8_t head[2]; /* class, command */
    int r = next_buffer(c);

    if (!r)
        r = take(c, head, sizeof(head));
    if (r)
        return r;
    if (head[0] == CLASS_RX)
        return set_mode(n, c, head[1]);
    if (head[0] == CLASS_MAC && head[1] == MAC_TABLE_SET)
        return set_table(n, c);
    if (head[0] == CLASS_MAC && head[1] == MAC_ADDR_SET)
        return set_address(n, c);
    return -EINVAL;
}

/* The answer goes to the first byte that the device may write. */
static int answer(struct vnet *n, struct command *c, uint8_t ack)
{
    while (!c->buf.write || !c->buf.len) {
        int r = virtq_next(c->chain, &c->buf);

        if (r <= 0)
            return r ? r : -EILSEQ;
    }
    return guest_mem_write(n->v.vdev.mem, c->buf.addr, &ack, sizeof(ack));
}

static int command(struct vnet *n, struct virtq_chain *chain)
{
    struct command c = {.chain = chain, .mem = n->v.vdev.mem};
    int r = run(n, &c);

    if (r == -EILSEQ || r == -EFAULT)
        return r;
    return answer(n, &c, r ? ACK_ERR : ACK_OK);
}

enum mmio_result vnet_control(struct vnet *n)
{
    struct virtq *q = &n->v.q[VNET_CTRL];
    enum mmio_result result = MMIO_RETRY;
    const char *why = NULL;

    for (unsigned i = 0; i < COMMANDS && !why; i++) {
        struct virtq_chain chain;
        int r = virtq_pop(q, &chain);

        if (r == 0) {
            if (virtq_arm(q))
                continue;
            result = MMIO_OK;
            break;
        }
        if (r < 0 || command(n, &chain))
            why = "a malformed control command";
        else
            virtq_push(q, chain.head, 1);
    }
    spin_lock(&n->lock);
    if (why)
        virtio_fail(&n->v, why);
    else
        virtio_used(&n->v, VNET_CTRL);
    spin_unlock(&n->lock);
    return why ? MMIO_OK : result;
}

/* ---- state ---- */

void vnet_filter_save(const struct vnet *n, struct state_writer *w)
{
    const struct vnet_filter *f = &n->filter;

    state_put_u8(w, f->modes);
    for (unsigned i = 0; i < 2; i++) {
        state_put_u8(w, f->overflow[i]);
        state_put_u8(w, f->count[i]);
    }
    state_put(w, f->mac, sizeof(f->mac));
}

void vnet_filter_load(struct vnet *n, struct state_reader *r)
{
    struct vnet_filter *f = &n->filter;

    f->modes = state_get_u8(r);
    for (unsigned i = 0; i < 2; i++) {
        f->overflow[i] = state_get_u8(r) & 1;
        f->count[i] = state_get_u8(r);
    }
    state_get(r, f->mac, sizeof(f->mac));
    if (f->modes >> VNET_MODES || f->count[0] + f->count[1] > VNET_FILTERS)
        state_fail(r, -EINVAL);
    if (r->error)
        vnet_filter_reset(n);
}
