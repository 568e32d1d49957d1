// SPDX-License-Identifier: BSD-2-Clause
// The way of a frame.
#include <string.h>

#include "base/arch.h"
#include "net/offload.h"
#include "net/switch_parts.h"

enum { VLAN_TAG = 4 };
enum { RATE_BURST_MS = 20, RATE_BURST_MIN = 128 * 1024 };

static uint32_t seconds(void) { return timer_hz ? (uint32_t)(arch_time() / timer_hz) : 0; }

/* While somebody looks at the port. */
static void look_at(struct port *p, const struct net_frame *f, bool sent)
{
    struct capture *c = atomic_load_explicit(&p->capture, memory_order_relaxed);

    if (__builtin_expect(c != NULL, false))
        capture_frame(c, p, f, sent);
}

static void give(struct port *p, const struct net_frame *f)
{
    void *device = __atomic_load_n(&p->net.device, __ATOMIC_ACQUIRE);
    enum net_fate fate = device && p->net.link ? p->net.receive(device, f) : NET_DOWN;

    if (fate == NET_TAKEN) {
        port_count(&p->counts.got, 1);
        port_count(&p->counts.got_bytes, f->len);
        look_at(p, f, false);
    } else if (fate != NET_FILTERED) {
        port_count(fate == NET_FULL ? &p->counts.full : &p->counts.down, 1);
    }
}

/* To one port, after the work that it leaves to us; what it cost. */
static uint64_t deliver(struct port *p, const struct net_frame *f)
{
    unsigned can = atomic_load_explicit(&p->net.can, memory_order_relaxed);
    struct offload_cut cut;

    if (offload_fits(&f->offload, can)) {
        give(p, f);
        return f->len;
    }
    offload_begin(&cut, f);
    while (offload_next(&cut) > 0)
        give(p, &cut.frame);
    return 2ull * f->len + cut.segments * 1024ull;
}

static bool may_reach(const struct port *from, const struct port *to)
{
    return from != to && !(__atomic_load_n(&from->config.isolated, __ATOMIC_RELAXED) &&
                           __atomic_load_n(&to->config.isolated, __ATOMIC_RELAXED));
}

static uint64_t flood(struct port *from, const struct net_frame *f)
{
    struct net_switch *sw = from->sw;
    uint64_t cost = 0;

    if (!bucket_take(&from->flood, 1, arch_time())) {
        port_count(&from->counts.limited, 1);
        return 0;
    }
    for (unsigned i = 0; i < sw->ports; i++) {
        struct port *to;

        spin_lock(&sw->lock);
        to = port_get(sw, i);
        spin_unlock(&sw->lock);
        if (!to)
            continue;
        if (may_reach(from, to) && (to->config.any_mac || mac_is_group(f->head)))
            cost += deliver(to, f);
        port_put(to);
    }
    return cost;
}

/* Learns where the frame is from, and finds where it goes: *flooded, or a port that is to be put, or NULL. */
static struct port *route(struct port *from, const struct net_frame *f, bool *flooded)
{
    struct net_switch *sw = from->sw;
    struct port *to = NULL;
    uint32_t now = seconds();
    int index;

    *flooded = mac_is_group(f->head);
    spin_lock(&sw->lock);
    (void)mactable_learn(&sw->table, mac_value(f->head + NET_MAC), from->index, now);
    if (!*flooded) {
        index = mactable_find(&sw->table, mac_value(f->head), now);
        *flooded = index == MACTABLE_NONE;
        if (!*flooded)
            to = port_get(sw, (unsigned)index);
    }
    spin_unlock(&sw->lock);
    return to;
}

static bool is_too_long(const struct port *p, const struct net_frame *f)
{
    const struct net_offload *o = &f->offload;
    uint32_t len = o->gso ? (uint32_t)o->header + o->gso_size : f->len;

    return len > (uint32_t)p->net.mtu + NET_ETHERNET + VLAN_TAG;
}

/* Whether the frame's source may be one of this port. */
static bool is_own(const struct port *p, const struct net_frame *f)
{
    const uint8_t *source = f->head + NET_MAC;
    struct port *inside = atomic_load_explicit(&p->sw->inside, memory_order_acquire);

    if (p->config.any_mac ? mac_is_group(source) || !mac_value(source)
                          : memcmp(source, p->mac, NET_MAC) != 0)
        return false;
    return !inside || !inside->mode->admits || p == inside ||
           inside->mode->admits(&inside->net, p->index, f);
}

/* Whether its rate, which may have been changed since, lets it send so much. */
static bool is_within_rate(struct port *p, uint32_t rate, uint32_t len)
{
    if (p->rate.rate != rate)
        bucket_init(&p->rate, rate, max_u64(rate / 1000 * RATE_BURST_MS, RATE_BURST_MIN),
                    arch_time());
    return bucket_take(&p->rate, len, arch_time());
}

/* Whether the port may send this; else it is counted. */
static bool admit(struct port *p, const struct net_frame *f)
{
    uint32_t rate = __atomic_load_n(&p->config.rate, __ATOMIC_RELAXED);
    uint64_t *why = NULL;

    if (!p->net.link)
        why = &p->counts.down;
    else if (is_too_long(p, f))
        why = &p->counts.too_long;
    else if (!is_own(p, f))
        why = &p->counts.spoofed;
    else if (rate && !is_within_rate(p, rate, f->len))
        why = &p->counts.limited;
    if (why)
        port_count(why, 1);
    return !why;
}

uint64_t switch_send(void *ctx, const struct net_frame *sent)
{
    struct port *from = ctx, *to;
    struct net_frame mine = *sent;
    const struct net_frame *f = &mine;
    uint64_t cost = 0;
    bool flooded;

    look_at(from, f, true); /* what is not let in too */
    if (!admit(from, f))
        return 0;
    mine.source = (uint16_t)from->index;
    port_count(&from->counts.sent, 1);
    port_count(&from->counts.sent_bytes, f->len);
    to = route(from, f, &flooded);
    if (flooded)
        return flood(from, f);
    if (to) {
        if (may_reach(from, to))
            cost = deliver(to, f);
        port_put(to);
    }
    return cost;
}
