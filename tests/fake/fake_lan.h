// SPDX-License-Identifier: BSD-2-Clause
// A NAT with what is around it, for unit tests of hyp/net/nat*: three cards inside, outside a router on the host's network card.
// What is sent to either side is kept. Link: tests/fake/nat.units.
#pragma once
#include "fake_heap.h"
#include "fake_pkt.h"
#include "fake_timer.h"
#include "fake_uplink.h"
#include "net/nat.h"

enum { OUTSIDE, INSIDE }; /* the sides */

#define GATEWAY IP(10, 77, 0, 1)
#define HOST(n) (IP(10, 77, 0, 1) + (n)) /* of the card of port n, 1 to 3: vm1.0 to vm3.0 */
#define OUTER IP(10, 0, 2, 15)
#define ROUTER IP(10, 0, 2, 2)
#define DNS IP(10, 0, 2, 3)
#define FAR IP(192, 0, 2, 7) /* a machine behind the router */

extern const uint8_t lan_gateway_mac[NET_MAC], lan_router_mac[NET_MAC];
extern struct switch_config
    lan_config; /* of the next NAT: port 2222 of TCP goes to vm2.0, 5353 of UDP to vm1.0 */
extern struct net_backend lan_net;
extern struct lan_sent {
    uint8_t bytes[2048];
    uint32_t len;
    unsigned count; /* of all frames */
} lan_sent[2]; /* the last frame to either side */
extern uint8_t lan_frame[2048]; /* the one that lan_give sends */
extern uint32_t lan_frame_len;

/* Before and after each test. Before it the router's place is known, unless *state is set. After it nothing is left of the NAT. */
int lan_setup(void **state);
int lan_teardown(void **state);
const uint8_t *lan_host_mac(unsigned n);
/* lan_frame's Ethernet header. */
void lan_put_eth(const uint8_t *to, const uint8_t *from, uint16_t type);
/* lan_frame is an ARP message. */
void lan_arp(uint16_t operation, const uint8_t *from_mac, uint32_t from, uint32_t to);
/* lan_frame as it comes from a port, 0: from outside. */
struct net_frame lan_frame_of(unsigned port);
/* Sends lan_frame; how many frames go to a side then. */
unsigned lan_give(unsigned port, unsigned side);
/* The same of a packet from a card to the gateway's place, or from the router to the outer address. What is 0 of its
 * addresses is its sender's, or the outer one. */
unsigned lan_from_host(unsigned n, struct pkt k, unsigned side);
unsigned lan_from_far(struct pkt k, unsigned side);
/* Fails the test unless the last frame to a side is such a packet, with its checksums right. */
void lan_is(unsigned side, struct pkt k);
