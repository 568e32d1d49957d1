// SPDX-License-Identifier: BSD-2-Clause
// A DHCP client (RFC 2131): asks for an address on a network, and keeps it renewed. It knows no clock and no network: who has it
// tells it the time in seconds, gives it what comes, and sends what it writes.
//
// What servers say is not trusted: an offer is taken only when it makes a network that can be used (a unicast address and
// a router in one subnet), and only the server that was chosen may confirm it. Not done: the address is not looked for by ARP
// first, options in the fields of names (overload) are not read, an address is not given back at the end.
// Pure. Lock rank: none of its own; the NAT's lock. Callers: nat_outer.c.
#pragma once
#include "net/dhcp.h"
#include "vdev/backend.h"

enum dhcp_state {
    DHCP_SELECTING, /* has no address, asks for offers */
    DHCP_REQUESTING, /* asks for the one that it chose */
    DHCP_BOUND,
    DHCP_RENEWING, /* asks the server of its address */
    DHCP_REBINDING /* asks any server */
};
/* What came of a message, or of time. */
enum dhcp_event {
    DHCP_NOTHING,
    DHCP_CHOSEN, /* an offer: a message is due at once */
    DHCP_GRANTED, /* client->lease is new, or has other values */
    DHCP_RENEWED, /* as it was */
    DHCP_LOST, /* there is no lease any more: refused by its server, or not renewed in time */
    DHCP_USELESS, /* an offer that cannot be taken: client->why */
    DHCP_SILENCE /* nobody has answered several times; said once until somebody does */
};

enum { DHCP_ID = 32, DHCP_FOREVER = 0x7fffffff };

struct dhcp_lease {
    uint32_t address, router, dns /* 0: none */, server;
    uint8_t prefix;
    uint32_t seconds, t1, t2;
};

struct dhcp_client {
    uint8_t mac[NET_MAC];
    uint32_t avoid, avoid_mask; /* a subnet that the address must have nothing in common with */
    char id[DHCP_ID]; /* tells it from others with the same card */
    enum dhcp_state state;
    uint32_t xid, random;
    uint32_t began, due; /* of this transaction; when a message, or the end, is due */
    unsigned tries;
    bool silent, complained; /* it was said */
    const char *why;
    struct dhcp_lease lease; /* address 0: none */
    struct dhcp_lease offer;
    uint32_t asked, granted; /* when the message that was answered was sent; when the lease began */
};

/* seed: not 0, and another one each time. */
void dhcp_client_begin(struct dhcp_client *c, const uint8_t mac[NET_MAC], const char *id,
                       uint32_t seed, uint32_t now);
/* Whether something is due. */
static inline bool dhcp_client_is_due(const struct dhcp_client *c, uint32_t now)
{
    return (int32_t)(now - c->due) >= 0;
}
/* What is due: a message of *size bytes (0: none), for *to (an address, or 0xffffffff) from the lease's address, or 0.0.0.0
 * without one. */
enum dhcp_event dhcp_client_step(struct dhcp_client *c, uint32_t now, uint8_t m[DHCP_MOST],
                                 uint32_t *size, uint32_t *to);
/* A message that came to the client's port. */
enum dhcp_event dhcp_client_take(struct dhcp_client *c, uint32_t now, const uint8_t *m,
                                 uint32_t size);
