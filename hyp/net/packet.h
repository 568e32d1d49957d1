// SPDX-License-Identifier: BSD-2-Clause
// Headers of packets: where they are, and the Internet checksum (RFC 791, 1071, 1624, 8200).
// Everything is big endian on the wire; get/put convert, at any alignment.
// Pure. Lock rank: none. Callers: hyp/net.
#pragma once
#include "base/util.h"

enum { ETH_ARP = 0x0806, ETH_VLAN = 0x8100, ETH_IPV4 = 0x0800, ETH_IPV6 = 0x86dd };
enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17 };
enum { /* offsets within headers */
       IP4_TOTAL = 2,
       IP4_ID = 4,
       IP4_FRAGMENT = 6,
       IP4_TTL = 8,
       IP4_SUM = 10,
       IP4_FROM = 12,
       IP4_TO = 16,
       IP4_HEADER = 20,
       IP6_PAYLOAD = 4,
       IP6_FROM = 8,
       IP6_HEADER = 40,
       TCP_SEQ = 4,
       TCP_LENGTH = 12,
       TCP_FLAGS = 13,
       TCP_SUM = 16,
       TCP_HEADER = 20,
};
enum { TCP_FIN = 1, TCP_PSH = 8, TCP_CWR = 0x80 };

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static inline void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void put32(uint8_t *p, uint32_t v)
{
    put16(p, (uint16_t)(v >> 16));
    put16(p + 2, (uint16_t)v);
}

/* Offsets from the Ethernet header on. */
struct packet {
    uint16_t type; /* ETH_: behind a VLAN tag if there is one */
    uint16_t ip, transport; /* 0: none, or not all there */
    uint32_t end; /* of the IP packet: padding may follow */
    uint8_t protocol; /* IP_ */
    bool fragment; /* then transport is 0 but in the first one */
};
/* head: the first head_len bytes of a frame of len bytes, at least an Ethernet header. False: its IP header makes no sense. */
bool packet_parse(const uint8_t *head, uint32_t head_len, uint32_t len, struct packet *p);

/* Sums of 16-bit words, in memory order, so that the byte order does not matter until the end; len is even but in the
 * last piece. */
uint64_t sum_add(uint64_t sum, const void *data, size_t len);
uint16_t sum_fold(uint64_t sum);
/* The checksum field's two bytes, of what was added. */
static inline void sum_put(uint8_t *to, uint64_t sum)
{
    uint16_t field = (uint16_t)~sum_fold(sum);

    to[0] = (uint8_t)field; /* little endian in memory, as it was added */
    to[1] = (uint8_t)(field >> 8);
}
