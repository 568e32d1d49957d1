// SPDX-License-Identifier: BSD-2-Clause
// What there is of switches and ports, and their settings, for the commands.
#include <errno.h>
#include <string.h>

#include "drv/uplink.h"
#include "net/switch_parts.h"

/* ---- what there is ---- */

static void describe(struct net_switch *sw, struct switch_info *info)
{
    struct port *own;

    switch_claim(sw);
    info->config = sw->config;
    own = atomic_load(&sw->inside);
    info->uplink = own != NULL;
    if (own && own->mode->describe)
        own->mode->describe(&own->net, info);
    switch_release(sw);
}

bool switch_get(unsigned n, struct switch_info *info)
{
    struct net_switch *sw = switch_at(n);

    if (!sw)
        return false;
    memset(info, 0, sizeof(*info));
    describe(sw, info);
    spin_lock(&sw->lock);
    for (unsigned i = 0; i < sw->ports; i++) {
        info->ports += sw->port[i] != NULL;
        info->learnt += sw->table.learnt[i];
    }
    spin_unlock(&sw->lock);
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
        *info = (struct port_info){p->config, p->counts, p->net.refused, p->net.link,
                                   p->index == SWITCH_OWN};
        memcpy(info->config.mac, p->mac, NET_MAC);
    }
    spin_unlock(&sw->lock);
    switch_put(sw);
    return p != NULL;
}

bool switch_next_mac(unsigned n, unsigned *cursor, struct switch_mac *out)
{
    struct net_switch *sw = switch_at(n);
    bool found = false;

    if (!sw)
        return false;
    spin_lock(&sw->lock);
    for (; *cursor < MACTABLE_SETS * MACTABLE_WAYS && !found; ++*cursor) {
        const struct mac_entry *e =
            &sw->table.entry[*cursor / MACTABLE_WAYS][*cursor % MACTABLE_WAYS];

        found = e->mac && sw->port[e->port];
        if (!found)
            continue;
        out->fixed = e->fixed;
        mac_bytes(e->mac, out->mac);
        memcpy(out->port, sw->port[e->port]->config.name, sizeof(out->port));
    }
    spin_unlock(&sw->lock);
    switch_put(sw);
    return found;
}

/* The switch, claimed, and its own port, if that is there; NULL otherwise. To be let go by let_go. */
static struct port *hold_own(struct net_switch *sw)
{
    if (!sw)
        return NULL;
    switch_claim(sw);
    return atomic_load(&sw->inside);
}

static void let_go(struct net_switch *sw)
{
    if (!sw)
        return;
    switch_release(sw);
    switch_put(sw);
}

bool switch_next_lease(unsigned n, unsigned *cursor, struct switch_lease *out)
{
    struct net_switch *sw = switch_at(n);
    struct port *own = hold_own(sw);
    bool found = own && own->mode->next_lease && own->mode->next_lease(&own->net, cursor, out);

    let_go(sw);
    return found;
}

bool switch_get_forward(unsigned n, unsigned i, struct nat_forward *out, uint32_t *address)
{
    struct net_switch *sw = switch_at(n);
    struct port *own = hold_own(sw);
    bool found =
        own && own->mode->get_forward && own->mode->get_forward(&own->net, i, out, address);

    let_go(sw);
    return found;
}

/* ---- settings ---- */

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

int switch_set_port(const char *port, const uint32_t *rate, const bool *isolated)
{
    struct net_switch *sw;
    bool found = false;

    for (unsigned n = 0; !found && (sw = switch_at(n)); n++) {
        struct port *p = find_port(sw, port);

        found = p && p->index != SWITCH_OWN;
        if (found && rate)
            __atomic_store_n(&p->config.rate, *rate, __ATOMIC_RELAXED);
        if (found && isolated)
            __atomic_store_n(&p->config.isolated, *isolated, __ATOMIC_RELAXED);
        if (p)
            port_put(p);
        switch_put(sw);
    }
    return found ? 0 : -ENOENT;
}

/* ---- captures ---- */

static _Atomic(struct capture *) uplink_capture;

static void look_at_uplink(const struct net_frame *f, bool sent)
{
    struct capture *c = atomic_load(&uplink_capture);

    if (c)
        capture_frame(c, &uplink_capture, f, sent);
}

static int capture_uplink(struct capture *c)
{
    struct capture *none = NULL;

    if (!atomic_compare_exchange_strong(&uplink_capture, &none, c))
        return -EBUSY;
    capture_watch(c, &uplink_capture);
    uplink_tap(look_at_uplink);
    return 0;
}

int switch_capture(const char *port, struct capture *c)
{
    struct net_switch *sw;
    int error = -ENOENT;

    if (!port[0])
        return capture_uplink(c);
    for (unsigned n = 0; error == -ENOENT && (sw = switch_at(n)); n++) {
        struct port *p = find_port(sw, port);
        struct capture *none = NULL;

        if (p && p->index != SWITCH_OWN)
            error = atomic_compare_exchange_strong(&p->capture, &none, c) ? 0 : -EBUSY;
        if (!error)
            capture_watch(c, p);
        if (p)
            port_put(p);
        switch_put(sw);
    }
    return error;
}

static void forget_capture(struct net_switch *sw, struct capture *c)
{
    spin_lock(&sw->lock);
    for (unsigned i = 0; i < sw->ports; i++) {
        struct capture *was = c;

        if (sw->port[i])
            (void)atomic_compare_exchange_strong(&sw->port[i]->capture, &was, NULL);
    }
    spin_unlock(&sw->lock);
}

void switch_uncapture(struct capture *c)
{
    struct net_switch *sw;
    struct capture *was = c;

    if (atomic_compare_exchange_strong(&uplink_capture, &was, NULL))
        uplink_tap(NULL);
    for (unsigned n = 0; (sw = switch_at(n)); n++) {
        forget_capture(sw, c);
        switch_put(sw);
    }
    capture_end(c, NULL);
}

/* ---- a NAT's ---- */

/* The named switch, claimed, with its own port if that is a NAT's; NULL with *why. */
static struct port *hold_nat(struct net_switch *sw, const char **why)
{
    struct port *own = hold_own(sw);

    *why = sw ? "it is not a NAT: only a NAT forwards ports" : "no switch has this name";
    return own && own->mode->forward_add ? own : NULL;
}

int switch_forward_add(const char *name, const struct nat_forward *w, uint32_t address,
                       const char **why)
{
    struct net_switch *sw = switch_named(name);
    struct port *own = hold_nat(sw, why);
    int error = own ? own->mode->forward_add(&own->net, w, address, why) : -ENOENT;

    let_go(sw);
    return error;
}

int switch_forward_remove(const char *name, uint8_t protocol, uint16_t port, const char **why)
{
    struct net_switch *sw = switch_named(name);
    struct port *own = hold_nat(sw, why);
    int error = own ? own->mode->forward_remove(&own->net, protocol, port, why) : -ENOENT;

    let_go(sw);
    return error;
}
