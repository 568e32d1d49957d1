// SPDX-License-Identifier: BSD-2-Clause
// What is behind the switch's own port, by its mode: the uplink (bridge.c), or a gateway that translates (nat.c).
//
// It is plugged in like a card, by the switch itself when it is made, and taken out when it goes.
// Lock rank: none of its own; receive runs with what a card's may. Callers: switch.c.
#pragma once
#include "net/switch.h"

struct inside {
    const char *name; /* of the mode */
    /* Plugs itself into net. 0, negative errno and *why. */
    int (*open)(const struct switch_config *config, struct net_backend *net, const char **why);
    /* net is off the switch: nothing is received any more; nothing is sent when this returns. */
    void (*close)(struct net_backend *net);
    /* Optional. Cards come and go; whether what one sends may enter the switch at all (LOCK_DEVICE and less held); how
     * it is, for people. */
    void (*joined)(struct net_backend *net, unsigned port, const struct port_config *config);
    void (*left)(struct net_backend *net, unsigned port);
    bool (*admits)(struct net_backend *net, unsigned port, const struct net_frame *f);
    void (*describe)(struct net_backend *net, char *to, size_t size);
};
extern const struct inside inside_bridge, inside_nat;
