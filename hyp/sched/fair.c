// SPDX-License-Identifier: BSD-2-Clause
#include "sched/fair.h"

#include "sched/fair_turn.h"
#include "sched/timer.h"

/* Virtual time of a tick at the default weight: fine enough for the inverse of FAIR_WEIGHT_MAX. */
#define TICK 65536ul
/* After so long nothing is left to claim or to pay; also, long before tags wrap. */
#define FORGET_US 1000000
/* A moved thread keeps this much of what it lacks; queues that nothing can even out drift apart by more. */
#define LACK_US 20000
#define CAP_TURN_MIN_US 50

struct fair_clock fair_clock;

static uint64_t get(const _Atomic uint64_t *p) { return relaxed_load64(p); }
static void put(_Atomic uint64_t *p, uint64_t value) { relaxed_store64(p, value); }
static unsigned length_of(const struct fair_queue *q) { return relaxed_load32(&q->length); }

uint64_t fair_us(uint64_t us) { return timer_us(us) * TICK; }

void fair_set_clock(void)
{
    fair_clock.slice = timer_us(FAIR_SLICE_US);
    fair_clock.forget = timer_us(FORGET_US);
    fair_clock.preempt = fair_us(FAIR_PREEMPT_US);
}

/* ---- groups ---- */

void fair_group_init(struct fair_group *g)
{
    spin_init(&g->lock, LOCK_SCHED_GROUP);
    put(&g->affinity, FAIR_ALL_HARTS);
    put(&g->held_until, 0);
    put(&g->tag, 0);
    atomic_init(&g->runnable, 0);
    atomic_init(&g->cap, 0);
    g->period = g->used = 0;
    g->lifted = false;
    fair_set_weight(g, FAIR_WEIGHT_DEFAULT);
}

void fair_set_weight(struct fair_group *g, unsigned weight)
{
    atomic_store(&g->weight, weight);
    put(&g->tick, TICK * FAIR_WEIGHT_DEFAULT / weight);
}

void fair_set_cap(struct fair_group *g, unsigned percent)
{
    spin_lock(&g->lock);
    atomic_store(&g->cap, percent);
    g->used = 0;
    put(&g->held_until, 0);
    spin_unlock(&g->lock);
}

static unsigned cap_of(const struct fair_group *g)
{
    return atomic_load_explicit(&g->cap, memory_order_relaxed);
}

static uint64_t budget_of(const struct fair_group *g)
{
    uint64_t budget = timer_us(FAIR_CAP_PERIOD_US) * cap_of(g) / 100;

    return budget ? budget : 1;
}

/* A new period begins for each that is over: its budget pays for what was used. */
static void cap_advance(struct fair_group *g, uint64_t now)
{
    uint64_t period = timer_us(FAIR_CAP_PERIOD_US), over = (now - g->period) / period, paid;

    if (now < g->period || !over)
        return;
    g->period += over * period;
    if (over > g->used / budget_of(g)) {
        g->used = 0;
        return;
    }
    paid = over * budget_of(g);
    g->used -= paid;
}

/* Under the lock: until when the threads are held for what was used. */
static void hold(struct fair_group *g)
{
    if (cap_of(g) && g->used >= budget_of(g) && !g->lifted)
        put(&g->held_until, g->period + g->used / budget_of(g) * timer_us(FAIR_CAP_PERIOD_US));
}

void fair_cap_charge(struct fair_group *g, uint64_t ticks, uint64_t now)
{
    spin_lock(&g->lock);
    cap_advance(g, now);
    g->used += ticks;
    hold(g);
    spin_unlock(&g->lock);
}

void fair_lift_cap(struct fair_group *g, bool lifted)
{
    spin_lock(&g->lock);
    g->lifted = lifted;
    if (lifted)
        put(&g->held_until, 0);
    hold(g);
    spin_unlock(&g->lock);
}

uint64_t fair_cap_left(struct fair_group *g, uint64_t now)
{
    unsigned sharing;
    uint64_t left;

    if (!cap_of(g))
        return UINT64_MAX;
    spin_lock(&g->lock);
    cap_advance(g, now);
    left = budget_of(g) > g->used ? budget_of(g) - g->used : 0;
    spin_unlock(&g->lock);
    sharing = atomic_load_explicit(&g->runnable, memory_order_relaxed);
    return max_u64(sharing ? left / sharing : left, timer_us(CAP_TURN_MIN_US));
}

/* ---- a hart's queue ---- */

void fair_queue_init(struct fair_queue *q)
{
    list_init(&q->ready);
    list_init(&q->held);
    atomic_init(&q->length, 0);
    put(&q->first, 0);
    put(&q->vtime, 0);
    fair_run(q, 0, 0);
}

/* The tag of what runs, as it would be if it were charged now. */
static inline uint64_t running_tag(const struct fair_queue *q, uint64_t now)
{
    uint64_t since = get(&q->run_since), ran = now > since ? now - since : 0;

    return get(&q->run_tag) + fair_counted(ran) * get(&q->run_tick);
}

static inline uint64_t least(const struct fair_queue *q, uint64_t now)
{
    bool runs = get(&q->run_tick), waits = length_of(q);
    uint64_t first = get(&q->first), tag;

    if (!runs && !waits)
        return get(&q->vtime);
    tag = runs ? running_tag(q, now) : first;
    return waits && fair_before(first, tag) ? first : tag;
}

uint64_t fair_least(const struct fair_queue *q, uint64_t now) { return least(q, now); }

uint64_t fair_vtime(const struct fair_queue *q, uint64_t now)
{
    uint64_t vtime = get(&q->vtime), tag = least(q, now);

    return fair_before(vtime, tag) ? tag : vtime;
}

/* The group's tag keeps near the virtual time of where its threads wake up. */
static uint64_t group_tag(struct fair_group *g, uint64_t vtime)
{
    uint64_t tag = get(&g->tag), slack = fair_us(LACK_US);

    if (!fair_before(tag, vtime) && !fair_before(vtime + slack, tag))
        return tag;
    if (fair_before(vtime, tag))
        vtime += slack;
    put(&g->tag, vtime);
    return vtime;
}

void fair_place_woken(struct fair_queue *q, struct fair_entity *e, uint64_t now, uint64_t slept)
{
    uint64_t floor = group_tag(e->group, fair_vtime(q, now)) - fair_us(FAIR_CREDIT_US);

    if (slept > fair_clock.forget || fair_before(e->tag, floor))
        e->tag = floor;
    else
        fair_place_moved(q, e, now);
}

void fair_place_moved(struct fair_queue *q, struct fair_entity *e, uint64_t now)
{
    uint64_t vtime = fair_vtime(q, now);
    uint64_t floor = vtime - fair_us(LACK_US);
    uint64_t ceiling = vtime + 2 * fair_clock.slice * fair_tick(e->group);

    if (fair_before(e->tag, floor))
        e->tag = floor;
    else if (fair_before(ceiling, e->tag))
        e->tag = ceiling;
}

bool fair_preempts(const struct fair_queue *q, const struct fair_entity *e, uint64_t now)
{
    return !e->held &&
           (!get(&q->run_tick) || fair_before(e->tag + fair_clock.preempt, running_tag(q, now)));
}

void fair_hurry(struct fair_queue *q, struct fair_entity *e, uint64_t now)
{
    if (e->held || (fair_first(q) == e && fair_preempts(q, e, now)))
        return;
    fair_remove(e);
    e->tag = least(q, now) - 2 * fair_clock.preempt;
    fair_insert(q, e, now);
}

uint64_t fair_release_time(const struct fair_queue *q)
{
    uint64_t first = UINT64_MAX;

    for (struct list *n = q->held.next; n != &q->held; n = n->next)
        first = min_u64(first, get(&fair_entity_of(n)->group->held_until));
    return first;
}

void fair_shift(struct fair_queue *q, uint64_t by)
{
    for (struct list *n = q->ready.next; n != &q->ready; n = n->next)
        fair_entity_of(n)->tag += by;
    for (struct list *n = q->held.next; n != &q->held; n = n->next)
        fair_entity_of(n)->tag += by;
    put(&q->first, get(&q->first) + by);
    put(&q->vtime, get(&q->vtime) + by);
}
