// SPDX-License-Identifier: BSD-2-Clause
// A token bucket: so many units a second (below 2^33), and a burst of some after a rest.
// Pure but for the timebase. Lock rank: none; its owner's. Callers: hyp/net.
#pragma once
#include "base/util.h"
#include "sched/timer.h"

struct bucket {
    uint64_t rate, most; /* units a second; a burst, as credit */
    uint64_t credit; /* a unit is timer_hz of it, so that no part of one is lost */
    uint64_t since; /* ticks of the host, of the last refill */
};

enum { BUCKET_REST = 64 }; /* seconds after which it is full, whatever its size */

static inline void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now)
{
    *b = (struct bucket){rate, burst * timer_hz, burst * timer_hz, now};
}

static inline void bucket_refill(struct bucket *b, uint64_t now)
{
    uint64_t ticks = now - b->since;

    b->since = now;
    b->credit =
        ticks > BUCKET_REST * timer_hz ? b->most : min_u64(b->most, b->credit + ticks * b->rate);
}

/* Whether there are n units; they are taken then. */
static inline bool bucket_take(struct bucket *b, uint64_t n, uint64_t now)
{
    n *= timer_hz;
    bucket_refill(b, now);
    if (b->credit < n)
        return false;
    b->credit -= n;
    return true;
}
