// SPDX-License-Identifier: BSD-2-Clause
#include "net/dhcp_client.h"

#include <string.h>

enum {
    FIRST_WAIT = 4, /* seconds, doubled with each try (RFC 2131, 4.1) */
    DOUBLINGS = 4,
    REQUESTS = 4, /* then all begins anew */
    SILENT_AFTER = 3, /* tries */
    LEAST_LEASE = 60,
    LEAST_RETRY = 60, /* between attempts to renew (4.4.5) */
    AFTER_REFUSAL = 10,
    LEAST_PREFIX = 8,
    MOST_PREFIX = 30
};
#define BROADCAST 0xffffffffu

static uint32_t next_random(struct dhcp_client *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 17;
    c->random ^= c->random << 5;
    return c->random;
}

static void begin_anew(struct dhcp_client *c, uint32_t due)
{
    c->state = DHCP_SELECTING;
    c->xid = next_random(c);
    c->began = c->due = due;
    c->tries = 0;
    c->complained = false;
}

void dhcp_client_begin(struct dhcp_client *c, const uint8_t mac[NET_MAC], const char *id,
                       uint32_t seed, uint32_t now)
{
    memset(c, 0, sizeof(*c));
    memcpy(c->mac, mac, NET_MAC);
    memcpy(c->id, id, min_u64(strlen(id), sizeof(c->id) - 1));
    c->random = seed | 1;
    begin_anew(c, now);
}

/* ---- messages out ---- */

static uint8_t *put_id(const struct dhcp_client *c, uint8_t *to)
{
    size_t len = strlen(c->id);

    to[0] = DHCP_OPTION_CLIENT;
    to[1] = (uint8_t)(1 + len);
    to[2] = 0; /* no hardware address, but a name (RFC 2132, 9.14) */
    memcpy(to + 3, c->id, len);
    return to + 3 + len;
}

static uint8_t *put_wanted(uint8_t *to)
{
    static const uint8_t wanted[] = {DHCP_OPTION_MASK,  DHCP_OPTION_ROUTER, DHCP_OPTION_DNS,
                                     DHCP_OPTION_LEASE, DHCP_OPTION_T1,     DHCP_OPTION_T2};

    to[0] = DHCP_OPTION_WANTED;
    to[1] = sizeof(wanted);
    memcpy(to + 2, wanted, sizeof(wanted));
    return to + 2 + sizeof(wanted);
}

/* Table 5 of RFC 2131 says what is in which message. */
static uint32_t write_message(const struct dhcp_client *c, uint32_t now, uint8_t m[DHCP_MOST])
{
    bool selects = c->state == DHCP_SELECTING, requests = c->state == DHCP_REQUESTING;
    uint8_t *to = m + DHCP_OPTIONS;

    memset(m, 0, DHCP_MOST);
    m[DHCP_OP] = DHCP_ASKS;
    m[DHCP_HARDWARE] = DHCP_ETHERNET;
    m[DHCP_HARDWARE_LEN] = NET_MAC;
    put32(m + DHCP_XID, c->xid);
    put16(m + DHCP_SECONDS, (uint16_t)min_u64(now - c->began, UINT16_MAX));
    if (!selects && !requests)
        put32(m + DHCP_CLIENT, c->lease.address);
    memcpy(m + DHCP_MAC, c->mac, NET_MAC);
    put32(m + DHCP_MAGIC, DHCP_COOKIE);
    to = dhcp_put(to, DHCP_OPTION_TYPE, 1, selects ? DHCP_DISCOVER : DHCP_REQUEST);
    if (requests) {
        to = dhcp_put(to, DHCP_OPTION_ADDRESS, 4, c->offer.address);
        to = dhcp_put(to, DHCP_OPTION_SERVER, 4, c->offer.server);
    }
    to = put_wanted(put_id(c, to));
    *to++ = DHCP_OPTION_END;
    return (uint32_t)max_u64((uint64_t)(to - m), DHCP_LEAST);
}

/* When the next try is due, of those for an address: a second more or less at random, so that not all ask at once. */
static uint32_t next_try(struct dhcp_client *c, uint32_t now)
{
    uint32_t wait = FIRST_WAIT << min_u64(c->tries, DOUBLINGS);

    return now + wait - 1 + next_random(c) % 3;
}

/* Of those to renew: half of what is left until end. */
static uint32_t next_renewal(uint32_t now, uint32_t end)
{
    uint32_t left = end - now;

    return left > 2 * LEAST_RETRY ? now + left / 2 : end;
}

static enum dhcp_event send(struct dhcp_client *c, uint32_t now, uint8_t m[DHCP_MOST],
                            uint32_t *size)
{
    c->asked = now;
    *size = write_message(c, now, m);
    c->due = next_try(c, now);
    if (++c->tries != SILENT_AFTER || c->silent)
        return DHCP_NOTHING;
    c->silent = true;
    return DHCP_SILENCE;
}

/* BOUND and after: asks to go on, or comes to the end. */
static enum dhcp_event renew(struct dhcp_client *c, uint32_t now, uint8_t m[DHCP_MOST],
                             uint32_t *size, uint32_t *to)
{
    uint32_t end = c->granted + c->lease.seconds, rebind = c->granted + c->lease.t2;

    if ((int32_t)(now - end) >= 0) {
        memset(&c->lease, 0, sizeof(c->lease));
        begin_anew(c, now);
        return DHCP_LOST;
    }
    if (c->state == DHCP_BOUND) {
        c->xid = next_random(c);
        c->began = now;
    }
    c->state = (int32_t)(now - rebind) >= 0 ? DHCP_REBINDING : DHCP_RENEWING;
    if (c->state == DHCP_RENEWING)
        *to = c->lease.server;
    c->due = next_renewal(now, c->state == DHCP_RENEWING ? rebind : end);
    c->asked = now;
    *size = write_message(c, now, m);
    return DHCP_NOTHING;
}

enum dhcp_event dhcp_client_step(struct dhcp_client *c, uint32_t now, uint8_t m[DHCP_MOST],
                                 uint32_t *size, uint32_t *to)
{
    *size = 0;
    *to = BROADCAST;
    if (!dhcp_client_is_due(c, now) || (c->state == DHCP_BOUND && c->lease.seconds == DHCP_FOREVER))
        return DHCP_NOTHING;
    if (c->state >= DHCP_BOUND)
        return renew(c, now, m, size, to);
    if (c->state == DHCP_REQUESTING && c->tries >= REQUESTS)
        begin_anew(c, now);
    return send(c, now, m, size);
}

/* ---- messages in ---- */

static uint32_t option32(const uint8_t *m, uint32_t size, uint8_t option, uint32_t otherwise)
{
    const uint8_t *value = dhcp_find(m, size, option, 4);

    return value ? get32(value) : otherwise;
}

static uint8_t prefix_of(uint32_t mask)
{
    uint8_t prefix = 0;

    while (prefix < 32 && mask >> (31 - prefix) & 1)
        prefix++;
    return prefix < 32 && mask << prefix ? 0 : prefix;
}

/* Of one host, in its subnet. */
static bool is_host(uint32_t address, uint32_t mask)
{
    uint32_t first = address >> 24;

    return first && first != 127 && first < 224 && (address & ~mask) &&
           (address | mask) != BROADCAST;
}

/* What a message gives. NULL: all is well; or why it is of no use. */
static const char *read_lease(const struct dhcp_client *c, const uint8_t *m, uint32_t size,
                              struct dhcp_lease *l)
{
    uint32_t mask = option32(m, size, DHCP_OPTION_MASK, 0);

    memset(l, 0, sizeof(*l));
    l->address = get32(m + DHCP_YOURS);
    l->prefix = prefix_of(mask);
    l->server = option32(m, size, DHCP_OPTION_SERVER, 0);
    l->router = option32(m, size, DHCP_OPTION_ROUTER, 0);
    l->dns = option32(m, size, DHCP_OPTION_DNS, 0);
    l->seconds = option32(m, size, DHCP_OPTION_LEASE, 0);
    if (l->seconds > DHCP_FOREVER)
        l->seconds = DHCP_FOREVER;
    l->t1 = option32(m, size, DHCP_OPTION_T1, l->seconds / 2);
    l->t2 = option32(m, size, DHCP_OPTION_T2, l->seconds / 8 * 7);
    if (l->t1 >= l->t2 || l->t2 >= l->seconds) {
        l->t1 = l->seconds / 2;
        l->t2 = l->seconds / 8 * 7;
    }
    if (l->prefix < LEAST_PREFIX || l->prefix > MOST_PREFIX)
        return "it has no subnet mask of 8 to 30 bits";
    if (!is_host(l->address, mask))
        return "its address is none of a host in its subnet";
    if (!is_host(l->router, mask) || (l->router ^ l->address) & mask || l->router == l->address)
        return "it has no router in the address's subnet";
    if (c->avoid_mask && !((l->address ^ c->avoid) & mask & c->avoid_mask))
        return "its subnet is the one inside";
    if (!l->server)
        return "it does not say which server it is from";
    return l->seconds < LEAST_LEASE ? "it is for less than a minute" : NULL;
}

static enum dhcp_event take_offer(struct dhcp_client *c, uint32_t now, const uint8_t *m,
                                  uint32_t size)
{
    struct dhcp_lease l;
    const char *why = read_lease(c, m, size, &l);

    if (why) {
        bool again = c->complained;

        c->why = why;
        c->complained = true;
        return again ? DHCP_NOTHING : DHCP_USELESS;
    }
    c->offer = l;
    c->state = DHCP_REQUESTING;
    c->tries = 0;
    c->due = now;
    return DHCP_CHOSEN;
}

static bool is_same(const struct dhcp_lease *a, const struct dhcp_lease *b)
{
    return a->address == b->address && a->prefix == b->prefix && a->router == b->router &&
           a->dns == b->dns;
}

/* The address that was asked for, and no other one. */
static enum dhcp_event take_ack(struct dhcp_client *c, const uint8_t *m, uint32_t size)
{
    bool is_new = c->state == DHCP_REQUESTING, changed;
    struct dhcp_lease l;

    if (read_lease(c, m, size, &l) || l.address != (is_new ? c->offer.address : c->lease.address))
        return DHCP_NOTHING;
    changed = is_new || !is_same(&l, &c->lease);
    c->lease = l;
    c->granted = c->asked;
    c->state = DHCP_BOUND;
    c->due = c->granted + l.t1;
    c->silent = false;
    return changed ? DHCP_GRANTED : DHCP_RENEWED;
}

static enum dhcp_event take_nak(struct dhcp_client *c, uint32_t now)
{
    bool had = c->lease.address != 0;

    memset(&c->lease, 0, sizeof(c->lease));
    begin_anew(c, now + AFTER_REFUSAL);
    return had ? DHCP_LOST : DHCP_NOTHING;
}

/* The server that may answer: the one that was asked; any one when all were. */
static bool is_asked(const struct dhcp_client *c, uint32_t server)
{
    if (c->state == DHCP_REQUESTING)
        return server == c->offer.server;
    return c->state != DHCP_RENEWING || server == c->lease.server;
}

enum dhcp_event dhcp_client_take(struct dhcp_client *c, uint32_t now, const uint8_t *m,
                                 uint32_t size)
{
    const uint8_t *type = size >= DHCP_OPTIONS ? dhcp_find(m, size, DHCP_OPTION_TYPE, 1) : NULL;

    if (!type || m[DHCP_OP] != DHCP_ANSWERS || get32(m + DHCP_XID) != c->xid ||
        get32(m + DHCP_MAGIC) != DHCP_COOKIE || memcmp(m + DHCP_MAC, c->mac, NET_MAC) != 0)
        return DHCP_NOTHING;
    if (c->state == DHCP_SELECTING)
        return *type == DHCP_OFFER && c->tries ? take_offer(c, now, m, size) : DHCP_NOTHING;
    if (c->state == DHCP_BOUND || !is_asked(c, option32(m, size, DHCP_OPTION_SERVER, 0)))
        return DHCP_NOTHING;
    if (*type == DHCP_ACK)
        return take_ack(c, m, size);
    return *type == DHCP_NAK ? take_nak(c, now) : DHCP_NOTHING;
}
