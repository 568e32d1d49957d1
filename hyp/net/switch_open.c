// SPDX-License-Identifier: BSD-2-Clause
// Switches: made when the first card is plugged in, freed with the last one; and what is behind the switch's own port.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "drv/drv.h"
#include "mem/heap.h"
#include "net/switch_parts.h"
#include "sched/thread.h"

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

static struct spinlock list_lock = SPINLOCK_INIT(LOCK_SWITCH);
static struct net_switch *list[SWITCHES];

void switch_claim(struct net_switch *sw)
{
    while (atomic_exchange(&sw->busy, 1))
        thread_yield();
}

void switch_release(struct net_switch *sw) { atomic_store(&sw->busy, 0); }

static struct port *own_port(struct net_switch *sw)
{
    return atomic_load_explicit(&sw->inside, memory_order_acquire);
}

/* ---- behind the switch's own port ---- */

/* A port with something behind it, for a mode that has such a thing, not plugged in and without link. */
static int inside_make(struct net_switch *sw, const struct switch_config *config, struct port **out,
                       const char **why)
{
    const struct inside *mode = modes[config->mode];
    struct port_config own = {.any_mac = true, .mac = {2}};
    struct port *p;
    int error;

    *out = NULL;
    if (!mode)
        return 0;
    fmt_snprintf(own.name, sizeof(own.name), "%s", config->name);
    *why = "out of memory";
    p = port_make(sw, &own);
    if (!p)
        return -ENOMEM;
    p->mode = mode;
    p->net.link = false;
    error = mode->open(config, &p->net, why);
    if (error)
        port_free(p);
    else
        *out = p;
    return error;
}

/* It is plugged in nowhere, and is NULL or used by nobody who sends. */
static void inside_free(struct port *p)
{
    if (!p)
        return;
    port_wait_unused(p);
    p->mode->close(&p->net);
    port_free(p);
}

/* Tells it of the cards that are there. */
static void inside_meet_cards(struct net_switch *sw, struct port *own)
{
    for (unsigned i = SWITCH_OWN + 1; own && own->mode->joined && i < SWITCH_PORTS; i++)
        if (sw->port[i])
            own->mode->joined(&own->net, i, &sw->port[i]->config);
}

/* When it returns, no card is sending with what it knew before. */
static void quiesce(struct net_switch *sw)
{
    for (unsigned i = SWITCH_OWN + 1; i < SWITCH_PORTS; i++) {
        struct port *p;

        spin_lock(&sw->lock);
        p = port_get(sw, i);
        spin_unlock(&sw->lock);
        if (!p)
            continue;
        if (__atomic_load_n(&p->net.device, __ATOMIC_ACQUIRE))
            p->net.link_changed(p->net.device); /* has its lock */
        port_put(p);
    }
}

int switch_change_inside(struct net_switch *sw, const struct switch_config *config,
                         const char **why)
{
    struct port *fresh, *old = own_port(sw);
    int error = inside_make(sw, config, &fresh, why);

    if (error)
        return error;
    inside_meet_cards(sw, fresh);
    if (fresh && old && fresh->mode == old->mode && fresh->mode->inherit)
        fresh->mode->inherit(&fresh->net, &old->net);
    error = port_replace_own(sw, fresh);
    if (error) {
        *why = "a card has the address that is the switch's own";
        inside_free(fresh);
        return error;
    }
    sw->config = *config;
    atomic_store_explicit(&sw->inside, fresh, memory_order_release);
    if (fresh)
        fresh->net.link = true;
    quiesce(sw);
    inside_free(old);
    return 0;
}

/* ---- switches ---- */

static struct net_switch *switch_make(const struct switch_config *config)
{
    struct net_switch *sw = heap_alloc(sizeof(*sw));
    uint64_t secret;

    if (!sw)
        return NULL;
    sw->config = sw->described = *config;
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

static int wait_ready(struct net_switch *sw, const char **why)
{
    while (atomic_load(&sw->state) == SWITCH_MAKING)
        thread_yield();
    *why = "the switch of this name could not be made";
    return atomic_load(&sw->state) == SWITCH_READY ? 0 : -ENODEV;
}

static int open_in(struct net_switch *sw, const struct switch_config *config,
                   const struct port_config *port, struct net_backend **out, const char **why)
{
    struct port *p, *own;
    int error;

    if (memcmp(&sw->described, config, sizeof(*config))) {
        *why = "a switch of this name is in use, and is another kind";
        return -EINVAL;
    }
    p = port_make(sw, port);
    if (!p) {
        *why = "out of memory";
        return -ENOMEM;
    }
    switch_claim(sw);
    error = port_insert(p);
    own = own_port(sw);
    if (!error && own && own->mode->joined)
        own->mode->joined(&own->net, p->index, port);
    switch_release(sw);
    if (!error) {
        *out = &p->net;
        return 0;
    }
    *why = error == -ENOSPC ? "the switch has no free port"
                            : "another card on this switch has the same address";
    port_free(p);
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
        error = switch_change_inside(sw, config, why);
        atomic_store(&sw->state, error ? SWITCH_FAILED : SWITCH_READY);
    } else {
        error = wait_ready(sw, why);
    }
    if (!error)
        error = open_in(sw, config, port, out, why);
    if (error)
        switch_put(sw);
    return error;
}

/* One opener less; the last one's switch is freed. */
void switch_put(struct net_switch *sw)
{
    struct port *own;
    bool last;

    spin_lock(&list_lock);
    last = --sw->openers == 0;
    for (unsigned i = 0; last && i < SWITCHES; i++)
        if (list[i] == sw)
            list[i] = NULL;
    spin_unlock(&list_lock);
    if (!last)
        return;
    own = own_port(sw);
    if (own)
        port_take_out(own);
    inside_free(own);
    heap_free(sw);
}

struct net_switch *switch_at(unsigned n)
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

struct net_switch *switch_named(const char *name)
{
    struct net_switch *sw;

    for (unsigned n = 0; (sw = switch_at(n)); n++) {
        if (!strcmp(sw->config.name, name) && atomic_load(&sw->state) == SWITCH_READY)
            return sw;
        switch_put(sw);
    }
    return NULL;
}
