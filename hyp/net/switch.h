// SPDX-License-Identifier: BSD-2-Clause
// Virtual switches: each joins the network cards that are plugged into its ports, by their addresses.
//
// A frame is forwarded by who sends it, on the sender's time, before send returns; nothing is queued, allocated or waited
// for. A switch is made when the first card is plugged in, and goes with the last one.
// Invariants: a port is used by others only while it counts them (users), and closing it waits for none; a guest's frame goes
// to no port but the one its address is behind; for many, to all others; for nobody known, to those others that may have
// unknown addresses behind them (any_mac).
// Lock rank: LOCK_SWITCH, for ports and addresses; not held while a card receives. Callers: vm (open), network cards,
// ctl (what there is, and settings).
#pragma once
#include "vdev/backend.h"

enum { VM_CARDS = 3 }; /* that a VM may have */
enum { SWITCH_NAME = 16, SWITCHES = 16, SWITCH_PORTS = 64, PORT_NAME_MAX = 40 };
enum switch_mode { SWITCH_INTERNAL, SWITCH_BRIDGE, SWITCH_NAT, SWITCH_MODES };
enum { PORT_RATE_MIN = 4096 }; /* bytes a second, of a port that has a limit */
enum { NAT_FORWARDS = 8, NAT_PREFIX_MAX = 25 }; /* of a subnet: room for all ports */

/* What comes to a port of the outer address goes to a card: "VM.N". */
struct nat_forward {
    uint8_t protocol; /* IP_TCP, IP_UDP */
    uint16_t port, to_port;
    char to[PORT_NAME_MAX];
};

/* Zeroed but for what is said: two are of one switch when they have the same bytes. What NAT needs is there in every mode,
 * as the mode may be changed. */
struct switch_config {
    char name[SWITCH_NAME];
    enum switch_mode mode;
    uint16_t mtu;
    /* NAT; addresses as numbers */
    uint8_t prefix, outer_prefix; /* bits */
    uint32_t subnet; /* inside */
    uint32_t address, router,
        dns; /* on the uplink; address 0: by DHCP; dns 0: what DHCP says, or none */
    unsigned forwards;
    struct nat_forward forward[NAT_FORWARDS];
};
/* What a NAT has unless told otherwise. */
static inline void nat_defaults(struct switch_config *c)
{
    c->subnet = 0x0a4d0000; /* 10.77.0.0 */
    c->prefix = 24;
}
static inline uint32_t nat_mask(uint8_t prefix) { return prefix ? ~0u << (32 - prefix) : 0; }
/* What is to be changed of one: each that has_ says. */
struct switch_change {
    bool has_mode, has_subnet, has_address, has_router, has_dns;
    enum switch_mode mode;
    uint8_t prefix, outer_prefix;
    uint32_t subnet, address, router,
        dns; /* as switch_config's; address 0 takes the router along */
};
/* switch_config.c */
void switch_config_change(struct switch_config *to, const struct switch_change *c);
/* Why a NAT cannot be so, in a mode that is none too; NULL: it can. */
const char *switch_config_wrong(const struct switch_config *c);
struct nat_counts {
    uint64_t out, in, fragments, unknown, refused;
};

struct port_config {
    char name[PORT_NAME_MAX]; /* for people: "VM.N" */
    uint8_t mac[NET_MAC];
    bool isolated; /* exchanges no frames with other isolated ports */
    bool
        any_mac; /* frames from other addresses than the card's are let through, and it may take another */
    uint32_t rate; /* bytes a second that it may send, PORT_RATE_MIN or more; 0: no limit */
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

/* Copies of what there is, for commands. False: no such switch, port, or whatever. */
struct switch_info {
    struct switch_config config; /* as it is now */
    unsigned ports, learnt;
    bool uplink; /* its mode uses it */
    uint32_t address; /* ours on the uplink, 0: none */
    uint8_t prefix;
    unsigned flows, flow_limit;
    char inside[160]; /* how what is behind its own port is; empty: nothing to say */
};
struct port_info {
    struct port_config config;
    struct port_counts counts;
    uint64_t refused;
    bool link;
    bool own; /* the switch's, not a card's */
};
struct switch_mac {
    uint8_t mac[NET_MAC];
    char port[PORT_NAME_MAX];
    bool fixed; /* given to a card, not learnt */
};
/* An address that a NAT's gateway has given to a card, when it was asked. */
struct switch_lease {
    uint32_t address;
    uint8_t mac[NET_MAC];
    char port[PORT_NAME_MAX];
    uint32_t seconds; /* that are left */
};
bool switch_get(unsigned n, struct switch_info *info);
bool switch_get_port(unsigned n, unsigned port, struct port_info *info);
/* The next one at or after *cursor, which goes on behind it; begins at 0. */
bool switch_next_mac(unsigned n, unsigned *cursor, struct switch_mac *out);
bool switch_next_lease(unsigned n, unsigned *cursor, struct switch_lease *out);
/* The ith forward; *address: of the card that it goes to now, 0: there is none. */
bool switch_get_forward(unsigned n, unsigned i, struct nat_forward *out, uint32_t *address);

/* ---- settings, from threads, no locks held. 0, or negative errno with *why, and nothing is changed ---- */

/* A cable is pulled, or put in again. -ENOENT: no port has this name. */
int switch_set_link(const char *port, bool up) MUST_CHECK;
/* A card's rate (0: no limit) and isolation, each unless NULL. -ENOENT: no card's port has this name. */
int switch_set_port(const char *port, const uint32_t *rate, const bool *isolated) MUST_CHECK;
struct capture;
/* A capture takes the frames of a card's port from now on, or ("") all of the machine's network card. -ENOENT; -EBUSY: another one does. */
int switch_capture(const char *port, struct capture *c) MUST_CHECK;
/* No more; it is ended. */
void switch_uncapture(struct capture *c);
/* Mode and a NAT's addresses, at once. Forwards that were added stay with a NAT that remains one, and go with one that does not;
 * those of the bundles come back with the next. -EBUSY: a card has an address by DHCP of the subnet that is to be another. */
int switch_set(const char *name, const struct switch_change *c, const char **why) MUST_CHECK;
/* w->to: a port "VM.N" of this switch, or a VM (its first card there); empty: whose card has the address. */
int switch_forward_add(const char *name, const struct nat_forward *w, uint32_t address,
                       const char **why) MUST_CHECK;
int switch_forward_remove(const char *name, uint8_t protocol, uint16_t port,
                          const char **why) MUST_CHECK;
