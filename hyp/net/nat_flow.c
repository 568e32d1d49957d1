// SPDX-License-Identifier: BSD-2-Clause
#include "net/nat_flow.h"

#include <string.h>

#include "net/packet.h"

enum { SAW_ANSWER = 1, SAW_FIN_OUT = 2, SAW_FIN_IN = 4, SAW_RESET = 8 };
enum { FLAG_SYN = 2, FLAG_RST = 4, FLAG_ACK = 0x10 };

static uint16_t index_of(const struct flow_table *t, const struct flow *f)
{
    return (uint16_t)(f - t->flow);
}

static unsigned hash(const struct flow_table *t, const struct flow_key *k)
{
    uint64_t v = (uint64_t)k->remote << 32 | (uint32_t)k->remote_port << 16 | k->port;

    v ^= (uint64_t)(k->host << 8 | k->protocol) << 20;
    return v * t->secret >> 53 & (FLOW_BUCKETS - 1);
}

static uint16_t *bucket_of(struct flow_table *t, const struct flow_key *k)
{
    return &t->bucket[hash(t, k)];
}

static bool same_key(const struct flow_key *a, const struct flow_key *b)
{
    return a->remote == b->remote && a->remote_port == b->remote_port && a->port == b->port &&
           a->host == b->host && a->protocol == b->protocol && a->relay == b->relay;
}

static void put_free(struct flow_table *t, uint16_t n)
{
    t->flow[n] = (struct flow){.chain = FLOW_NONE};
    if (t->free_first == FLOW_NONE)
        t->free_first = n;
    else
        t->flow[t->free_last].chain = n;
    t->free_last = n;
}

void flow_init(struct flow_table *t, uint64_t secret)
{
    memset(t, 0, sizeof(*t));
    t->secret = secret * 0x9e3779b97f4a7c15ull | 1;
    memset(t->bucket, 0xff, sizeof(t->bucket)); /* FLOW_NONE */
    memset(t->oldest, 0xff, sizeof(t->oldest));
    memset(t->newest, 0xff, sizeof(t->newest));
    t->free_first = t->free_last = FLOW_NONE;
    for (unsigned i = 0; i < FLOWS; i++)
        put_free(t, (uint16_t)i);
}

/* ---- a host's flows, by age ---- */

static void unlink_age(struct flow_table *t, struct flow *f)
{
    unsigned host = f->key.host;

    if (f->older == FLOW_NONE)
        t->oldest[host] = f->newer;
    else
        t->flow[f->older].newer = f->newer;
    if (f->newer == FLOW_NONE)
        t->newest[host] = f->older;
    else
        t->flow[f->newer].older = f->older;
}

static void link_newest(struct flow_table *t, struct flow *f)
{
    unsigned host = f->key.host;
    uint16_t n = index_of(t, f);

    f->older = t->newest[host];
    f->newer = FLOW_NONE;
    if (f->older == FLOW_NONE)
        t->oldest[host] = n;
    else
        t->flow[f->older].newer = n;
    t->newest[host] = n;
}

static void touch(struct flow_table *t, struct flow *f, uint32_t now)
{
    f->seen = now;
    if (f->newer == FLOW_NONE)
        return;
    unlink_age(t, f);
    link_newest(t, f);
}

/* ---- ends ---- */

static uint32_t timeout_of(const struct flow *f)
{
    enum { BOTH = SAW_FIN_IN | SAW_FIN_OUT };

    if (f->key.protocol == IP_UDP)
        return FLOW_UDP;
    if (f->key.protocol != IP_TCP)
        return FLOW_ICMP;
    if (f->tcp & SAW_RESET)
        return FLOW_TCP_RESET;
    return (f->tcp & SAW_ANSWER) && (f->tcp & BOTH) != BOTH ? FLOW_TCP_OPEN : FLOW_TCP;
}

static bool has_ended(const struct flow *f, uint32_t now) { return now - f->seen > timeout_of(f); }

static void drop(struct flow_table *t, struct flow *f)
{
    uint16_t n = index_of(t, f), *at = bucket_of(t, &f->key);

    while (*at != n)
        at = &t->flow[*at].chain;
    *at = f->chain;
    unlink_age(t, f);
    t->count[f->key.host]--;
    put_free(t, n);
}

void flow_forget(struct flow_table *t, unsigned host)
{
    while (t->oldest[host] != FLOW_NONE)
        drop(t, &t->flow[t->oldest[host]]);
}

static void sweep(struct flow_table *t, uint32_t now)
{
    for (unsigned i = 0; i < FLOW_SWEEP; i++) {
        struct flow *f = &t->flow[t->sweep];

        t->sweep = (uint16_t)((t->sweep + 1) % FLOWS);
        if (f->used && has_ended(f, now))
            drop(t, f);
    }
}

/* ---- finding ---- */

static struct flow *make_flow(struct flow_table *t, const struct flow_key *key, uint32_t now)
{
    uint16_t n, *bucket;
    struct flow *f;

    sweep(t, now);
    if (t->count[key->host] >= FLOWS_HOST ||
        (t->free_first == FLOW_NONE && t->oldest[key->host] != FLOW_NONE))
        drop(t, &t->flow[t->oldest[key->host]]);
    n = t->free_first;
    if (n == FLOW_NONE)
        return NULL;
    f = &t->flow[n];
    t->free_first = f->chain;
    bucket = bucket_of(t, key);
    *f = (struct flow){.key = *key, .used = true, .chain = *bucket, .seen = now};
    *bucket = n;
    t->count[key->host]++;
    link_newest(t, f);
    return f;
}

/* FLOW_NONE: there is none. It may have ended. */
static uint16_t find_out(const struct flow_table *t, const struct flow_key *key)
{
    uint16_t n = t->bucket[hash(t, key)];

    while (n != FLOW_NONE && !same_key(&t->flow[n].key, key))
        n = t->flow[n].chain;
    return n;
}

static uint16_t find_in(const struct flow_table *t, uint16_t outer_port, uint8_t protocol,
                        uint32_t remote, uint16_t remote_port, uint32_t now)
{
    uint16_t n = (uint16_t)(outer_port - FLOW_PORT); /* smaller ones wrap, and are too large */
    const struct flow *f = &t->flow[n];

    return n < FLOWS && f->used && f->key.protocol == protocol && f->key.remote == remote &&
                   f->key.remote_port == remote_port && !has_ended(f, now)
               ? n
               : FLOW_NONE;
}

struct flow *flow_out(struct flow_table *t, const struct flow_key *key, bool make, uint32_t now)
{
    uint16_t n = find_out(t, key);

    if (n != FLOW_NONE && !has_ended(&t->flow[n], now)) {
        touch(t, &t->flow[n], now);
        return &t->flow[n];
    }
    if (n != FLOW_NONE)
        drop(t, &t->flow[n]);
    return make ? make_flow(t, key, now) : NULL;
}

struct flow *flow_in(struct flow_table *t, uint16_t outer_port, uint8_t protocol, uint32_t remote,
                     uint16_t remote_port, uint32_t now)
{
    uint16_t n = find_in(t, outer_port, protocol, remote, remote_port, now);

    if (n == FLOW_NONE)
        return NULL;
    touch(t, &t->flow[n], now);
    return &t->flow[n];
}

const struct flow *flow_told_out(const struct flow_table *t, const struct flow_key *key,
                                 uint32_t now)
{
    uint16_t n = find_out(t, key);

    return n != FLOW_NONE && !has_ended(&t->flow[n], now) ? &t->flow[n] : NULL;
}

const struct flow *flow_told_in(const struct flow_table *t, uint16_t outer_port, uint8_t protocol,
                                uint32_t remote, uint16_t remote_port, uint32_t now)
{
    uint16_t n = find_in(t, outer_port, protocol, remote, remote_port, now);

    return n != FLOW_NONE ? &t->flow[n] : NULL;
}

uint16_t flow_outer_port(const struct flow_table *t, const struct flow *f)
{
    return (uint16_t)(FLOW_PORT + index_of(t, f));
}

void flow_tcp(struct flow *f, uint8_t flags, bool out)
{
    if (flags & FLAG_RST)
        f->tcp |= SAW_RESET;
    if (flags & TCP_FIN)
        f->tcp |= out ? SAW_FIN_OUT : SAW_FIN_IN;
    if (!out && (flags & FLAG_ACK))
        f->tcp |= SAW_ANSWER;
    /* The same ports again, after its end. */
    if (out && (flags & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN)
        f->tcp = 0;
}
