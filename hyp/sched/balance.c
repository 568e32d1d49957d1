// SPDX-License-Identifier: BSD-2-Clause
#include "sched/balance.h"

#include "sched/timer.h"

#define BALANCE_US 2000 /* at the default weight; less moves more threads and gains little */
#define LAG_US 200000   /* a queue that is behind by twice this is moved up to this */
#define OFFER_LOOKS 8   /* threads of a queue that are looked at for whether they can be moved */

static bool is_online(const struct hart *h)
{
    return atomic_load_explicit(&h->online, memory_order_relaxed);
}

static bool has_waiting(const struct hart *h)
{
    return atomic_load_explicit(&h->runq.length, memory_order_relaxed);
}

static bool is_idle(const struct hart *h) { return h->current == h->idle && !has_waiting(h); }

static uint64_t first_tag(const struct hart *h)
{
    return atomic_load_explicit(&h->runq.first, memory_order_relaxed);
}

static struct thread *node_thread(struct list *n)
{
    return CONTAINER_OF(n, struct thread, fair.node);
}

/* The first that may run here, is off its stack, and is early enough. */
static struct thread *take(struct hart *me, struct hart *from, bool has, uint64_t limit)
{
    struct thread *t = 0;

    spin_lock(&from->runq_lock);
    LIST_FOR_EACH(n, &from->runq.ready)
    {
        struct thread *one = node_thread(n);

        if (has && !fair_before(one->fair.tag, limit))
            break;
        if (balance_allows(me, &one->fair) &&
            !atomic_load_explicit(&one->on_hart, memory_order_acquire)) {
            t = one;
            fair_remove(&t->fair);
            break;
        }
    }
    spin_unlock(&from->runq_lock);
    return t;
}

/* The latest virtual time of all busy harts but one; that one's own, when there is no other. */
static uint64_t latest(const struct hart *but, uint64_t now)
{
    uint64_t latest = atomic_load_explicit(&but->runq.vtime, memory_order_relaxed);

    for (unsigned i = 0; i < hart_count; i++) {
        uint64_t vtime;

        if (harts[i] == but || !is_online(harts[i]))
            continue;
        vtime = fair_vtime(&harts[i]->runq, now);
        if (fair_before(latest, vtime))
            latest = vtime;
    }
    return latest;
}

void balance_join(struct hart *h, uint64_t now)
{
    atomic_store_explicit(&h->runq.vtime, latest(h, now), memory_order_relaxed);
}

static bool lags(const struct hart *h, uint64_t front, uint64_t now)
{
    return fair_before(fair_vtime(&h->runq, now), front - 2 * fair_us(LAG_US));
}

static void catch_up(struct hart *me, uint64_t now)
{
    uint64_t front = latest(me, now), by = front - fair_us(LAG_US) - fair_vtime(&me->runq, now);

    if (!lags(me, front, now))
        return;
    spin_lock(&me->runq_lock);
    fair_shift(&me->runq, by);
    if (me->current != me->idle)
        me->current->fair.tag += by;
    spin_unlock(&me->runq_lock);
}

void balance_pull(struct hart *me, bool has, uint64_t tag, uint64_t now)
{
    uint64_t limit = tag - fair_us(BALANCE_US);
    struct thread *t = 0;

    me->balanced_at = now;
    if (has)
        catch_up(me, now);
    for (unsigned i = 1; i < hart_count && !t; i++) {
        struct hart *from = harts[(me->index + i) % hart_count];

        if (has_waiting(from) && (!has || fair_before(first_tag(from), limit)))
            t = take(me, from, has, limit);
    }
    if (!t)
        return;
    spin_lock(&me->runq_lock);
    if (!has && !has_waiting(me))
        balance_join(me, now);
    t->hart = me->index;
    fair_place_moved(&me->runq, &t->fair, now);
    fair_insert(&me->runq, &t->fair, now);
    spin_unlock(&me->runq_lock);
}

void balance_offer(struct hart *me, uint64_t now)
{
    uint64_t may = 0, first = first_tag(me) + fair_us(BALANCE_US);
    unsigned looks = OFFER_LOOKS;

    spin_lock(&me->runq_lock);
    LIST_FOR_EACH(n, &me->runq.ready)
    {
        may |= atomic_load_explicit(&node_thread(n)->fair.group->affinity, memory_order_relaxed);
        if (!--looks)
            break;
    }
    spin_unlock(&me->runq_lock);
    for (unsigned i = 0; i < hart_count; i++) {
        struct hart *h = harts[i];

        if (h == me || !is_online(h))
            continue;
        if ((may & BIT(i) && (is_idle(h) || fair_before(first, fair_least(&h->runq, now)))) ||
            (!is_idle(h) && lags(h, first, now)))
            hart_request(i, HART_REQ_RESCHED);
    }
}
