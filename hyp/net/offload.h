// SPDX-License-Identifier: BSD-2-Clause
// Work that a sender left to others (struct net_offload): checked, and done in software for those who do not take it
// undone: checksums, and segmentation of TCP over IPv4 and IPv6.
//
// The payload stays where it is: a segment is a head of its own and a piece of the whole's data. A payload that its sender
// changes meanwhile gets a wrong checksum, and harms nobody else.
// Pure. Lock rank: none. Callers: hyp/net, network cards.
#pragma once
#include "vdev/backend.h"

enum { OFFLOAD_SEGMENTS = 128 }; /* of one frame, at most */

/* Whether the frame's offload makes sense: of what it says only offload.header is not believed but found. */
bool offload_check(struct net_frame *f);
/* Bytes of a frame, from its head or its data. 0, -ENOMEM, -EFAULT. */
int offload_read(const struct net_frame *f, uint32_t offset, void *to, uint32_t len) MUST_CHECK;
/* Whether somebody who can do this takes the frame as it is. */
static inline bool offload_fits(const struct net_offload *o, unsigned can)
{
    unsigned needs = (o->csum ? NET_CAN_CSUM : 0) | (o->ecn ? NET_CAN_ECN : 0) |
                     (o->gso == NET_GSO_TCP4 ? NET_CAN_TSO4 : 0) |
                     (o->gso == NET_GSO_TCP6 ? NET_CAN_TSO6 : 0);

    return (can & needs) == needs;
}

/* The finished frames that one makes. */
struct offload_cut {
    struct net_frame frame; /* the one at hand */
    const struct net_frame *whole;
    uint32_t done; /* bytes of payload */
    uint16_t segments;
    bool ended;
    _Alignas(8) uint8_t room[NET_HEADROOM]; /* of the head */
    uint8_t head[NET_HEAD];
};
static inline void offload_begin(struct offload_cut *c, const struct net_frame *f)
{
    c->whole = f;
    c->done = c->segments = 0;
    c->ended = false;
}
/* 1: c->frame is the next; 0: there are no more; -ENOMEM, -EFAULT. */
int offload_next(struct offload_cut *c) MUST_CHECK;
