// SPDX-License-Identifier: BSD-2-Clause
#include "net/packet.h"

#include <string.h>

enum { ETHERNET = 14, VLAN_TAG = 4, EXTENSIONS = 8 };
enum { MORE_FRAGMENTS = 0x2000, FRAGMENT_OFFSET = 0x1fff };
enum { /* of IPv6: RFC 8200 */
       IP6_HOP_BY_HOP = 0,
       IP6_ROUTING = 43,
       IP6_FRAGMENT = 44,
       IP6_OPTIONS = 60
};

static bool parse_ip4(const uint8_t *head, uint32_t head_len, uint32_t len, struct packet *p)
{
    const uint8_t *ip = head + p->ip;
    uint32_t left = len - p->ip, header, total;
    uint16_t fragment;

    if (head_len < p->ip + (uint32_t)IP4_HEADER || ip[0] >> 4 != 4)
        return false;
    header = 4u * (ip[0] & 15);
    total = get16(ip + IP4_TOTAL);
    if (header < IP4_HEADER || p->ip + header > head_len || total < header || total > left)
        return false;
    fragment = get16(ip + IP4_FRAGMENT);
    p->protocol = ip[9];
    p->fragment = fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET);
    p->end = p->ip + total;
    if (!(fragment & FRAGMENT_OFFSET))
        p->transport = (uint16_t)(p->ip + header);
    return true;
}

/* Passes over extension headers. */
static bool parse_ip6(const uint8_t *head, uint32_t head_len, uint32_t len, struct packet *p)
{
    const uint8_t *ip = head + p->ip;
    uint32_t at = p->ip + (uint32_t)IP6_HEADER;
    uint8_t next;

    if (head_len < at || ip[0] >> 4 != 6)
        return false;
    next = ip[6];
    p->end = at + get16(ip + IP6_PAYLOAD);
    if (p->end > len)
        return false;
    for (unsigned i = 0; i < EXTENSIONS; i++) {
        bool option = next == IP6_HOP_BY_HOP || next == IP6_ROUTING || next == IP6_OPTIONS;

        if (next == IP6_FRAGMENT) {
            p->fragment = true;
            return true;
        }
        if (!option) {
            p->protocol = next;
            p->transport = (uint16_t)at;
            return true;
        }
        if (head_len < at + 2)
            return true; /* so many that they are not ours to know */
        next = head[at];
        at += 8u * (head[at + 1] + 1u);
        if (at > p->end)
            return false;
    }
    return true;
}

bool packet_parse(const uint8_t *head, uint32_t head_len, uint32_t len, struct packet *p)
{
    uint32_t at = ETHERNET;

    *p = (struct packet){.type = get16(head + 12)};
    if (p->type == ETH_VLAN) {
        at += VLAN_TAG;
        if (head_len < at)
            return false;
        p->type = get16(head + at - 2);
    }
    p->ip = (uint16_t)at;
    if (p->type == ETH_IPV4)
        return parse_ip4(head, head_len, len, p);
    if (p->type == ETH_IPV6)
        return parse_ip6(head, head_len, len, p);
    p->ip = 0;
    return true;
}

uint64_t sum_add(uint64_t sum, const void *data, size_t len)
{
    const uint8_t *p = data;

    if (((uintptr_t)p & 3) == 0)
        for (; len >= 4; p += 4, len -= 4)
            sum += *(const uint32_t __attribute__((may_alias)) *)(const void *)p;
    for (; len >= 2; p += 2, len -= 2)
        sum += (uint64_t)(p[0] | p[1] << 8);
    return len ? sum + p[0] : sum;
}

uint16_t sum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
