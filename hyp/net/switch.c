// SPDX-License-Identifier: BSD-2-Clause
// The way of a frame.
#include <string.h>

#include "base/arch.h"
#include "net/offload.h"
#include "net/switch_parts.h"

enum { VLAN_TAG = 4 };
/* Of a batch, how many bytes a receiver is not told of yet: it may be on another hart, and could be at work. */
enum { UNTOLD_BYTES = 16384 };
enum { RATE_BURST_MS = 20, RATE_BURST_MIN = 128 * 1024 };

static uint32_t seconds(void) { return timer_hz ? (uint32_t)(arch_time() / timer_hz) : 0; }

/* While somebody looks at the port. */
static void look_at(struct port *p, const struct net_frame *f, bool sent)
{
    struct capture *c = atomic_load_explicit(&p->capture, memory_order_relaxed);

    if (__builtin_expect(c != NULL, false))
        capture_frame(c, p, f, sent);
}

static inline void give(struct port *p, const struct net_frame *f)
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

/* Its card's driver may be told of what was given. */
static void tell(struct port *p)
{
    void *device = __atomic_load_n(&p->net.device, __ATOMIC_ACQUIRE);

    if (device && p->net.received)
        p->net.received(device);
}

/* To one port a frame that it takes only when it is finished; what it cost. */
static uint64_t deliver_finished(struct port *p, const struct net_frame *f)
{
    struct offload_cut cut;

    offload_begin(&cut, f);
    while (offload_next(&cut) > 0)
        give(p, &cut.frame);
    return 2ull * f->len + cut.segments * 1024ull;
}

/* The same of any frame. */
static inline uint64_t deliver(struct port *p, const struct net_frame *f)
{
    unsigned can = atomic_load_explicit(&p->net.can, memory_order_relaxed);

    if (!offload_fits(&f->offload, can))
        return deliver_finished(p, f);
    give(p, f);
    return f->len;
}

static bool may_reach(const struct port *from, const struct port *to)
{
    return from != to && !(__atomic_load_n(&from->config.isolated, __ATOMIC_RELAXED) &&
                           __atomic_load_n(&to->config.isolated, __ATOMIC_RELAXED));
}

static bool is_flooded_to(const struct port *from, const struct port *to, const struct net_frame *f)
{
    return may_reach(from, to) && (to->config.any_mac || mac_is_group(f->head));
}

/* Whether there is a port that a frame for nobody known, or for many, goes to. */
static bool concerns_any(const struct port *from, const struct net_frame *f)
{
    struct net_switch *sw = from->sw;
    bool any = false;

    spin_lock(&sw->lock);
    for (unsigned i = 0; i < sw->ports && !any; i++)
        any = sw->port[i] && is_flooded_to(from, sw->port[i], f);
    spin_unlock(&sw->lock);
    return any;
}

static uint64_t flood(struct port *from, const struct net_frame *f)
{
    struct net_switch *sw = from->sw;
    uint64_t cost = 0;

    /* From an uplink come others' frames too, which must not use up what is left for this switch's. */
    if (!concerns_any(from, f))
        return 0;
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
        if (is_flooded_to(from, to, f)) {
            cost += deliver(to, f);
            tell(to);
        }
        port_put(to);
    }
    return cost;
}

/* Learns where the frame is from, and finds where it goes: *flooded, or a port that is to be put, or NULL. */
static struct port *route(struct port *from, const struct net_frame *f, bool *flooded)
{
    struct net_switch *sw = from->sw;
    struct port *to = NULL;
    uint32_t now;
    int index;

    *flooded = mac_is_group(f->head);
    spin_lock(&sw->lock);
    now = seconds(); /* not before: no entry was seen later than that */
    if (sw->port[from->index] ==
        from) /* else it is being replaced, and others would be sought there */
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

static bool is_own_mac(const struct port *p, const uint8_t mac[NET_MAC])
{
    uint64_t source = mac_value(mac);

    return p->config.any_mac ? !mac_is_group(mac) && source : source == p->mac_number;
}

/* Whether the frame's source may be one of this port; recent: its Ethernet address was. */
static inline bool is_own(const struct port *p, const struct net_frame *f, bool recent)
{
    struct port *inside = atomic_load_explicit(&p->sw->inside, memory_order_acquire);

    if (!recent && !is_own_mac(p, f->head + NET_MAC))
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
static inline bool admit(struct port *p, const struct net_frame *f, bool recent)
{
    uint32_t rate = __atomic_load_n(&p->config.rate, __ATOMIC_RELAXED);
    uint64_t *why = NULL;

    if (!p->net.link)
        why = &p->counts.down;
    else if (is_too_long(p, f))
        why = &p->counts.too_long;
    else if (!is_own(p, f, recent))
        why = &p->counts.spoofed;
    else if (rate && !is_within_rate(p, rate, f->len))
        why = &p->counts.limited;
    if (why)
        port_count(why, 1);
    return !why;
}

/* The end of what recent holds. */
void switch_flush(void *ctx)
{
    struct port *from = ctx, *to = from->recent.to;

    if (!to)
        return;
    if (from->recent.untold)
        tell(to);
    from->recent.to = NULL;
    port_put(to);
}

/* Whether the frame is between the same addresses as the last one of the batch, which was admitted and found its way. */
static inline bool is_recent(const struct port *from, const struct net_frame *f)
{
    const uint16_t *head = (const void *)f->head; /* at an even address */
    bool same = from->recent.to != NULL;

    for (unsigned i = 0; same && i < ARRAY_LEN(from->recent.addresses); i++)
        same = head[i] == from->recent.addresses[i];
    return same;
}

static void remember(struct port *from, struct port *to, const struct net_frame *f)
{
    switch_flush(from);
    from->recent.to = to;
    memcpy(from->recent.addresses, f->head, sizeof(from->recent.addresses));
    from->recent.untold = 0;
}

/* To where the last frame of the batch went. */
static inline uint64_t deliver_recent(struct port *from, const struct net_frame *f)
{
    struct port *to = from->recent.to;
    uint64_t cost;

    if (!may_reach(from, to))
        return 0;
    cost = deliver(to, f);
    from->recent.untold += f->len;
    if (from->recent.untold >= UNTOLD_BYTES) {
        tell(to);
        from->recent.untold = 0;
    }
    return cost;
}

/* To a port that is looked up. */
static __attribute__((noinline)) uint64_t forward(struct port *from, const struct net_frame *f,
                                                  bool batch)
{
    bool flooded;
    struct port *to = route(from, f, &flooded);
    uint64_t cost;

    if (flooded)
        return flood(from, f);
    if (!to)
        return 0;
    if (batch) {
        remember(from, to, f);
        return deliver_recent(from, f);
    }
    cost = may_reach(from, to) ? deliver(to, f) : 0;
    tell(to);
    port_put(to);
    return cost;
}

uint64_t switch_send(void *ctx, struct net_frame *f)
{
    struct port *from = ctx;
    bool batch = f->batch, recent = batch && is_recent(from, f);

    f->batch = false; /* for whoever sends it on */
    look_at(from, f, true); /* what is not let in too */
    if (!admit(from, f, recent))
        return 0;
    f->source = (uint16_t)from->index;
    port_count(&from->counts.sent, 1);
    port_count(&from->counts.sent_bytes, f->len);
    return recent ? deliver_recent(from, f) : forward(from, f, batch);
}
