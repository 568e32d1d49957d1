// SPDX-License-Identifier: BSD-2-Clause
// Between the files of the NAT mode only.
//   nat.c           what comes from inside and from the uplink, and where it goes
//   nat_life.c      begin and end; the cards inside
//   nat_outer.c     the outer address: given, or by DHCP
//   nat_neighbour.c who is on the uplink
//   nat_forward.c   ports of the outer address that go to cards
//   nat_flow.c      flows
//   nat_fragment.c  packets in pieces
//   nat_error.c     ICMP errors, which speak of other packets
//   nat_rewrite.c   addresses, ports and checksums in headers
//   nat_service.c   what the gateway answers itself: ARP, ICMP echo, DHCP
//
// Inside is a subnet: address 1 + n is the card at port n, the gateway at port 0; so that nobody can take many or another's. Only IPv4
// without VLAN tags goes through.
// Lock rank: nat.lock is LOCK_SWITCH, held while tables are looked at, never while anything is sent.
#pragma once
#include "base/arch.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "net/bucket.h"
#include "net/dhcp_client.h"
#include "net/inside.h"
#include "net/mactable.h"
#include "net/nat_flow.h"
#include "net/packet.h"
#include "sched/timer.h"

enum { NAT_ERRORS_RATE = 100, NAT_ERRORS_BURST = 20 }; /* a second, of each bucket */
enum { NAT_FRAGMENTED = 4 }; /* packets in pieces that a host may have under way, each way */
enum { /* types that the NAT knows */
       ICMP_ECHO_REPLY = 0,
       ICMP_UNREACHABLE = 3,
       ICMP_ECHO = 8,
       ICMP_EXCEEDED = 11,
       ICMP_PARAMETER = 12
};
static inline bool icmp_is_error(uint8_t type)
{
    return type == ICMP_UNREACHABLE || type == ICMP_EXCEEDED || type == ICMP_PARAMETER;
}
enum { NAT_NEIGHBOURS = 16, NAT_FIRST_HOST = 1, NAT_FORWARDS_MOST = 32 };
/* From the beginning of the frame. */
enum {
    ARP_SENDER_MAC = NET_ETHERNET + 8,
    ARP_SENDER = NET_ETHERNET + 14,
    ARP_END = NET_ETHERNET + 28
};

struct nat {
    struct switch_config config;
    struct net_backend *net; /* inside */
    struct spinlock lock;
    uint8_t mac[NET_MAC]; /* on the uplink */
    uint32_t inside, inside_mask; /* the gateway's address inside */
    uint32_t outer, outer_mask, router, dns; /* outer 0: none yet */
    bool by_dhcp, ending;
    bool news; /* that people have not been told of: client */
    enum dhcp_event event;
    struct dhcp_client client;
    struct log_limit log; /* of lines that who is on the uplink can provoke */
    struct timer timer; /* the client's */
    struct bucket errors; /* ICMP, that we send outside: RFC 1812, 4.3.2.8 */
    struct nat_host {
        bool used;
        uint8_t mac[NET_MAC];
        char name[PORT_NAME_MAX];
        struct bucket errors; /* ICMP, that we send to it */
        uint32_t leased; /* seconds when it was last told its address by DHCP; 0: never */
    } host[SWITCH_PORTS];
    struct nat_forward forward[NAT_FORWARDS_MOST]; /* in no order */
    unsigned forwards;
    struct nat_neighbour {
        uint32_t address; /* 0: free */
        uint8_t mac[NET_MAC];
        bool known;
        uint32_t asked, seen; /* seconds */
    } neighbour[NAT_NEIGHBOURS]; /* on the uplink */
    unsigned next_neighbour;
    struct nat_counts counts;
    struct nat_fragments {
        struct nat_fragment {
            uint32_t remote, shown; /* who is outside; as whom he is shown inside */
            uint16_t id, new_id; /* as sent, and as passed on */
            uint8_t protocol; /* 0: free */
            uint32_t seen; /* seconds */
        } one[NAT_FRAGMENTED];
        uint8_t next; /* to be used */
    } out[SWITCH_PORTS], in[SWITCH_PORTS]; /* by host */
    uint16_t next_id;
    struct flow_table flows;
};

/* A packet on its way: its head is a copy, which is changed; the rest stays where it is. */
enum nat_way { NAT_DROP, NAT_OUT, NAT_IN };
struct nat_packet {
    struct net_frame frame;
    struct packet at;
    _Alignas(8) uint8_t room[NET_HEADROOM]; /* of the head; the other of whole */
    uint8_t head[NET_HEAD];
    uint8_t room_of_whole[NET_HEADROOM];
    uint8_t whole[600]; /* an answer of the gateway's own that is longer than a head */
};

static inline uint32_t nat_host_address(const struct nat *n, unsigned host)
{
    return (n->inside & n->inside_mask) + NAT_FIRST_HOST + host;
}

static inline uint32_t nat_seconds(void)
{
    return timer_hz ? (uint32_t)(arch_time() / timer_hz) : 0;
}

/* nat.c. As the port's receive, and for the uplink. */
enum net_fate nat_from_inside(void *device, const struct net_frame *f);
void nat_from_uplink(void *ctx, struct net_frame *f);

/* One that hosts beyond the gateway can have: neighbours inside reach each other without us; groups, this host, nobody. */
bool nat_is_beyond(const struct nat *n, uint32_t address);
/* With no lock held. */
void nat_send_on(struct nat *n, struct nat_packet *p, enum nat_way way);

/* nat_outer.c. */
void nat_outer_begin(struct nat *n);
void nat_outer_end(struct nat *n); /* no locks held; waits */
/* A packet from the uplink, if it is for our DHCP client; *way: what is to be done with p, which then is its answer. */
bool nat_outer_takes(struct nat *n, struct nat_packet *p, enum nat_way *way);
/* With no lock held: tells people what came of it. */
void nat_outer_tell(struct nat *n);

/* nat_neighbour.c. The packet's next hop: NAT_OUT with the packet addressed, or become a question for the address. */
enum nat_way nat_to_neighbour(struct nat *n, struct nat_packet *p, uint32_t address);
/* From an ARP message of somebody whom we know of. */
void nat_learn_neighbour(struct nat *n, const struct nat_packet *p);

/* nat_forward.c. nat.lock is held by the caller of the first two; NULL: there is none, or nobody that it could go to. */
const struct nat_forward *nat_forward_out(const struct nat *n, unsigned host, uint8_t protocol,
                                          uint16_t port);
const struct nat_forward *nat_forward_in(const struct nat *n, uint8_t protocol, uint16_t port,
                                         unsigned *host);
/* One of a bundle: its card may come later. */
int nat_forward_take(struct nat *n, const struct nat_forward *w, const char **why) MUST_CHECK;
/* As the functions of switch.h. */
int nat_forward_add(struct net_backend *net, const struct nat_forward *w, uint32_t address,
                    const char **why);
int nat_forward_remove(struct net_backend *net, uint8_t protocol, uint16_t port, const char **why);
bool nat_get_forward(struct net_backend *net, unsigned i, struct nat_forward *out,
                     uint32_t *address);

/* nat_fragment.c. The first fragment of a packet has gone through: what follows will too. */
void nat_fragment_out(struct nat *n, struct nat_packet *p, unsigned host, uint32_t remote);
void nat_fragment_in(struct nat *n, unsigned host, const struct nat_fragment *what);
/* A later one: NAT_DROP, and counted, without the first. */
enum nat_way nat_fragment_more_out(struct nat *n, struct nat_packet *p, unsigned host);
enum nat_way nat_fragment_more_in(struct nat *n, struct nat_packet *p);

/* nat_error.c. An ICMP error from the uplink, or from a card, in which nat_ports found a header. */
enum nat_way nat_error_in(struct nat *n, struct nat_packet *p);
enum nat_way nat_error_out(struct nat *n, struct nat_packet *p, unsigned host);
/* The packet's time has come: its sender, a card or somebody outside, is told, if not too often. */
enum nat_way nat_error_exceeded_in(struct nat *n, struct nat_packet *p, unsigned host);
enum nat_way nat_error_exceeded_out(struct nat *n, struct nat_packet *p);

/* nat_rewrite.c. Changes of what a checksum covers. (RFC 1624, equation 3) */
void rewrite_from(struct nat_packet *p, uint32_t address, uint16_t port);
void rewrite_to(struct nat_packet *p, uint32_t address, uint16_t port);
/* The address alone (at IP4_FROM or IP4_TO), as of a fragment without ports; its identification. */
void rewrite_address(struct nat_packet *p, unsigned at, uint32_t address);
void rewrite_id(struct nat_packet *p, uint16_t id);
/* False: its time has come. */
bool rewrite_ttl(struct nat_packet *p);
void rewrite_ethernet(struct nat_packet *p, const uint8_t to[NET_MAC], const uint8_t from[NET_MAC]);
/* An ICMP error goes to who sent the packet that it quotes, from this address and port, or comes from whom that went to. The quote
 * is whole up to its ports. */
void rewrite_error_in(struct nat_packet *p, uint32_t address, uint16_t port);
void rewrite_error_out(struct nat_packet *p, uint32_t address, uint16_t port);
/* Ports, or an echo's identifier: false when the head has them not. */
bool nat_ports(const struct nat_packet *p, uint16_t *from, uint16_t *to);

enum { NAT_LEASE = 86400 }; /* seconds */

/* nat_service.c. An answer in place of the packet: to be sent back where it came from. */
bool service_echo(struct nat_packet *p);
/* An ARP request for one of our addresses; an ARP request of our own. */
bool service_arp(struct nat_packet *p, uint32_t own, const uint8_t mac[NET_MAC]);
void service_ask(struct nat_packet *p, uint32_t own, const uint8_t mac[NET_MAC], uint32_t who);
/* An ICMP error: its time has come. own: our address on that side. */
bool service_exceeded(struct nat_packet *p, uint32_t own);
/* A packet around the len bytes that are at p->whole + NAT_UDP_DATA, for all. */
enum { NAT_UDP_DATA = NET_ETHERNET + IP4_HEADER + UDP_HEADER };
struct nat_udp {
    uint32_t from, to;
    uint16_t from_port, to_port;
};
void service_udp(struct nat_packet *p, const uint8_t mac[NET_MAC], const struct nat_udp *u,
                 uint32_t len);
/* DHCP from the card at port host. */
bool service_dhcp(struct nat *n, struct nat_packet *p, unsigned host);
