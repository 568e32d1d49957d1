// SPDX-License-Identifier: BSD-2-Clause
#include "net/switch.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "drv/drv.h"
#include "mem/heap.h"
#include "net/bucket.h"
#include "net/inside.h"
#include "net/mactable.h"
#include "net/offload.h"
#include "sched/thread.h"
#include "sched/timer.h"

enum { VLAN_TAG = 4 };
/* Frames for all ports that one port may send: each costs every other guest an interrupt. */
enum { FLOOD_RATE = 4000, FLOOD_BURST = 1000 };
enum { RATE_BURST_MS = 20, RATE_BURST_MIN = 128 * 1024 };

static const struct inside *const modes[SWITCH_MODES] = {
    [SWITCH_BRIDGE] = &inside_bridge,
    [SWITCH_NAT] = &inside_nat,
};

const char *switch_mode_name(unsigned mode)
{
    if (mode >= SWITCH_MODES)
        return NULL;
    return modes[mode] ? modes[mode]->name : "internal";
}

/* Who made it opens its inside; others wait for the outcome. */
enum state { MAKING, READY, FAILED };

struct net_switch;
struct port {
    struct net_backend net; /* the card's side */
    struct port_config config;
    struct net_switch *sw;
    unsigned index;
    atomic_uint users; /* threads that may be in its receive */
    uint8_t mac[NET_MAC]; /* as the card has it now */
    struct bucket rate, flood; /* under the lock of the card that sends */
    struct port_counts counts;
};

struct net_switch {
    struct switch_config config;
    struct spinlock lock;
    atomic_uint state; /* enum state */
    unsigned openers; /* cards' ports, and those being made; under list_lock */
    struct port *inside; /* the switch's own port, by its mode, or NULL */
    struct port *port[SWITCH_PORTS];
    unsigned ports; /* all are below this index */
    struct mactable table;
};

static struct spinlock list_lock = SPINLOCK_INIT(LOCK_SWITCH);
static struct net_switch *list[SWITCHES];

static uint32_t seconds(void) { return timer_hz ? (uint32_t)(arch_time() / timer_hz) : 0; }

/* Counters that several harts may add to. */
static void count(uint64_t *n, uint64_t more) { __atomic_fetch_add(n, more, __ATOMIC_RELAXED); }

/* ---- forwarding ---- */

/* A port that others may use until port_put; NULL: none. The switch's lock is held. */
static struct port *port_get(struct net_switch *sw, unsigned index)
{
    struct port *p = sw->port[index];

    if (p)
        atomic_fetch_add_explicit(&p->users, 1, memory_order_relaxed);
    return p;
}

static void port_put(struct port *p)
{
    atomic_fetch_sub_explicit(&p->users, 1, memory_order_release);
}

static void give(struct port *p, const struct net_frame *f)
{
    void *device = __atomic_load_n(&p->net.device, __ATOMIC_ACQUIRE);
    enum net_fate fate = device && p->net.link ? p->net.receive(device, f) : NET_DOWN;

    if (fate == NET_TAKEN) {
        count(&p->counts.got, 1);
        count(&p->counts.got_bytes, f->len);
    } else if (fate != NET_FILTERED) {
        count(fate == NET_FULL ? &p->counts.full : &p->counts.down, 1);
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
    return from != to && !(from->config.isolated && to->config.isolated);
}

static uint64_t flood(struct port *from, const struct net_frame *f)
{
    struct net_switch *sw = from->sw;
    uint64_t cost = 0;

    if (!bucket_take(&from->flood, 1, arch_time())) {
        count(&from->counts.limited, 1);
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
    const struct net_switch *sw = p->sw;
    const struct inside *mode = modes[sw->config.mode];

    if (p->config.any_mac ? mac_is_group(source) || !mac_value(source)
                          : memcmp(source, p->mac, NET_MAC) != 0)
        return false;
    return !mode || !mode->admits || p == sw->inside || mode->admits(&sw->inside->net, p->index, f);
}

/* Whether the port may send this; else it is counted. */
static bool admit(struct port *p, const struct net_frame *f)
{
    uint64_t *why = NULL;

    if (!p->net.link)
        why = &p->counts.down;
    else if (is_too_long(p, f))
        why = &p->counts.too_long;
    else if (!is_own(p, f))
        why = &p->counts.spoofed;
    else if (p->config.rate && !bucket_take(&p->rate, f->len, arch_time()))
        why = &p->counts.limited;
    if (why)
        count(why, 1);
    return !why;
}

static uint64_t port_send(void *ctx, const struct net_frame *sent)
{
    struct port *from = ctx, *to;
    struct net_frame mine = *sent;
    const struct net_frame *f = &mine;
    uint64_t cost = 0;
    bool flooded;

    if (!admit(from, f))
        return 0;
    mine.source = (uint16_t)from->index;
    count(&from->counts.sent, 1);
    count(&from->counts.sent_bytes, f->len);
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

/* ---- ports ---- */

static bool fix_mac(struct port *p, const uint8_t mac[NET_MAC])
{
    struct mactable *t = &p->sw->table;

    if (!mactable_fix(t, mac_value(mac), p->index))
        return false;
    if (memcmp(mac, p->mac, NET_MAC))
        mactable_unfix(t, mac_value(p->mac), p->index);
    memcpy(p->mac, mac, NET_MAC);
    return true;
}

static bool port_set_mac(void *ctx, const uint8_t mac[NET_MAC])
{
    struct port *p = ctx;
    bool own = !memcmp(mac, p->config.mac, NET_MAC);
    bool done;

    if (mac_is_group(mac) || !mac_value(mac) || !(own || p->config.any_mac))
        return false;
    spin_lock(&p->sw->lock);
    done = fix_mac(p, mac);
    spin_unlock(&p->sw->lock);
    return done;
}

/* The port is in the list: 0, -ENOSPC, -EEXIST. */
static int port_insert(struct port *p)
{
    struct net_switch *sw = p->sw;
    int error = -ENOSPC;

    spin_lock(&sw->lock);
    while (p->index < SWITCH_PORTS && sw->port[p->index])
        p->index++;
    if (p->index < SWITCH_PORTS)
        error = fix_mac(p, p->config.mac) ? 0 : -EEXIST;
    if (!error) {
        sw->port[p->index] = p;
        sw->ports = (unsigned)max_u64(sw->ports, p->index + 1);
    }
    spin_unlock(&sw->lock);
    return error;
}

/* The port is off the switch, and nobody uses it any more. */
static void port_take_out(struct port *p)
{
    struct net_switch *sw = p->sw;

    spin_lock(&sw->lock);
    sw->port[p->index] = NULL;
    mactable_forget(&sw->table, p->index);
    spin_unlock(&sw->lock);
    while (atomic_load_explicit(&p->users, memory_order_acquire))
        thread_yield();
}

static void inside_close(struct net_switch *sw)
{
    if (!sw->inside)
        return;
    port_take_out(sw->inside);
    modes[sw->config.mode]->close(&sw->inside->net);
    heap_free(sw->inside);
}

/* One opener less; the last one's switch is freed. */
static void switch_put(struct net_switch *sw)
{
    bool last;

    spin_lock(&list_lock);
    last = --sw->openers == 0;
    for (unsigned i = 0; last && i < SWITCHES; i++)
        if (list[i] == sw)
            list[i] = NULL;
    spin_unlock(&list_lock);
    if (!last)
        return;
    inside_close(sw);
    heap_free(sw);
}

static void port_close(void *ctx)
{
    struct port *p = ctx;
    struct net_switch *sw = p->sw;

    /* Before another card can have the port. Its own card sends nothing more. */
    if (sw->inside && modes[sw->config.mode]->left)
        modes[sw->config.mode]->left(&sw->inside->net, p->index);
    port_take_out(p);
    heap_free(p);
    switch_put(sw);
}

static struct port *port_make(struct net_switch *sw, const struct port_config *config)
{
    struct port *p = heap_alloc(sizeof(*p));
    uint64_t burst = max_u64(config->rate / 1000 * RATE_BURST_MS, RATE_BURST_MIN);

    if (!p)
        return NULL;
    p->sw = sw;
    p->config = *config;
    bucket_init(&p->rate, config->rate, burst, arch_time());
    bucket_init(&p->flood, FLOOD_RATE, FLOOD_BURST, arch_time());
    p->net.send = port_send;
    p->net.set_mac = port_set_mac;
    p->net.close = port_close;
    p->net.ctx = p;
    memcpy(p->net.mac, config->mac, NET_MAC);
    p->net.mtu = sw->config.mtu;
    p->net.link = true;
    return p;
}

/* ---- switches ---- */

static struct net_switch *switch_make(const struct switch_config *config)
{
    struct net_switch *sw = heap_alloc(sizeof(*sw));
    uint64_t secret;

    if (!sw)
        return NULL;
    sw->config = *config;
    spin_init(&sw->lock, LOCK_SWITCH);
    entropy.fill(entropy.ctx, &secret, sizeof(secret));
    mactable_init(&sw->table, secret);
    return sw;
}

/* The switch of this name with one opener more, or made of *fresh, which then is NULL. */
static struct net_switch *find_or_add(const struct switch_config *config, struct net_switch **fresh)
{
    struct net_switch *sw = NULL, **place = NULL;

    spin_lock(&list_lock);
    for (unsigned i = 0; i < SWITCHES && !sw; i++) {
        if (!list[i])
            place = place ? place : &list[i];
        else if (!strcmp(list[i]->config.name, config->name))
            sw = list[i];
    }
    if (!sw && place) {
        sw = *place = *fresh;
        *fresh = NULL;
    }
    if (sw)
        sw->openers++;
    spin_unlock(&list_lock);
    return sw;
}

/* The switch's own port, and what is behind it. */
static int inside_open(struct net_switch *sw, const char **why)
{
    const struct inside *mode = modes[sw->config.mode];
    struct port_config config = {.any_mac = true, .mac = {2}};
    int error;

    if (!mode)
        return 0;
    fmt_snprintf(config.name, sizeof(config.name), "%s", sw->config.name);
    sw->inside = port_make(sw, &config);
    *why = "out of memory";
    if (!sw->inside)
        return -ENOMEM;
    error = port_insert(sw->inside);
    if (!error)
        error = mode->open(&sw->config, &sw->inside->net, why);
    if (!error)
        return 0;
    port_take_out(sw->inside);
    heap_free(sw->inside);
    sw->inside = NULL;
    return error;
}

static int wait_ready(struct net_switch *sw, const char **why)
{
    while (atomic_load(&sw->state) == MAKING)
        thread_yield();
    *why = "the switch of this name could not be made";
    return atomic_load(&sw->state) == READY ? 0 : -ENODEV;
}

static int open_in(struct net_switch *sw, const struct switch_config *config,
                   const struct port_config *port, struct net_backend **out, const char **why)
{
    struct port *p;
    int error;

    if (memcmp(&sw->config, config, sizeof(*config))) {
        *why = "a switch of this name is in use, and is another kind";
        return -EINVAL;
    }
    p = port_make(sw, port);
    if (!p) {
        *why = "out of memory";
        return -ENOMEM;
    }
    error = port_insert(p);
    if (!error) {
        if (sw->inside && modes[sw->config.mode]->joined)
            modes[sw->config.mode]->joined(&sw->inside->net, p->index, port);
        *out = &p->net;
        return 0;
    }
    *why = error == -ENOSPC ? "the switch has no free port"
                            : "another card on this switch has the same address";
    heap_free(p);
    return error;
}

int switch_open(const struct switch_config *config, const struct port_config *port,
                struct net_backend **out, const char **why)
{
    struct net_switch *made = switch_make(config), *fresh = made, *sw;
    int error;

    *out = NULL;
    if (!fresh) {
        *why = "out of memory";
        return -ENOMEM;
    }
    sw = find_or_add(config, &fresh);
    heap_free(fresh);
    if (!sw) {
        *why = "there are as many switches as can be";
        return -ENOSPC;
    }
    if (sw == made) {
        error = inside_open(sw, why);
        atomic_store(&sw->state, error ? FAILED : READY);
    } else {
        error = wait_ready(sw, why);
    }
    if (!error)
        error = open_in(sw, config, port, out, why);
    if (error)
        switch_put(sw);
    return error;
}

/* ---- for people ---- */

/* The nth switch with one opener more. */
static struct net_switch *switch_at(unsigned n)
{
    struct net_switch *sw = NULL;

    spin_lock(&list_lock);
    for (unsigned i = 0; i < SWITCHES && !sw; i++)
        if (list[i] && n-- == 0)
            sw = list[i];
    if (sw)
        sw->openers++;
    spin_unlock(&list_lock);
    return sw;
}

bool switch_get(unsigned n, struct switch_info *info)
{
    struct net_switch *sw = switch_at(n);

    if (!sw)
        return false;
    *info = (struct switch_info){.config = sw->config};
    spin_lock(&sw->lock);
    for (unsigned i = 0; i < sw->ports; i++) {
        info->ports += sw->port[i] != NULL;
        info->learnt += sw->table.learnt[i];
    }
    spin_unlock(&sw->lock);
    if (atomic_load(&sw->state) == READY && sw->inside && modes[sw->config.mode]->describe)
        modes[sw->config.mode]->describe(&sw->inside->net, info->inside, sizeof(info->inside));
    switch_put(sw);
    return true;
}

bool switch_get_port(unsigned n, unsigned port, struct port_info *info)
{
    struct net_switch *sw = switch_at(n);
    struct port *p = NULL;

    if (!sw)
        return false;
    spin_lock(&sw->lock);
    for (unsigned i = 0; i < sw->ports && !p; i++)
        if (sw->port[i] && port-- == 0)
            p = sw->port[i];
    if (p) {
        *info = (struct port_info){p->config, p->counts, p->net.refused, p->net.link};
        memcpy(info->config.mac, p->mac, NET_MAC);
    }
    spin_unlock(&sw->lock);
    switch_put(sw);
    return p != NULL;
}

/* The port of this name, to be put. */
static struct port *find_port(struct net_switch *sw, const char *name)
{
    struct port *p = NULL;

    spin_lock(&sw->lock);
    for (unsigned i = 0; i < sw->ports && !p; i++)
        if (sw->port[i] && !strcmp(sw->port[i]->config.name, name))
            p = port_get(sw, i);
    spin_unlock(&sw->lock);
    return p;
}

int switch_set_link(const char *port, bool up)
{
    struct net_switch *sw;
    struct port *p = NULL;

    for (unsigned n = 0; !p && (sw = switch_at(n)); n++) {
        p = find_port(sw, port);
        if (p) {
            p->net.link = up;
            if (p->net.device)
                p->net.link_changed(p->net.device);
            port_put(p);
        }
        switch_put(sw);
    }
    return p ? 0 : -ENOENT;
}
