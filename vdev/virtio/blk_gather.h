// SPDX-License-Identifier: BSD-2-Clause
// How many requests of a disk's driver are worth one kick, and one interrupt, when each of them ends sooner than the driver makes the
// next: then there is never more than one in flight to go by, however many the driver would have out at once.
//
// So the driver is made to wait. While gathering, it is asked for a kick once a group of new requests is there, and is told once
// a group has ended. A driver that goes on meanwhile fills its groups, one interrupt each, and never stands still: a group is
// half of what it was found to have out at once (depth), and it cannot have stopped with less than a group ended and less than a
// group new. One that does stop, since it waits for what is held back, fills none: the device looks when a group is late, after
// four times as long as one of this driver's usually takes, and that is a miss.
//
// What the driver has out at once is found by trying. A first try (groups of 2) after some requests; depth grows with every group
// that is filled until the first miss, then seldom; a miss just after it grew takes that back, any other one halves it. Tries that are
// of no use become ever rarer, so that a driver with one request at a time loses less than one part in a hundred.
//
// Groups may be filled and be of harm all the same: where many use the disk, each waiting for its own request, one that would be
// quick waits for others that are slow. Then requests come more rarely than they did before the try, and that is a miss, too.
//
// Policy only: no state of the VM, nothing is saved. Lock rank: none, the device's lock protects it. Callers: blk.c.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct gather {
    uint16_t depth; /* 0: not gathering */
    uint16_t wait; /* requests until the next try; while gathering, groups until depth grows */
    uint16_t rest, pause; /* what wait begins at: after a try of no use; after growing */
    uint16_t filled; /* groups since depth last changed */
    uint16_t settling; /* requests that come in a burst, after those that were held back */
    bool grown; /* that was growth */
    bool pace_known; /* arrived is when the last request came, and not long ago */
    uint64_t pace; /* ticks from one request to the next, mean; times 8 */
    uint64_t arrived; /* when requests last came */
    struct gather_sum {
        uint64_t ticks; /* pauses apart */
        uint32_t count; /* requests that came in them */
    } before, since; /* before the try; since the last comparison, or since the last try ended */
    uint64_t moved; /* when that was, or a group was filled or looked after */
};

void gather_init(struct gather *g);
/* n requests, at least 1, were found in the ring. */
void gather_arrived(struct gather *g, unsigned n, uint64_t now);
/* A group has ended, and the driver is told. */
void gather_filled(struct gather *g, uint64_t now);
/* The device looks after a late group, at now. held: the driver waits for what is held back; idle: nothing is in flight. */
void gather_looked(struct gather *g, bool held, bool idle, uint64_t now);
/* Until when to wait for the group. */
uint64_t gather_late(const struct gather *g);

/* Requests worth a kick or an interrupt. */
static inline uint16_t gather_group(const struct gather *g) { return (uint16_t)(g->depth / 2); }
