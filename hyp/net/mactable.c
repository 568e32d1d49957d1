// SPDX-License-Identifier: BSD-2-Clause
#include "net/mactable.h"

#include <string.h>

void mactable_init(struct mactable *t, uint64_t secret)
{
    memset(t, 0, sizeof(*t));
    t->secret = secret * 0x9e3779b97f4a7c15ull | 1; /* bits everywhere, whatever the secret */
}

static struct mac_entry *set_of(const struct mactable *t, uint64_t mac)
{
    uint64_t hash = mac * t->secret; /* multiply-shift: its upper bits are universal */

    return (struct mac_entry *)t->entry[hash >> 58 & (MACTABLE_SETS - 1)];
}

static struct mac_entry *find(const struct mactable *t, uint64_t mac)
{
    struct mac_entry *e = set_of(t, mac);

    for (unsigned i = 0; i < MACTABLE_WAYS; i++)
        if (e[i].mac == mac && mac)
            return &e[i];
    return NULL;
}

static bool is_old(const struct mac_entry *e, uint32_t now)
{
    return !e->fixed && now - e->seen > MACTABLE_AGE;
}

int mactable_find(const struct mactable *t, uint64_t mac, uint32_t now)
{
    const struct mac_entry *e = find(t, mac);

    return e && !is_old(e, now) ? e->port : MACTABLE_NONE;
}

static void drop(struct mactable *t, struct mac_entry *e)
{
    if (e->mac && !e->fixed)
        t->learnt[e->port]--;
    *e = (struct mac_entry){0};
}

static void put(struct mactable *t, struct mac_entry *e, struct mac_entry with)
{
    drop(t, e);
    if (!with.fixed)
        t->learnt[with.port]++;
    *e = with;
}

static const struct mac_entry *older(const struct mac_entry *a, const struct mac_entry *b,
                                     uint32_t now)
{
    return !a || now - b->seen > now - a->seen ? b : a;
}

/* Where a port may put a new entry: a free place, else the oldest of its own or of those that are too old; one that has
 * its share already, in the place of one of its own. */
static struct mac_entry *place_for_learnt(const struct mactable *t, uint64_t mac, unsigned port,
                                          uint32_t now)
{
    bool full = t->learnt[port] >= MACTABLE_PORT;
    const struct mac_entry *e = set_of(t, mac), *best = NULL;

    for (unsigned i = 0; i < MACTABLE_WAYS; i++) {
        bool own = e[i].mac && e[i].port == port && !e[i].fixed;

        if (!e[i].mac && !full)
            return (struct mac_entry *)&e[i];
        if (own || (e[i].mac && !full && is_old(&e[i], now)))
            best = older(best, &e[i], now);
    }
    return (struct mac_entry *)best;
}

/* A fixed entry takes a free place, or that of any that is not fixed. */
static struct mac_entry *place_for_fixed(const struct mactable *t, uint64_t mac)
{
    struct mac_entry *e = set_of(t, mac), *any = NULL;

    for (unsigned i = 0; i < MACTABLE_WAYS; i++) {
        if (!e[i].mac)
            return &e[i];
        if (!e[i].fixed)
            any = &e[i];
    }
    return any;
}

bool mactable_learn(struct mactable *t, uint64_t mac, unsigned port, uint32_t now)
{
    struct mac_entry *e = find(t, mac);

    if (e && e->port == port) {
        e->seen = now;
        return true;
    }
    if (e && e->fixed)
        return false;
    /* An address that has moved counts too. */
    if (e && t->learnt[port] >= MACTABLE_PORT)
        return false;
    if (!e)
        e = place_for_learnt(t, mac, port, now);
    if (!e)
        return false;
    put(t, e, (struct mac_entry){.mac = mac, .seen = now, .port = (uint8_t)port});
    return true;
}

bool mactable_fix(struct mactable *t, uint64_t mac, unsigned port)
{
    struct mac_entry *e = find(t, mac);

    if (e && e->fixed && e->port != port)
        return false;
    if (!e)
        e = place_for_fixed(t, mac);
    if (!e)
        return false;
    put(t, e, (struct mac_entry){.mac = mac, .port = (uint8_t)port, .fixed = true});
    return true;
}

void mactable_unfix(struct mactable *t, uint64_t mac, unsigned port)
{
    struct mac_entry *e = find(t, mac);

    if (e && e->fixed && e->port == port)
        drop(t, e);
}

void mactable_forget(struct mactable *t, unsigned port)
{
    for (unsigned i = 0; i < MACTABLE_SETS; i++)
        for (unsigned n = 0; n < MACTABLE_WAYS; n++)
            if (t->entry[i][n].mac && t->entry[i][n].port == port)
                drop(t, &t->entry[i][n]);
}
