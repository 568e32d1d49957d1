// SPDX-License-Identifier: BSD-2-Clause
// The flows of a NAT: who inside speaks with whom outside, and by which port of the outer address.
//
// Flow n has the outer port FLOW_PORT + n (for ICMP echo: that identifier), so that what comes back finds it at once, and
// a port that was given up is the last to be used again. Invariants: a host has at most FLOWS_HOST flows; when it has
// these, or none is free, a new one takes the place of its own least recently used one, never of another host's; only what is
// sent from inside makes a flow.
// Pure. Lock rank: none of its own; the NAT's lock. Callers: nat.c.
#pragma once
#include "base/util.h"

enum {
    FLOWS = 4096,
    FLOWS_HOST = 512,
    FLOW_HOSTS = 64,
    FLOW_BUCKETS = 2048,
    FLOW_PORT = 20000,
    FLOW_SWEEP = 4, /* looked at for age at each new flow */
    FLOW_NONE = 0xffff
};
/* Seconds without a packet after which a flow has ended: RFC 5382 (established; else), 4787, 5508. */
enum { FLOW_TCP_OPEN = 7440, FLOW_TCP = 240, FLOW_TCP_RESET = 10, FLOW_UDP = 300, FLOW_ICMP = 60 };

struct flow_key {
    uint32_t remote;
    uint16_t remote_port, port; /* ICMP: 0, the identifier */
    uint8_t host, protocol;
    bool relay; /* the remote is shown as the gateway's own address */
};

struct flow {
    struct flow_key key;
    bool used;
    uint8_t tcp; /* what was seen of it */
    uint16_t chain; /* the next of the bucket, or of the free ones */
    uint16_t older, newer; /* of the host's */
    uint32_t seen; /* seconds */
};

struct flow_table {
    uint64_t secret; /* odd */
    uint16_t bucket[FLOW_BUCKETS];
    uint16_t oldest[FLOW_HOSTS], newest[FLOW_HOSTS], count[FLOW_HOSTS];
    uint16_t free_first, free_last, sweep;
    struct flow flow[FLOWS];
};

void flow_init(struct flow_table *t, uint64_t secret);
/* The flow of what goes out, made if there is none and make is set. NULL: none, or no room. */
struct flow *flow_out(struct flow_table *t, const struct flow_key *key, bool make, uint32_t now);
/* The flow of what comes in for an outer port, from whom it speaks with. */
struct flow *flow_in(struct flow_table *t, uint16_t outer_port, uint8_t protocol, uint32_t remote,
                     uint16_t remote_port, uint32_t now);
/* As flow_out (NULL if there is none) and flow_in, of a packet that somebody speaks of: that keeps no flow alive. (RFC 5508, 4.3) */
const struct flow *flow_told_out(const struct flow_table *t, const struct flow_key *key,
                                 uint32_t now);
const struct flow *flow_told_in(const struct flow_table *t, uint16_t outer_port, uint8_t protocol,
                                uint32_t remote, uint16_t remote_port, uint32_t now);
uint16_t flow_outer_port(const struct flow_table *t, const struct flow *f);
/* TCP's flags of a packet of it. */
void flow_tcp(struct flow *f, uint8_t flags, bool out);
/* The host is gone. */
void flow_forget(struct flow_table *t, unsigned host);
