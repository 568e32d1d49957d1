// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "net/nat.h"

enum { UDP_SUM = 6, ICMP_SUM = 2, ICMP_ID = 4, ICMP_QUOTE = 8 };

/* A checksum field after a 16-bit word that it covers became another. (RFC 1624, 3) */
static void sum_change(uint8_t *field, uint16_t was, uint16_t is)
{
    uint32_t sum = (uint16_t)~get16(field) + (uint32_t)(uint16_t)~was + is;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(field, (uint16_t)~sum);
}

static void change16(uint8_t *at, uint16_t is, uint8_t *sum)
{
    if (sum)
        sum_change(sum, get16(at), is);
    put16(at, is);
}

/* Of an address both its own header's checksum and the pseudo-header's (or NULL) speak. */
static void change_address(uint8_t *at, uint32_t is, uint8_t *sum, uint8_t *pseudo)
{
    for (unsigned i = 0; i < 2; i++) {
        uint16_t half = (uint16_t)(is >> (16 - 16 * i));

        if (pseudo)
            sum_change(pseudo, get16(at + 2 * i), half);
        change16(at + 2 * i, half, sum);
    }
}

/* Where the checksum over ports is; NULL: none (UDP may go without). */
static uint8_t *transport_sum(uint8_t *transport, uint8_t protocol)
{
    uint8_t *field;

    if (protocol == IP_TCP)
        return transport + TCP_SUM;
    if (protocol == IP_ICMP)
        return transport + ICMP_SUM;
    field = transport + UDP_SUM;
    return get16(field) ? field : NULL;
}

bool nat_ports(const struct nat_packet *p, uint16_t *from, uint16_t *to)
{
    const uint8_t *t = p->head + p->at.transport;
    uint32_t needs = p->at.protocol == IP_TCP ? TCP_HEADER : 8;

    if (!p->at.transport || p->at.transport + needs > p->frame.head_len ||
        p->at.transport + needs > p->at.end)
        return false;
    if (p->at.protocol == IP_ICMP) {
        *from = *to = get16(t + ICMP_ID);
        return true;
    }
    *from = get16(t);
    *to = get16(t + 2);
    return p->at.protocol == IP_TCP || p->at.protocol == IP_UDP;
}

static void rewrite(struct nat_packet *p, unsigned address_at, unsigned port_at, uint32_t address,
                    uint16_t port)
{
    uint8_t *ip = p->head + p->at.ip, *t = p->head + p->at.transport;
    uint8_t *sum = transport_sum(t, p->at.protocol);
    bool icmp = p->at.protocol == IP_ICMP;

    /* ICMP's checksum does not cover addresses. */
    change_address(ip + address_at, address, ip + IP4_SUM, icmp ? NULL : sum);
    change16(t + (icmp ? (unsigned)ICMP_ID : port_at), port, sum);
    /* RFC 768: a sum of 0 is sent as all ones. */
    if (p->at.protocol == IP_UDP && sum && !get16(sum))
        put16(sum, 0xffff);
}

void rewrite_from(struct nat_packet *p, uint32_t address, uint16_t port)
{
    rewrite(p, IP4_FROM, 0, address, port);
}

void rewrite_to(struct nat_packet *p, uint32_t address, uint16_t port)
{
    rewrite(p, IP4_TO, 2, address, port);
}

void rewrite_address(struct nat_packet *p, unsigned at, uint32_t address)
{
    uint8_t *ip = p->head + p->at.ip;

    change_address(ip + at, address, ip + IP4_SUM, NULL);
}

void rewrite_id(struct nat_packet *p, uint16_t id)
{
    uint8_t *ip = p->head + p->at.ip;

    change16(ip + IP4_ID, id, ip + IP4_SUM);
}

/* Of a region that a checksum covers, in the order of get16. */
static uint16_t sum_of(const uint8_t *p, uint32_t len)
{
    return __builtin_bswap16(sum_fold(sum_add(0, p, len)));
}

/* The checksum in a packet that an ICMP error quotes: NULL if the quote ends before it. */
static uint8_t *quoted_sum(const struct nat_packet *p, uint8_t *ports, uint8_t protocol)
{
    uint8_t *field = transport_sum(ports, protocol);
    uint64_t end = min_u64(p->frame.head_len, p->at.end);

    return field && field + 2 <= p->head + end ? field : NULL;
}

/* One end of the quoted packet: its address at from_to (IP4_FROM or IP4_TO), and its port. */
static void rewrite_quoted(struct nat_packet *p, unsigned from_to, uint32_t address, uint16_t port)
{
    uint8_t *icmp = p->head + p->at.transport;
    uint8_t *quote = icmp + ICMP_QUOTE, *ports = quote + 4u * (quote[0] & 15);
    uint8_t *inner = quoted_sum(p, ports, quote[9]);
    bool echo = quote[9] == IP_ICMP;
    uint32_t len = (uint32_t)(ports - quote) + (inner == ports + TCP_SUM ? TCP_HEADER : 8);
    uint16_t was = sum_of(quote, len);

    change_address(quote + from_to, address, quote + IP4_SUM, echo ? NULL : inner);
    change16(ports + (echo ? (unsigned)ICMP_ID : from_to == IP4_FROM ? 0 : 2), port, inner);
    sum_change(icmp + ICMP_SUM, was, sum_of(quote, len));
}

void rewrite_error_in(struct nat_packet *p, uint32_t address, uint16_t port)
{
    rewrite_address(p, IP4_TO, address);
    rewrite_quoted(p, IP4_FROM, address, port);
}

void rewrite_error_out(struct nat_packet *p, uint32_t address, uint16_t port)
{
    rewrite_address(p, IP4_FROM, address);
    rewrite_quoted(p, IP4_TO, address, port);
}

bool rewrite_ttl(struct nat_packet *p)
{
    uint8_t *ip = p->head + p->at.ip;

    if (ip[IP4_TTL] <= 1)
        return false;
    change16(ip + IP4_TTL, (uint16_t)(get16(ip + IP4_TTL) - 0x100), ip + IP4_SUM);
    return true;
}

void rewrite_ethernet(struct nat_packet *p, const uint8_t to[NET_MAC], const uint8_t from[NET_MAC])
{
    uint8_t *head = p->frame.head == p->whole ? p->whole : p->head;

    memmove(head, to, NET_MAC);
    memmove(head + NET_MAC, from, NET_MAC);
}
