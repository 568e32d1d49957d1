// SPDX-License-Identifier: BSD-2-Clause
#include "vdev/virtio/blk_gather.h"

#include "base/addr.h"
#include "sched/timer.h"

enum {
    FIRST_DEPTH = 4,
    MOST_DEPTH = 32, /* twice what a disk has in flight: a group may be all of that */
    STEP = 2,
    BURST = 16, /* all that a disk has in flight */
    FIRST_WAIT = 3 * BURST, /* of which two thirds are what a try is compared with */
    MOST_WAIT = 2048,
    SETTLED = 4, /* groups after which a miss has another cause than the last growth */
    USEFUL = 16, /* groups after which the try was of use */
    COMPARED = 32, /* requests by which their pace is compared with that before the try */
    PACE_SHIFT = 3,
    PATIENCE = 4, /* times as long as a group usually takes */
    SOONEST = 50, /* microseconds that a group may take */
    LATEST = 4000,
};

static uint16_t doubled(uint16_t wait)
{
    return (uint16_t)min_u64(MOST_WAIT, max_u64(FIRST_WAIT, 2ul * wait));
}

void gather_init(struct gather *g)
{
    *g = (struct gather){.wait = FIRST_WAIT, .rest = FIRST_WAIT, .settling = BURST};
}

static void set_depth(struct gather *g, unsigned depth)
{
    g->depth = (uint16_t)depth;
    g->filled = 0;
}

static void leave(struct gather *g, uint16_t wait)
{
    set_depth(g, 0);
    g->since = (struct gather_sum){0};
    g->settling = BURST;
    g->wait = wait;
    g->pause = 0;
}

/* Pauses of the driver are no measure of how fast it makes requests. */
static void measure(struct gather *g, unsigned n, uint64_t now)
{
    uint64_t passed = now - g->arrived;

    if (g->pace_known && passed < timer_us(LATEST)) {
        g->pace -= g->pace >> PACE_SHIFT;
        g->pace += passed / n;
        if (!g->settling) {
            g->since.ticks += passed;
            g->since.count += n;
        }
    }
    g->settling -= (uint16_t)min_u64(g->settling, n);
    g->pace_known = true;
    g->arrived = g->moved = now;
}

void gather_arrived(struct gather *g, unsigned n, uint64_t now)
{
    measure(g, n, now);
    if (g->depth)
        return;
    g->wait -= (uint16_t)min_u64(g->wait, n);
    if (g->wait)
        return;
    g->before = g->since;
    g->since = (struct gather_sum){0};
    set_depth(g, FIRST_DEPTH);
}

/* Whether requests come more rarely than before the try, by an eighth. */
static bool is_harmful(struct gather *g)
{
    struct gather_sum before = g->before, since = g->since;

    if (since.count < COMPARED)
        return false;
    g->since = (struct gather_sum){0};
    return 8 * since.ticks * before.count > 9 * before.ticks * since.count;
}

static void miss(struct gather *g, bool grown)
{
    unsigned depth = grown ? g->depth - (unsigned)STEP : g->depth / 2u;

    g->grown = false;
    g->pause = doubled(g->pause);
    if (depth < FIRST_DEPTH) {
        leave(g, g->rest);
        g->rest = doubled(g->rest);
        return;
    }
    set_depth(g, depth);
    g->wait = g->pause;
}

void gather_filled(struct gather *g, uint64_t now)
{
    g->moved = now;
    if (is_harmful(g)) {
        miss(g, false);
        return;
    }
    if (g->filled < USEFUL && ++g->filled == USEFUL)
        g->rest = FIRST_WAIT;
    if (g->wait) {
        g->wait--;
    } else if (g->depth < MOST_DEPTH) {
        set_depth(g, g->depth + STEP);
        g->grown = true;
        g->wait = g->pause;
    }
}

void gather_looked(struct gather *g, bool held, bool idle, uint64_t now)
{
    g->moved = now;
    if (held)
        miss(g, g->grown && g->filled < SETTLED);
    else if (idle)
        leave(g, FIRST_WAIT);
    g->pace_known = false;
}

uint64_t gather_late(const struct gather *g)
{
    uint64_t usual = (g->pace * gather_group(g)) >> PACE_SHIFT;

    return g->moved + min_u64(timer_us(LATEST), max_u64(timer_us(SOONEST), PATIENCE * usual));
}
