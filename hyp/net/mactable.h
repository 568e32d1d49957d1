// SPDX-License-Identifier: BSD-2-Clause
// Which port an Ethernet address is behind, as learnt from the frames that came from it.
//
// Sets of MACTABLE_WAYS entries, chosen by a hash with a secret. Invariants: a port has at most MACTABLE_PORT learnt
// entries, so it cannot fill the table; it takes no other port's entry unless that is older than MACTABLE_AGE, or the
// address itself has moved; and a fixed entry, the address that a card was given, never moves. What is not learnt is
// flooded, no more.
// Pure. Lock rank: none of its own; the switch's lock. Callers: switch.c.
#pragma once
#include "vdev/backend.h"

enum {
    MACTABLE_SETS = 64,
    MACTABLE_WAYS = 8,
    MACTABLE_PORTS = 64,
    MACTABLE_PORT = 32, /* learnt addresses of one port */
    MACTABLE_AGE = 300, /* seconds */
    MACTABLE_NONE = -1
};

struct mac_entry {
    uint64_t mac; /* 0: free */
    uint32_t seen; /* seconds */
    uint8_t port;
    bool fixed;
};

struct mactable {
    uint64_t secret; /* odd */
    uint8_t learnt[MACTABLE_PORTS];
    struct mac_entry entry[MACTABLE_SETS][MACTABLE_WAYS];
};

static inline uint64_t mac_value(const uint8_t mac[NET_MAC])
{
    uint64_t v = 0;

    for (unsigned i = 0; i < NET_MAC; i++)
        v = v << 8 | mac[i];
    return v;
}
static inline void mac_bytes(uint64_t value, uint8_t mac[NET_MAC])
{
    for (unsigned i = 0; i < NET_MAC; i++)
        mac[i] = (uint8_t)(value >> (8 * (NET_MAC - 1 - i)));
}
static inline bool mac_is_group(const uint8_t mac[NET_MAC]) { return mac[0] & 1; }

void mactable_init(struct mactable *t, uint64_t secret);
/* The port, or MACTABLE_NONE. now: in seconds. */
int mactable_find(const struct mactable *t, uint64_t mac, uint32_t now);
/* A frame came from there. False: not learnt (full, the port has its share, or it is another's own). */
bool mactable_learn(struct mactable *t, uint64_t mac, unsigned port, uint32_t now);
/* The address that a card has. False: another card has it; or no room. */
bool mactable_fix(struct mactable *t, uint64_t mac, unsigned port);
/* Forgets the fixed entry of a port, or all of its entries. */
void mactable_unfix(struct mactable *t, uint64_t mac, unsigned port);
void mactable_forget(struct mactable *t, unsigned port);
