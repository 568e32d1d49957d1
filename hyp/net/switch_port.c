// SPDX-License-Identifier: BSD-2-Clause
// Ports of a switch: plugged in, taken out, and the addresses that their cards have.
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "mem/heap.h"
#include "net/switch_parts.h"
#include "sched/thread.h"

/* Frames for all ports that one port may send: each costs every other guest an interrupt. */
enum { FLOOD_RATE = 4000, FLOOD_BURST = 1000 };

static bool fix_mac(struct port *p, const uint8_t mac[NET_MAC])
{
    struct mactable *t = &p->sw->table;

    if (!mactable_fix(t, mac_value(mac), p->index))
        return false;
    if (memcmp(mac, p->mac, NET_MAC))
        mactable_unfix(t, mac_value(p->mac), p->index);
    memcpy(p->mac, mac, NET_MAC);
    p->mac_number = mac_value(mac);
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

int port_insert(struct port *p)
{
    struct net_switch *sw = p->sw;
    int error = -ENOSPC;

    spin_lock(&sw->lock);
    p->index = SWITCH_OWN + 1;
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

int port_replace_own(struct net_switch *sw, struct port *p)
{
    int error = 0;

    spin_lock(&sw->lock);
    mactable_forget(&sw->table, SWITCH_OWN); /* which leaves room for the same address again */
    if (p)
        error = fix_mac(p, p->config.mac) ? 0 : -EEXIST;
    if (!error) {
        sw->port[SWITCH_OWN] = p;
        sw->ports = (unsigned)max_u64(sw->ports, SWITCH_OWN + 1);
    }
    spin_unlock(&sw->lock);
    return error;
}

void port_wait_unused(const struct port *p)
{
    while (atomic_load_explicit(&p->users, memory_order_acquire))
        thread_yield();
}

void port_take_out(struct port *p)
{
    struct net_switch *sw = p->sw;

    spin_lock(&sw->lock);
    sw->port[p->index] = NULL;
    mactable_forget(&sw->table, p->index);
    spin_unlock(&sw->lock);
}

void port_free(struct port *p)
{
    struct capture *c = atomic_load(&p->capture);

    if (c)
        capture_end(c, p);
    heap_free(p);
}

static void port_close(void *ctx)
{
    struct port *p = ctx;
    struct net_switch *sw = p->sw;
    struct port *own;

    switch_claim(sw);
    own = atomic_load(&sw->inside);
    /* Before another card can have the port. Its own card sends nothing more. */
    if (own && own->mode->left)
        own->mode->left(&own->net, p->index);
    port_take_out(p);
    switch_release(sw);
    port_wait_unused(p);
    port_free(p);
    switch_put(sw);
}

/* The switch is nobody's. */
static uint64_t port_memory(void *ctx)
{
    (void)ctx;
    return heap_takes(sizeof(struct port));
}

struct port *port_make(struct net_switch *sw, const struct port_config *config)
{
    struct port *p = heap_alloc(sizeof(*p));

    if (!p)
        return NULL;
    p->sw = sw;
    p->config = *config;
    bucket_init(&p->flood, FLOOD_RATE, FLOOD_BURST, arch_time());
    p->net.send = switch_send;
    p->net.flush = switch_flush;
    p->net.set_mac = port_set_mac;
    p->net.close = port_close;
    p->net.memory = port_memory;
    p->net.ctx = p;
    memcpy(p->net.mac, config->mac, NET_MAC);
    p->net.mtu = sw->config.mtu;
    p->net.link = true;
    return p;
}
