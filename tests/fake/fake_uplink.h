// SPDX-License-Identifier: BSD-2-Clause
// The host's network card, with room for one user, or two while one takes the other's place, for unit tests and fuzzers of hyp/net. Link: tests/fake/fake_uplink.c.
#pragma once
#include "drv/uplink.h"

struct fake_uplink {
    void (*fn)(void *ctx, struct net_frame *f); /* its user's; NULL: it has none */
    void *ctx;
    void (*older_fn)(void *ctx, struct net_frame *f); /* of two, who came first */
    void *older_ctx;
    void (*tap)(const struct net_frame *f, bool sent);
    void (*on_send)(const struct net_frame *f); /* sees what is sent; the test's, NULL: nobody */
    unsigned sent; /* since it was opened */
    uint16_t mtu;
    bool absent, full, spare; /* spare: there is room for a second one */
};

extern struct fake_uplink fake_uplink;
extern const uint8_t fake_uplink_mac[NET_MAC];
