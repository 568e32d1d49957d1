// SPDX-License-Identifier: BSD-2-Clause
// What a NAT's gateway answers itself. (ARP: RFC 826; ICMP: RFC 792; DHCP: RFC 2131, 2132)
#include <string.h>

#include "net/dhcp.h"
#include "net/nat.h"
#include "net/offload.h"

enum { /* ARP, from the Ethernet header's end */
       ARP_OPERATION = 6,
       ARP_FROM_MAC = 8,
       ARP_FROM = 14,
       ARP_TO_MAC = 18,
       ARP_TO = 24,
       ARP_LEN = 28,
       ARP_REQUEST = 1,
       ARP_REPLY = 2
};
enum { ICMP_SUM = 2, ICMP_HEADER = 8 };
enum { EXCEEDED_MOST = 576 }; /* bytes of the packet (RFC 1812, 4.3.2.3) */
static const uint8_t arp_ethernet_ip[ARP_OPERATION] = {0, 1, 8, 0, 6, 4};
static const uint8_t broadcast[NET_MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* The answer is the head alone. */
static void only_head(struct nat_packet *p, uint32_t len)
{
    p->frame = (struct net_frame){.head = p->head, .head_len = len, .len = len};
}

/* ---- ARP ---- */

static void put_arp(struct nat_packet *p, uint16_t operation, const uint8_t mac[NET_MAC],
                    uint32_t own, const uint8_t to_mac[NET_MAC], uint32_t to)
{
    uint8_t *arp = p->head + NET_ETHERNET;

    memcpy(p->head + NET_MAC, mac, NET_MAC);
    put16(p->head + 12, ETH_ARP);
    memcpy(arp, arp_ethernet_ip, sizeof(arp_ethernet_ip));
    put16(arp + ARP_OPERATION, operation);
    memcpy(arp + ARP_FROM_MAC, mac, NET_MAC);
    put32(arp + ARP_FROM, own);
    memmove(arp + ARP_TO_MAC, to_mac, NET_MAC);
    put32(arp + ARP_TO, to);
    only_head(p, NET_ETHERNET + ARP_LEN);
}

bool service_arp(struct nat_packet *p, uint32_t own, const uint8_t mac[NET_MAC])
{
    const uint8_t *arp = p->head + NET_ETHERNET;
    uint8_t to_mac[NET_MAC];
    uint32_t to;

    if (p->frame.head_len < NET_ETHERNET + ARP_LEN ||
        memcmp(arp, arp_ethernet_ip, sizeof(arp_ethernet_ip)) ||
        get16(arp + ARP_OPERATION) != ARP_REQUEST || get32(arp + ARP_TO) != own)
        return false;
    memcpy(to_mac, arp + ARP_FROM_MAC, NET_MAC);
    to = get32(arp + ARP_FROM);
    memcpy(p->head, to_mac, NET_MAC);
    put_arp(p, ARP_REPLY, mac, own, to_mac, to);
    return true;
}

void service_ask(struct nat_packet *p, uint32_t own, const uint8_t mac[NET_MAC], uint32_t who)
{
    static const uint8_t unknown[NET_MAC];

    memcpy(p->head, broadcast, NET_MAC);
    put_arp(p, ARP_REQUEST, mac, own, unknown, who);
}

/* ---- ICMP ---- */

bool service_echo(struct nat_packet *p)
{
    uint8_t *ip = p->head + p->at.ip, *icmp = p->head + p->at.transport;
    uint8_t from[NET_MAC], to[NET_MAC];
    uint32_t source = get32(ip + IP4_FROM), sum;

    /* What came to a group has no address that the answer could be from. */
    if (p->at.protocol != IP_ICMP || p->at.fragment || p->at.transport + 8u > p->frame.head_len ||
        icmp[0] != ICMP_ECHO || icmp[1] || mac_is_group(p->head))
        return false;
    icmp[0] = 0;
    sum = get16(icmp + ICMP_SUM) + (uint32_t)(ICMP_ECHO << 8); /* a word that became so much less */
    put16(icmp + ICMP_SUM, (uint16_t)((sum & 0xffff) + (sum >> 16)));
    /* The checksum of the header does not mind that the addresses change places. */
    put32(ip + IP4_FROM, get32(ip + IP4_TO));
    put32(ip + IP4_TO, source);
    memcpy(from, p->head + NET_MAC, NET_MAC);
    memcpy(to, p->head, NET_MAC);
    rewrite_ethernet(p, from, to);
    return true;
}

bool service_exceeded(struct nat_packet *p, uint32_t own)
{
    uint8_t *ip = p->whole + NET_ETHERNET, *icmp = ip + IP4_HEADER;
    uint32_t to = get32(p->head + p->at.ip + IP4_FROM), len = p->at.end - p->at.ip;
    uint8_t to_mac[NET_MAC], from_mac[NET_MAC];

    /* RFC 1122, 3.2.2: never about errors, what was for many, or a fragment but the first. */
    if (!p->at.transport || mac_is_group(p->head) || !to || to >> 28 >= 14 ||
        (p->at.protocol == IP_ICMP && p->head[p->at.transport] != ICMP_ECHO))
        return false;
    len = (uint32_t)min_u64(len, EXCEEDED_MOST - IP4_HEADER - ICMP_HEADER);
    memcpy(to_mac, p->head + NET_MAC, NET_MAC);
    memcpy(from_mac, p->head, NET_MAC);
    if (offload_read(&p->frame, p->at.ip, icmp + ICMP_HEADER, len))
        return false;
    memset(p->whole, 0, NET_ETHERNET + IP4_HEADER + ICMP_HEADER);
    memcpy(p->whole, to_mac, NET_MAC);
    memcpy(p->whole + NET_MAC, from_mac, NET_MAC);
    put16(p->whole + 12, ETH_IPV4);
    ip[0] = 0x45;
    put16(ip + IP4_TOTAL, (uint16_t)(IP4_HEADER + ICMP_HEADER + len));
    ip[8] = 64;
    ip[9] = IP_ICMP;
    put32(ip + IP4_FROM, own);
    put32(ip + IP4_TO, to);
    sum_put(ip + IP4_SUM, sum_add(0, ip, IP4_HEADER));
    icmp[0] = ICMP_EXCEEDED;
    sum_put(icmp + ICMP_SUM, sum_add(0, icmp, ICMP_HEADER + len));
    len += NET_ETHERNET + IP4_HEADER + ICMP_HEADER;
    p->frame = (struct net_frame){
        .head = p->whole, .head_len = (uint32_t)min_u64(len, NET_HEAD), .len = len};
    return true;
}

/* ---- DHCP ---- */

/* What the message asks for: what it is answered by, or 0. */
static uint8_t answer_type(const struct nat *n, const uint8_t *m, uint32_t size, uint32_t yours)
{
    const uint8_t *type = dhcp_find(m, size, DHCP_OPTION_TYPE, 1);
    const uint8_t *server = dhcp_find(m, size, DHCP_OPTION_SERVER, 4);
    const uint8_t *wanted = dhcp_find(m, size, DHCP_OPTION_ADDRESS, 4);
    uint32_t address = wanted ? get32(wanted) : get32(m + DHCP_CLIENT);

    if (m[DHCP_OP] != DHCP_ASKS || get32(m + DHCP_MAGIC) != DHCP_COOKIE || !type)
        return 0;
    if (server && get32(server) != n->inside)
        return 0; /* another server's business */
    if (*type == DHCP_DISCOVER)
        return DHCP_OFFER;
    if (*type == DHCP_INFORM)
        return DHCP_ACK;
    if (*type != DHCP_REQUEST)
        return 0;
    return address == yours ? DHCP_ACK : DHCP_NAK;
}

static uint32_t put_options(const struct nat *n, uint8_t *m, uint8_t type)
{
    uint8_t *to = m + DHCP_OPTIONS;

    put32(m + DHCP_MAGIC, DHCP_COOKIE);
    to = dhcp_put(to, DHCP_OPTION_TYPE, 1, type);
    to = dhcp_put(to, DHCP_OPTION_SERVER, 4, n->inside);
    if (type != DHCP_NAK) {
        to = dhcp_put(to, DHCP_OPTION_LEASE, 4, NAT_LEASE);
        to = dhcp_put(to, DHCP_OPTION_MASK, 4, n->inside_mask);
        to = dhcp_put(to, DHCP_OPTION_ROUTER, 4, n->inside);
        to = dhcp_put(to, DHCP_OPTION_DNS, 4, n->inside);
        to = dhcp_put(to, DHCP_OPTION_MTU, 2, n->config.mtu);
    }
    *to++ = DHCP_OPTION_END;
    return (uint32_t)max_u64((uint64_t)(to - m), DHCP_LEAST);
}

void service_udp(struct nat_packet *p, const uint8_t mac[NET_MAC], const struct nat_udp *u,
                 uint32_t len)
{
    uint8_t *ip = p->whole + NET_ETHERNET, *udp = ip + IP4_HEADER;

    memset(p->whole, 0, NAT_UDP_DATA);
    memcpy(p->whole, broadcast, NET_MAC);
    memcpy(p->whole + NET_MAC, mac, NET_MAC);
    put16(p->whole + 12, ETH_IPV4);
    ip[0] = 0x45;
    put16(ip + IP4_TOTAL, (uint16_t)(IP4_HEADER + UDP_HEADER + len));
    ip[8] = 64;
    ip[9] = IP_UDP;
    put32(ip + IP4_FROM, u->from);
    put32(ip + IP4_TO, u->to);
    sum_put(ip + IP4_SUM, sum_add(0, ip, IP4_HEADER));
    put16(udp, u->from_port);
    put16(udp + 2, u->to_port);
    put16(udp + 4, (uint16_t)(UDP_HEADER + len));
    p->frame =
        (struct net_frame){.head = p->whole, .head_len = NET_HEAD, .len = NAT_UDP_DATA + len};
}

bool service_dhcp(struct nat *n, struct nat_packet *p, unsigned host)
{
    uint8_t m[DHCP_MOST], *reply = p->whole + NAT_UDP_DATA, type;
    uint32_t at = p->at.transport + (uint32_t)UDP_HEADER, size, yours = nat_host_address(n, host);
    uint32_t client, len;

    if (p->at.end < at + DHCP_OPTIONS)
        return false;
    size = (uint32_t)min_u64(p->at.end - at, sizeof(m));
    if (offload_read(&p->frame, at, m, size))
        return false;
    type = answer_type(n, m, size, yours);
    if (!type)
        return false;
    if (type == DHCP_ACK)
        n->host[host].leased = (uint32_t)max_u64(nat_seconds(), 1);
    memset(p->whole, 0, sizeof(p->whole));
    reply[DHCP_OP] = DHCP_ANSWERS;
    reply[DHCP_HARDWARE] = DHCP_ETHERNET;
    reply[DHCP_HARDWARE_LEN] = NET_MAC;
    client = type == DHCP_NAK ? 0 : get32(m + DHCP_CLIENT);
    memcpy(reply + DHCP_XID, m + DHCP_XID, 4);
    memcpy(reply + DHCP_FLAGS, m + DHCP_FLAGS, 2);
    put32(reply + DHCP_CLIENT, client);
    put32(reply + DHCP_YOURS,
          type == DHCP_NAK || *dhcp_find(m, size, DHCP_OPTION_TYPE, 1) == DHCP_INFORM ? 0 : yours);
    put32(reply + DHCP_SERVER, n->inside);
    memcpy(reply + DHCP_MAC, m + DHCP_MAC, DHCP_MAC_FIELD);
    len = put_options(n, reply, type);
    /* RFC 2131, 4.1: to who has no address yet by its card's, unless it asks for a broadcast. */
    service_udp(p, n->net->mac,
                &(struct nat_udp){.from = n->inside,
                                  .to = client ? client : 0xffffffff,
                                  .from_port = DHCP_SERVER_PORT,
                                  .to_port = DHCP_CLIENT_PORT},
                len);
    memcpy(p->whole, p->head + NET_MAC, NET_MAC);
    return true;
}
