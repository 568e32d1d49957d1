// SPDX-License-Identifier: BSD-2-Clause
#include "fake_pkt.h"

#include <string.h>

uint32_t pkt_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

uint32_t pkt_header(uint8_t protocol) { return protocol == IP_TCP ? 20 : 8; }

uint32_t pkt_put(uint8_t *p, const struct pkt *k)
{
    uint32_t header = pkt_header(k->protocol), len = 20 + header + k->payload, sum;
    uint8_t *t = p + 20;
    unsigned at = k->protocol == IP_TCP ? 16 : k->protocol == IP_UDP ? 6 : 2;

    memset(p, 0, len);
    p[0] = 0x45;
    put16(p + 2, (uint16_t)len);
    put16(p + 4, 0x1234);
    put16(p + 6, k->fragment);
    p[8] = k->ttl ? k->ttl : 64;
    p[9] = k->protocol;
    put32(p + 12, k->from);
    put32(p + 16, k->to);
    put16(p + 10, (uint16_t)~pkt_sum(0, p, 20));
    for (uint32_t i = 0; i < k->payload; i++)
        t[header + i] = pkt_byte(i);
    if (k->protocol == IP_ICMP) {
        t[0] = k->type;
        put16(t + 4, k->from_port);
        put16(t + 6, 1);
        put16(t + 2, (uint16_t)~pkt_sum(0, t, len - 20));
        return len;
    }
    put16(t, k->from_port);
    put16(t + 2, k->to_port);
    if (k->protocol == IP_TCP) {
        t[12] = 0x50;
        t[13] = k->flags;
    } else {
        put16(t + 4, (uint16_t)(len - 20));
    }
    sum = pkt_sum(k->protocol + (len - 20), p + 12, 8);
    if (!k->no_sum)
        put16(t + at, (uint16_t)~pkt_sum(sum, t, len - 20));
    return len;
}
