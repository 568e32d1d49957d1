// SPDX-License-Identifier: BSD-2-Clause
// IP packets built by hand, each with its checksums, for unit tests of hyp/net. Link: tests/fake/fake_pkt.c.
#pragma once
#include "net/packet.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

enum { PKT_SYN = 2, PKT_RST = 4, PKT_ACK = 0x10 };

struct pkt {
    uint32_t from, to;
    uint16_t from_port, to_port; /* of an echo: from_port is its identifier */
    uint8_t protocol, flags, type, ttl; /* ttl 0: 64 */
    uint16_t fragment;
    uint32_t payload; /* bytes of pkt_byte */
    bool no_sum; /* UDP without a checksum */
};

static inline uint8_t pkt_byte(uint32_t i) { return (uint8_t)(i * 29 + 5); }
/* How long the header behind IP's is. */
uint32_t pkt_header(uint8_t protocol);
/* The Internet checksum's sum (RFC 1071) of len bytes, onto that of an even number before them; 0xffff: the checksum in it is right. */
uint32_t pkt_sum(uint32_t sum, const uint8_t *p, uint32_t len);
/* Writes one; how long it is. */
uint32_t pkt_put(uint8_t *p, const struct pkt *k);
