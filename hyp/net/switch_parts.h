// SPDX-License-Identifier: BSD-2-Clause
// Between the files of the switch only.
//   switch.c        the way of a frame
//   switch_port.c   ports: plugged in, taken out, their addresses
//   switch_open.c   switches: made, opened by cards, what is behind the switch's own port, which may change as it runs
//   switch_set.c    what a switch is, changed by commands
//   switch_manage.c what there is, and settings, for the commands
//
// Ports: sw->port[] is under sw->lock. Who uses a port beyond that counts itself (port_get), and who takes it out waits for these.
// The switch's own port has index 0 (SWITCH_OWN), also while its mode has none; cards have the others.
// What a card sends runs under its device's lock, so whoever changed sw->inside knows that nobody uses the old one once he has had
// each card's lock for a moment (switch_quiesce).
// Settings (isolated, rate) are written by commands and read by frames under way, without a lock: a frame meets the old or the new.
// Lock rank: LOCK_SWITCH for sw->lock and the list's. sw->busy is a lock for those who may wait, taken with no spinlock held:
// cards that come and go, and changes of mode.
#pragma once
#include <stdatomic.h>

#include "base/spinlock.h"
#include "net/bucket.h"
#include "net/capture.h"
#include "net/inside.h"
#include "net/mactable.h"
#include "net/switch.h"

enum { SWITCH_OWN = 0 };

/* Who made it opens its inside; others wait for the outcome. */
enum switch_state { SWITCH_MAKING, SWITCH_READY, SWITCH_FAILED };

struct port {
    struct net_backend net; /* the card's side */
    struct port_config config;
    struct net_switch *sw;
    const struct inside *mode; /* of the switch's own port, else NULL */
    unsigned index;
    atomic_uint users; /* threads that may be in its receive */
    uint8_t mac[NET_MAC]; /* as the card has it now */
    uint64_t mac_number; /* the same */
    struct bucket rate, flood; /* under the lock of the card that sends */
    /* Within a batch, also under that: where the last frame went, and between which addresses. */
    struct {
        struct port *to; /* got; NULL: none */
        uint16_t addresses[NET_MAC]; /* both, as in the frame */
        uint32_t untold; /* bytes */
    } recent;
    struct port_counts counts;
    _Atomic(struct capture *) capture; /* of its frames, or NULL */
};

struct net_switch {
    struct switch_config described; /* by the bundles of its cards */
    struct switch_config config; /* as it is now */
    struct spinlock lock;
    atomic_uint state; /* enum switch_state */
    atomic_uint busy;
    unsigned openers; /* cards' ports, and those being made; under the list's lock */
    _Atomic(struct port *) inside; /* the switch's own port, by its mode, or NULL */
    struct port *port[SWITCH_PORTS];
    unsigned ports; /* all are below this index */
    struct mactable table;
};

/* Counters that several harts may add to. */
static inline void port_count(uint64_t *n, uint64_t more)
{
    __atomic_fetch_add(n, more, __ATOMIC_RELAXED);
}

/* A port that others may use until port_put; NULL: none. The switch's lock is held. */
static inline struct port *port_get(struct net_switch *sw, unsigned index)
{
    struct port *p = sw->port[index];

    if (p)
        atomic_fetch_add_explicit(&p->users, 1, memory_order_relaxed);
    return p;
}
static inline void port_put(struct port *p)
{
    atomic_fetch_sub_explicit(&p->users, 1, memory_order_release);
}

/* switch.c. As net_backend's send and flush. */
uint64_t switch_send(void *port, struct net_frame *f);
void switch_flush(void *port);

/* switch_port.c. A port that is not plugged in, or NULL: out of memory. */
struct port *port_make(struct net_switch *sw, const struct port_config *config);
/* Nobody uses it any more. */
void port_free(struct port *p);
/* A card's port is plugged in: 0, -ENOSPC, -EEXIST (its address). */
int port_insert(struct port *p) MUST_CHECK;
/* In place of the switch's own port come p, or none if NULL. -EEXIST (a card has p's address): nothing was done. */
int port_replace_own(struct net_switch *sw, struct port *p) MUST_CHECK;
/* Off the switch: nobody begins to use it any more. */
void port_take_out(struct port *p);
void port_wait_unused(const struct port *p);

/* switch_open.c. The switch by number or name, with one opener more; NULL: none. */
struct net_switch *switch_at(unsigned n);
struct net_switch *switch_named(const char *name);
void switch_put(struct net_switch *sw);
/* A card is about to be plugged in, was taken out. */
void switch_claim(struct net_switch *sw);
void switch_release(struct net_switch *sw);
/* The switch, which is claimed, becomes as config says; or, if that cannot be, stays as it is: negative errno with *why. */
int switch_change_inside(struct net_switch *sw, const struct switch_config *config,
                         const char **why) MUST_CHECK;
