// SPDX-License-Identifier: BSD-2-Clause
// Virtual switches: each joins the network cards that are plugged into its ports, by their addresses.
//
// A frame is forwarded by who sends it, on the sender's time, before send returns; nothing is queued, allocated or waited
// for. A switch is made when the first card is plugged in, and goes with the last one.
// Invariants: a port is used by others only while it counts them (users), and closing it waits for none; a guest's frame goes
// to no port but the one its address is behind; for many, to all others; for nobody known, to those others that may have
// unknown addresses behind them (any_mac).
// Lock rank: LOCK_SWITCH, for ports and addresses; not held while a card receives. Callers: vm (open), network cards,
// ctl (what is there).
#pragma once
#include "vdev/backend.h"

enum { SWITCH_NAME = 16, SWITCHES = 16, SWITCH_PORTS = 64, PORT_NAME_MAX = 40 };
enum switch_mode { SWITCH_INTERNAL, SWITCH_BRIDGE, SWITCH_NAT, SWITCH_MODES };
enum { NAT_FORWARDS = 8, NAT_PREFIX_MAX = 25 }; /* of a subnet: room for all ports */

/* What comes to a port of the outer address goes to a card: "VM.N". */
struct nat_forward {
    uint8_t protocol; /* IP_TCP, IP_UDP */
    uint16_t port, to_port;
    char to[PORT_NAME_MAX];
};

/* Zeroed but for what is said: two are of one switch when they have the same bytes. */
struct switch_config {
    char name[SWITCH_NAME];
    enum switch_mode mode;
    uint16_t mtu;
    /* NAT; addresses as numbers */
    uint8_t prefix, outer_prefix; /* bits */
    uint32_t subnet; /* inside */
    uint32_t address, router, dns; /* on the uplink; dns 0: none */
    unsigned forwards;
    struct nat_forward forward[NAT_FORWARDS];
};
static inline uint32_t nat_mask(uint8_t prefix) { return prefix ? ~0u << (32 - prefix) : 0; }
struct nat_counts {
    uint64_t out, in, fragments, unknown, refused;
};

struct port_config {
    char name[PORT_NAME_MAX]; /* for people: "VM.N" */
    uint8_t mac[NET_MAC];
    bool isolated; /* exchanges no frames with other isolated ports */
    bool
        any_mac; /* frames from other addresses than the card's are let through, and it may take another */
    uint32_t rate; /* bytes a second that it may send; 0: no limit */
};

/* What a port has counted: of the guest, "sent" by it. */
struct port_counts {
    uint64_t sent, sent_bytes, got, got_bytes;
    uint64_t
        spoofed; /* from an address that is not its own, or is none: Ethernet's, or IPv4's where that is given */
    uint64_t limited; /* beyond its rate, or that of frames for all */
    uint64_t too_long;
    uint64_t full; /* for it, and there was no buffer */
    uint64_t down; /* for it, and no driver or no link; or from it without one */
};

/* "internal", "bridge", "nat"; NULL: there is no such mode. */
const char *switch_mode_name(unsigned mode);

/* Plugs a card into the switch of this name, which is made if there is none. *out is closed by its own close. 0; -EEXIST
 * (the address is in use there), -EINVAL (a switch of this name is there, and another kind), -ENOSPC, -ENOMEM, -ENODEV (its
 * mode needs what the machine lacks); *why. Waits: no locks held. */
int switch_open(const struct switch_config *config, const struct port_config *port,
                struct net_backend **out, const char **why) MUST_CHECK;

/* Copies of what there is, for people. False: no such switch, or port. */
struct switch_info {
    struct switch_config config;
    unsigned ports, learnt;
    char inside[160]; /* how what is behind its own port is; empty: nothing to say */
};
struct port_info {
    struct port_config config;
    struct port_counts counts;
    uint64_t refused;
    bool link;
};
bool switch_get(unsigned n, struct switch_info *info);
bool switch_get_port(unsigned n, unsigned port, struct port_info *info);
/* A cable is pulled, or put in again. -ENOENT: no port has this name. From threads, no locks held. */
int switch_set_link(const char *port, bool up) MUST_CHECK;
