// SPDX-License-Identifier: BSD-2-Clause
// Frames that are nearly right, for whoever is on a NAT switch: its gateway, and the other cards. Each is made of a good ARP message, or IPv4
// packet (TCP, UDP with DHCP, ICMP echo and error, fragments), from this card's own addresses, so that it gets far; then some of
// its bytes are changed, and its end is cut off or moved.
//
// Whom they are for is never outside: the gateway, hosts inside, groups, and an address of the uplink's network that nobody has.
#include "net/net.h"

enum { GATEWAY = 1, BATCH = 32, LONGEST = 1514, IP = 14, TO = IP + 16 };
enum { TCP = 6, UDP = 17, ICMP = 1, DHCP_AT = IP + 28, DHCP_COOKIE = 236 };
#define NOBODY 0x0a0002c8u /* 10.0.2.200 */
#define OUTER 0x0a00020fu

static uint64_t seed = 88172645463325252;

static uint32_t next_random(uint32_t below)
{
    seed ^= seed << 13; /* xorshift64 (Marsaglia) */
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16) % below;
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

/* The Internet checksum of an even number of bytes. (RFC 1071) */
static uint16_t sum(const uint8_t *p, unsigned len)
{
    uint32_t s = 0;

    for (unsigned i = 0; i < len; i += 2)
        s += (uint32_t)(p[i] << 8 | p[i + 1]);
    s = (s & 0xffff) + (s >> 16);
    return (uint16_t)~((s & 0xffff) + (s >> 16));
}

/* From this card to another's or the gateway's, or to all. */
static void put_ethernet(uint8_t *p, unsigned type)
{
    static const uint8_t gateway[6] = {2};
    bool all = !next_random(8);

    for (unsigned i = 0; i < 6; i++) {
        p[i] = all ? 0xff : gateway[i];
        p[6 + i] = net_mac[i];
    }
    put16(p + 12, type);
}

static void put_arp(uint8_t *p, uint32_t own)
{
    put16(p + 14, 1);
    put16(p + 16, 0x800);
    p[18] = 6;
    p[19] = 4;
    put16(p + 20, 1 + next_random(2));
    memcpy(p + 22, net_mac, 6);
    put32(p + 28, own);
    put32(p + 38, (own & ~0xffu) + next_random(6));
}

static void put_transport(uint8_t *t, unsigned protocol, unsigned len)
{
    static const uint16_t ports[] = {22, 67, 80, 2222, 8080, 19999, 20000, 24095, 65535};

    put16(t, next_random(4) ? ports[next_random(ARRAY_LEN(ports))] : 68);
    put16(t + 2, ports[next_random(ARRAY_LEN(ports))]);
    if (protocol == UDP)
        put16(t + 4, len);
    if (protocol == TCP) {
        t[12] = 0x50;
        t[13] = (uint8_t)(next_random(2) ? 2 : next_random(64));
    }
}

/* An echo, or an error that quotes a packet of these two. */
static void put_icmp(uint8_t *t, unsigned len, uint32_t own, uint32_t to)
{
    static const uint8_t types[] = {0, 3, 8, 8, 11, 12};

    t[0] = types[next_random(ARRAY_LEN(types))];
    t[1] = (uint8_t)next_random(6);
    if (t[0] != 8 && len > 40) {
        t[8] = 0x45;
        t[8 + 9] = next_random(2) ? UDP : TCP;
        put32(t + 8 + 12, to);
        put32(t + 8 + 16, own);
        put_transport(t + 28, UDP, 8);
    }
    put16(t + 2, 0);
    put16(t + 2, sum(t, len & ~1u));
}

static void put_dhcp(uint8_t *m)
{
    m[0] = 1;
    put32(m + DHCP_COOKIE, 0x63825363);
    m[DHCP_COOKIE + 4] = 53;
    m[DHCP_COOKIE + 5] = 1;
    m[DHCP_COOKIE + 6] = (uint8_t)(1 + next_random(8));
    m[DHCP_COOKIE + 7] = (uint8_t)next_random(256); /* an option, longer than the message maybe */
    m[DHCP_COOKIE + 8] = (uint8_t)next_random(256);
}

static uint32_t somebody(uint32_t own)
{
    const uint32_t whom[] = {(own & ~0xffu) + GATEWAY,
                             own,
                             (own & ~0xffu) + next_random(6),
                             NOBODY,
                             OUTER,
                             0xffffffff,
                             0xe0000001,
                             0x7f000001,
                             0};

    return whom[next_random(ARRAY_LEN(whom))];
}

static void put_ip(uint8_t *p, unsigned len, uint32_t own, uint32_t to)
{
    static const uint8_t protocols[] = {TCP, UDP, UDP, ICMP};
    uint8_t *ip = p + IP;

    ip[0] = 0x45;
    put16(ip + 2, len - IP);
    put16(ip + 4, next_random(4));
    if (!next_random(4))
        put16(ip + 6, next_random(2) ? 0x2000 : next_random(0x4000));
    ip[8] = (uint8_t)next_random(65);
    ip[9] = protocols[next_random(ARRAY_LEN(protocols))];
    put32(ip + 12, own);
    put32(ip + 16, to);
    put16(ip + 10, sum(ip, 20));
    if (ip[9] == ICMP)
        put_icmp(ip + 20, len - IP - 20, own, to);
    else
        put_transport(ip + 20, ip[9], len - IP - 20);
    if (ip[9] == UDP && len > DHCP_AT + DHCP_COOKIE + 16 && next_random(2)) {
        put16(ip + 22, 67);
        put_dhcp(p + DHCP_AT);
    }
}

static void damage(uint8_t *p, unsigned len)
{
    for (unsigned n = next_random(4); n; n--)
        p[12 + next_random(len - 12 < 60 ? len - 12 : 60)] = (uint8_t)next_random(256);
}

static void add_one(uint32_t own)
{
    uint8_t *p = net_next();
    unsigned len = 14 + next_random(next_random(4) ? 120 : LONGEST - 13);
    unsigned whole = len < 60 ? 60 : len;
    uint32_t to = somebody(own);

    memset(p, 0, whole);
    if (next_random(8)) {
        put_ethernet(p, 0x800);
        put_ip(p, whole, own, to);
        damage(p, len);
        put32(p + TO, to);
    } else {
        put_ethernet(p, 0x806);
        put_arp(p, own);
        damage(p, len);
    }
    net_add(len);
}

void malformed_run(uint32_t own, unsigned frames)
{
    unsigned len;

    for (unsigned i = 0; i < frames; i++) {
        add_one(own);
        if (i % BATCH != BATCH - 1)
            continue;
        net_kick();
        while (net_poll(&len))
            ;
        net_refill();
    }
    net_kick();
}
