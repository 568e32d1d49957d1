// SPDX-License-Identifier: BSD-2-Clause
// What is behind the switch's own port, by its mode: the uplink (bridge.c), or a gateway that translates (nat.c).
//
// It is plugged in like a card, by the switch itself, when it is made or its mode is changed, and taken out when that goes.
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
    void (*describe)(struct net_backend *net, struct switch_info *info);
    /* Optional. net takes over from one of the same mode, which it is about to replace, what was set or given there. */
    void (*inherit)(struct net_backend *net, struct net_backend *old);
    /* Optional, of a NAT: as the functions of switch.h. */
    bool (*next_lease)(struct net_backend *net, unsigned *cursor, struct switch_lease *out);
    bool (*get_forward)(struct net_backend *net, unsigned i, struct nat_forward *out,
                        uint32_t *address);
    int (*forward_add)(struct net_backend *net, const struct nat_forward *w, uint32_t address,
                       const char **why);
    int (*forward_remove)(struct net_backend *net, uint8_t protocol, uint16_t port,
                          const char **why);
};
extern const struct inside inside_bridge, inside_nat;
