// SPDX-License-Identifier: BSD-2-Clause
// Of fair.h, what every switch goes through: inline, without divisions.
// Lock rank: as fair.h. Callers: fair.c, thread.c, account.h.
#pragma once
#include "base/relaxed.h"
#include "base/util.h"
#include "sched/fair.h"

static inline struct fair_entity *fair_entity_of(struct list *n)
{
    return CONTAINER_OF(n, struct fair_entity, node);
}

/* Virtual time for a tick of one of its threads, as many as are runnable now. */
static inline uint64_t fair_tick(const struct fair_group *g)
{
    unsigned runnable = relaxed_load32(&g->runnable);
    uint64_t tick = relaxed_load64(&g->tick);

    return runnable > 1 ? tick * runnable : tick;
}

static inline bool fair_is_held(const struct fair_group *g, uint64_t now)
{
    return relaxed_load64(&g->held_until) > now;
}

/* No cap, and no hart that it may not run on: never held. */
static inline bool fair_is_free(const struct fair_group *g)
{
    return !relaxed_load32(&g->cap) && relaxed_load64(&g->affinity) == FAIR_ALL_HARTS;
}

/* Whether the first that waits should run in place of one that has just been charged; ends: its slice has ended. */
static inline bool fair_replaces(const struct fair_entity *first, const struct fair_entity *running,
                                 bool ends)
{
    return fair_before(first->tag + (ends ? 0 : fair_clock.preempt), running->tag);
}

/* NULL: none is ready. */
static inline struct fair_entity *fair_first(const struct fair_queue *q)
{
    return list_empty(&q->ready) ? 0 : fair_entity_of(q->ready.next);
}

/* What counts of a turn: alone on its hart, without a tick, a thread may run for days, and tags would wrap. Nobody
 * waited there meanwhile. */
static inline uint64_t fair_counted(uint64_t ticks) { return min_u64(ticks, fair_clock.forget); }

/* The tags of the running thread and its group after it ran for so many ticks; weights are as when it began. */
static inline void fair_move_tags(struct fair_queue *q, struct fair_entity *e, uint64_t counted)
{
    struct fair_group *g = e->group;

    e->owed = 0;
    e->tag += counted * relaxed_load64(&q->run_tick);
    atomic_fetch_add_explicit(&g->tag, counted * relaxed_load64(&g->tick), memory_order_relaxed);
}

/* It has run for so many ticks, until now, beside what it owed. */
static inline void fair_charge(struct fair_queue *q, struct fair_entity *e, uint64_t ticks,
                               uint64_t now)
{
    struct fair_group *g = e->group;
    uint64_t all = ticks + e->owed;

    fair_move_tags(q, e, fair_counted(all));
    if (relaxed_load32(&g->cap))
        fair_cap_charge(g, all, now);
}

/* This one runs from now on; NULL: nothing does. */
static inline void fair_run(struct fair_queue *q, const struct fair_entity *e, uint64_t now)
{
    uint64_t vtime = relaxed_load64(&q->vtime), first = relaxed_load64(&q->first), least = vtime;
    bool waits = relaxed_load32(&q->length);

    if (e || waits)
        least = e ? e->tag : first;
    if (waits && fair_before(first, least))
        least = first;
    relaxed_store64(&q->run_tag, e ? e->tag : 0);
    relaxed_store64(&q->run_since, now);
    relaxed_store64(&q->run_tick, e ? fair_tick(e->group) : 0);
    if (fair_before(vtime, least))
        relaxed_store64(&q->vtime, least);
}

/* What runs does so only from now on: the time of the switch to it is another's. */
static inline void fair_run_from(struct fair_queue *q, uint64_t now)
{
    relaxed_store64(&q->run_since, now);
}

/* A thread becomes ready, or held where its group's cap says so. */
static inline void fair_insert(struct fair_queue *q, struct fair_entity *e, uint64_t now)
{
    struct list *at = q->ready.next;

    e->queue = q;
    e->held = fair_is_held(e->group, now);
    if (e->held) {
        list_push_back(&q->held, &e->node);
        return;
    }
    while (at != &q->ready && !fair_before(e->tag, fair_entity_of(at)->tag))
        at = at->next;
    list_insert_before(at, &e->node);
    relaxed_store64(&q->first, fair_entity_of(q->ready.next)->tag);
    relaxed_store32(&q->length, relaxed_load32(&q->length) + 1);
}

static inline void fair_remove(struct fair_entity *e)
{
    struct fair_queue *q = e->queue;

    list_remove(&e->node);
    e->queue = 0;
    if (e->held)
        return;
    relaxed_store32(&q->length, relaxed_load32(&q->length) - 1);
    if (!list_empty(&q->ready))
        relaxed_store64(&q->first, fair_entity_of(q->ready.next)->tag);
}

/* fair_remove of the first and fair_insert of e, which is of a group that is free. */
static inline void fair_trade(struct fair_queue *q, struct fair_entity *first,
                              struct fair_entity *e)
{
    struct list *at = first->node.next;

    q->ready.next = at;
    at->prev = &q->ready;
    first->queue = 0;
    e->queue = q;
    e->held = false;
    while (at != &q->ready && !fair_before(e->tag, fair_entity_of(at)->tag))
        at = at->next;
    list_insert_before(at, &e->node);
    relaxed_store64(&q->first, fair_entity_of(q->ready.next)->tag);
}
