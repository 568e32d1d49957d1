// SPDX-License-Identifier: BSD-2-Clause
#include "sched/thread.h"

#include "base/spin_leaf.h"
#include "sched/account.h"
#include "sched/balance.h"
#include "sched/irq.h"
#include "sched/stack.h"
#include "sched/timer_hart.h"

static void schedule(enum thread_leave why);

static struct thread *fair_thread(struct fair_entity *e)
{
    return CONTAINER_OF(e, struct thread, fair);
}

static bool is_idle(const struct hart *h)
{
    return h->current == h->idle && !atomic_load_explicit(&h->runq.length, memory_order_relaxed);
}

/* Where a thread that became ready goes: where it ran last if that is idle, else any idle hart, else back; or,
 * where it may not go back, to the shortest queue. */
static unsigned pick_hart(const struct thread *t)
{
    const struct hart *last = harts[t->hart], *best = 0;

    if (is_idle(last) && balance_allows(last, &t->fair))
        return t->hart;
    for (unsigned i = 0; i < hart_count; i++) {
        const struct hart *h = harts[i];

        if (!atomic_load_explicit(&h->online, memory_order_relaxed) || !balance_allows(h, &t->fair))
            continue;
        if (is_idle(h))
            return i;
        if (!best || atomic_load_explicit(&h->runq.length, memory_order_relaxed) <
                         atomic_load_explicit(&best->runq.length, memory_order_relaxed))
            best = h;
    }
    return balance_allows(last, &t->fair) || !best ? t->hart : best->index;
}

/* Tells a hart to look at its queue when it would not in time. */
static void notify(struct hart *h, bool now)
{
    /* The other side is in set_slice: it says that it does not tick, then looks at the queue. */
    arch_fence_rw();
    if (!now && atomic_load_explicit(&h->ticks, memory_order_relaxed))
        return;
    if (h == this_hart())
        h->resched = true;
    else
        hart_request(h->index, HART_REQ_RESCHED);
}

/* woken: it slept for so many ticks; else it comes from another hart. */
static void enqueue(struct thread *t, uint64_t now, bool woken, uint64_t slept)
{
    struct hart *h = harts[pick_hart(t)];
    bool urgent;

    spin_lock(&h->runq_lock);
    if (is_idle(h))
        balance_join(h, now);
    if (woken)
        fair_place_woken(&h->runq, &t->fair, now, slept);
    else
        fair_place_moved(&h->runq, &t->fair, now);
    t->hart = h->index;
    fair_insert(&h->runq, &t->fair, now);
    /* A held one has to be waited for by a timer. */
    urgent = t->fair.held || fair_preempts(&h->runq, &t->fair, now);
    spin_unlock(&h->runq_lock);
    notify(h, urgent);
}

void thread_wake(struct thread *t)
{
    unsigned blocked = THREAD_BLOCKED;
    uint64_t now, since;

    atomic_store(&t->wake, true);
    if (!atomic_compare_exchange_strong(&t->state, &blocked, THREAD_READY))
        return;
    /* It may still be on its way out of a hart. That hart waits for nobody on the way. */
    while (atomic_load_explicit(&t->on_hart, memory_order_acquire))
        arch_pause();
    now = arch_time();
    since = t->since;
    account_wake(this_hart(), t, now);
    fair_group_enter(t->fair.group);
    enqueue(t, now, true, now > since ? now - since : 0);
}

/* The slice ends only while others wait: a hart with one thread takes no tick, unless a cap needs it. */
static __attribute__((noinline)) void set_odd_slice(struct hart *h, uint64_t now)
{
    bool waits = relaxed_load32(&h->runq.length);
    uint64_t end = h->release_at;

    if (h->current != h->idle) {
        atomic_store_explicit(&h->ticks, waits, memory_order_relaxed);
        if (!waits) {
            arch_fence_rw(); /* see notify */
            waits = relaxed_load32(&h->runq.length);
        }
        if (waits)
            end = min_u64(end, now + fair_clock.slice);
        if (relaxed_load32(&h->current->fair.group->cap))
            end = min_u64(end, now + fair_cap_left(h->current->fair.group, now));
    } else {
        atomic_store_explicit(&h->ticks, false, memory_order_relaxed);
    }
    h->slice_end = end;
    timer_arm(h);
}

static inline void set_slice(struct hart *h, uint64_t now)
{
    if (h->current == h->idle || !relaxed_load32(&h->runq.length) ||
        relaxed_load32(&h->current->fair.group->cap)) {
        set_odd_slice(h, now);
        return;
    }
    atomic_store_explicit(&h->ticks, true, memory_order_relaxed);
    h->slice_end = min_u64(h->release_at, now + fair_clock.slice);
    timer_arm(h);
}

/* After a switch, on the new thread's stack: the old one's is free for others now. */
static inline __attribute__((always_inline)) void finish_switch(struct thread *previous)
{
    struct hart *h = this_hart();
    struct thread *stray = h->stray;

    h->stray = 0;
    if (h->current->switch_in)
        h->current->switch_in(h->current);
    set_slice(h, h->switch_began);
    account_switched(h, previous);
    atomic_store_explicit(&previous->on_hart, false, memory_order_release);
    if (stray)
        enqueue(stray, stray->since, false, 0);
}

static uint64_t stack_top(const struct thread *t) { return (uint64_t)t->stack + THREAD_STACK_SIZE; }

/* First code of every thread that begins, on its own stack. */
static void thread_entry(void)
{
    struct thread *t;

    finish_switch(this_hart()->switched_from);
    t = thread_current();
    t->fn(t->arg);
    atomic_store(&t->state, THREAD_DEAD);
    schedule(LEAVE_BLOCKED);
}

/* Returns when the current thread, that is left, has the hart again; *save_sp finds the way back. */
static inline __attribute__((always_inline)) void switch_to(struct hart *h, struct thread *next,
                                                            uint64_t now, uint64_t *save_sp)
{
    struct thread *previous = h->current;

    if (previous->switch_out)
        previous->switch_out(previous);
    relaxed_store32(&next->state, THREAD_RUNNING);
    atomic_store_explicit(&next->on_hart, true, memory_order_relaxed);
    h->current = next;
    h->switched_from = previous;
    h->switch_began = now;
    if (next->sp)
        arch_switch_stack(save_sp, next->sp);
    else
        arch_begin_stack(save_sp, stack_top(next), thread_entry);
    finish_switch(this_hart()->switched_from);
}

/* Those whose group may run again become ready, and the rest is waited for. */
static __attribute__((noinline)) void release_held(struct hart *h, uint64_t now)
{
    LIST_FOR_EACH(n, &h->runq.held)
    {
        struct fair_entity *e = CONTAINER_OF(n, struct fair_entity, node);

        if (fair_is_held(e->group, now))
            continue;
        fair_remove(e);
        account_thread(fair_thread(e), THREAD_CAPPED, now);
        fair_place_woken(&h->runq, e, now, 0);
        fair_insert(&h->runq, e, now);
    }
    h->release_at = fair_release_time(&h->runq);
}

/* The first that may run here; those before it that may not go where they belong. */
static __attribute__((noinline)) struct fair_entity *first_allowed(struct hart *h, uint64_t now,
                                                                   struct list *strays)
{
    struct fair_entity *e;

    while ((e = fair_first(&h->runq))) {
        bool held = fair_is_held(e->group, now);

        if (!held && balance_allows(h, e))
            return e;
        fair_remove(e);
        if (held) {
            account_thread(fair_thread(e), THREAD_WAITED, now);
            fair_insert(&h->runq, e, now);
            h->release_at = min_u64(h->release_at, fair_release_time(&h->runq));
        } else {
            list_push_back(strays, &e->node);
        }
    }
    return 0;
}

/* The current thread gives way to the one it wants to run in its place, if that waits here. The place is a turn: once
 * it is used up, first is next, or two that yield to each other would keep the hart from all others. */
static __attribute__((noinline)) struct fair_entity *
directed(struct hart *h, struct thread *t, struct thread *to, const struct fair_entity *first)
{
    uint64_t tag, turn = fair_clock.slice * fair_tick(t->fair.group);

    if (to->fair.queue != &h->runq || to->fair.held || !balance_allows(h, &to->fair))
        return 0;
    if (fair_before(first->tag + turn, t->fair.tag))
        return 0;
    /* Their group has no more of the hart than it would have had. */
    if (fair_before(t->fair.tag, to->fair.tag)) {
        tag = to->fair.tag;
        to->fair.tag = t->fair.tag;
        t->fair.tag = tag;
    }
    return &to->fair;
}

/* The current thread goes on being ready, but does not run. */
static void requeue(struct hart *h, struct thread *t, uint64_t now)
{
    relaxed_store32(&t->state, THREAD_READY);
    if (!balance_allows(h, &t->fair)) {
        h->stray = t; /* to another hart once its stack is free */
        return;
    }
    /* Queued while its stack is in use: others leave it alone until finish_switch (on_hart). */
    fair_insert(&h->runq, &t->fair, now);
    if (t->fair.held)
        h->release_at = min_u64(h->release_at, fair_release_time(&h->runq));
}

/* The thread to run; the current one, when it is to go on. */
static struct thread *choose(struct hart *h, enum thread_leave why, uint64_t now,
                             struct list *strays)
{
    struct thread *t = h->current, *to = h->yield_to, *next = h->idle;
    bool ready = why != LEAVE_BLOCKED && t != h->idle, yields = why == LEAVE_YIELDING;
    bool ends = h->slice_over;
    struct fair_entity *first, *instead;

    h->yield_to = 0;
    h->slice_over = false;
    spin_lock_leaf(&h->runq_lock);
    h->release_at = UINT64_MAX;
    if (!list_empty(&h->runq.held))
        release_held(h, now);
    first = fair_first(&h->runq);
    if (first && (fair_is_held(first->group, now) || !balance_allows(h, first)))
        first = first_allowed(h, now, strays);
    if (to && first && ready) {
        instead = directed(h, t, to, first);
        if (instead) {
            first = instead;
            yields = true;
        }
    }
    if (ready && !fair_is_held(t->fair.group, now) && balance_allows(h, &t->fair) &&
        (!first || (!yields && !fair_replaces(first, &t->fair, ends)))) {
        next = t;
    } else {
        if (first) {
            fair_remove(first);
            next = fair_thread(first);
        }
        if (ready)
            requeue(h, t, now);
    }
    fair_run(&h->runq, next == h->idle ? 0 : &next->fair, now);
    spin_unlock_leaf(&h->runq_lock);
    return next;
}

/* Evens out before the choice: always when there is nothing to choose from, when a slice has ended, and
 * now and then when threads come and go without. */
static __attribute__((noinline)) void balance(struct hart *h, enum thread_leave why, uint64_t now)
{
    bool ready = why != LEAVE_BLOCKED && h->current != h->idle;
    bool waits = atomic_load_explicit(&h->runq.length, memory_order_relaxed);
    uint64_t tag = ready ? h->current->fair.tag : 0;
    uint64_t first = atomic_load_explicit(&h->runq.first, memory_order_relaxed);

    if ((ready || waits) && why != LEAVE_READY && now - h->balanced_at < fair_clock.slice)
        return;
    if (waits && (!ready || fair_before(first, tag)))
        tag = first;
    balance_pull(h, ready || waits, tag, now);
}

/* Charges the current thread, evens out with other harts, and chooses who runs from *now on. */
static inline __attribute__((always_inline)) struct thread *
next_thread(struct hart *h, enum thread_leave why, uint64_t *now)
{
    struct thread *t = h->current, *next;
    struct list strays = LIST_INIT(strays);
    /* A guest that yields at every turn, by its IPIs, would keep other harts busy with looking. */
    enum thread_leave balance_as = why == LEAVE_READY && h->yield_to ? LEAVE_YIELDING : why;

    *now = account_charge(h);
    if (h->lock_depth)
        spin_none_held("a switch of threads");
    if (HYP_DEBUG)
        stack_check(t);
    h->resched = false;
    if (why == LEAVE_BLOCKED)
        fair_group_leave(t->fair.group);
    if (hart_count > 1)
        balance(h, balance_as, *now);
    else
        h->balanced_at = *now;
    next = choose(h, why, *now, &strays);
    while (!list_empty(&strays)) {
        struct fair_entity *e = CONTAINER_OF(strays.next, struct fair_entity, node);

        list_remove(&e->node);
        enqueue(fair_thread(e), *now, false, 0);
    }
    if (hart_count > 1 && atomic_load_explicit(&h->runq.length, memory_order_relaxed) &&
        (balance_as == LEAVE_READY || h->balanced_at == *now))
        balance_offer(h, *now);
    if (next == t) {
        set_slice(h, *now);
        account_stays(h, *now);
    }
    h->previous_pays = balance_as != LEAVE_READY;
    return next;
}

static void schedule(enum thread_leave why)
{
    struct hart *h = this_hart();
    struct thread *t = h->current;
    uint64_t now;
    struct thread *next = next_thread(h, why, &now);

    if (next != t)
        switch_to(h, next, now, &t->sp);
}

/* thread_leave, whatever it meets. */
static __attribute__((noinline)) void leave_slowly(enum thread_leave why)
{
    struct hart *h = this_hart();
    struct thread *t = h->current;
    uint64_t now, nowhere;
    struct thread *next = next_thread(h, why, &now);

    if (next == t) {
        arch_begin_anew(stack_top(t), t->fn, t->arg);
        return;
    }
    t->sp = 0;
    switch_to(h, next, now, &nowhere);
}

/* Whether nothing but the one switch is to be done when t leaves: nothing to balance, nobody to wait for, all time its
 * own, the alarm early enough; *ran: of t, until now. */
static inline bool is_plain(const struct hart *h, const struct thread *t, uint64_t now,
                            uint64_t *ran)
{
    *ran = now - t->since + t->fair.owed;
    return !(h->interrupted_at | h->interrupt_time) && !h->yield_to &&
           now - h->balanced_at < fair_clock.slice && h->timer_armed <= now + fair_clock.slice &&
           *ran < fair_clock.forget && fair_is_free(t->fair.group);
}

/* Under the queue's lock: the first one, if it may come in t's place without more ado. */
static inline struct thread *plain_next(const struct hart *h)
{
    const struct fair_queue *q = &h->runq;
    struct thread *next = list_empty(&q->ready) ? 0 : fair_thread(fair_first(q));
    bool plain = next && list_empty(&q->held) && fair_is_free(next->fair.group) && !next->sp &&
                 next->take_over;

    return plain ? next : 0;
}

/* The end of the slice is all that a hart wakes for; the alarm is early enough. */
static inline void set_plain_slice(struct hart *h, uint64_t now)
{
    bool waits = relaxed_load32(&h->runq.length);

    atomic_store_explicit(&h->ticks, waits, memory_order_relaxed);
    if (!waits) {
        arch_fence_rw(); /* see notify */
        waits = relaxed_load32(&h->runq.length);
        atomic_store_explicit(&h->ticks, waits, memory_order_relaxed);
    }
    h->slice_end = waits ? now + fair_clock.slice : UINT64_MAX;
}

/* The current thread's stay ends at `now`, and next's begins: the queue and the tags. */
static inline void change_places(struct hart *h, struct thread *t, struct thread *next,
                                 enum thread_leave why, uint64_t now)
{
    if (why == LEAVE_BLOCKED) {
        fair_group_leave(t->fair.group);
        fair_remove(&next->fair);
    } else {
        relaxed_store32(&t->state, THREAD_READY);
        fair_trade(&h->runq, &next->fair, &t->fair);
    }
    fair_run(&h->runq, &next->fair, now);
}

/* Not to block, since what was to be waited for is there. */
static inline bool is_woken(struct thread *t)
{
    unsigned blocked = THREAD_BLOCKED;

    if (atomic_exchange(&t->wake, false))
        return true;
    atomic_store(&t->state, THREAD_BLOCKED);
    return atomic_exchange(&t->wake, false) &&
           atomic_compare_exchange_strong(&t->state, &blocked, THREAD_RUNNING);
}

/* The frequent switch, of one vCPU to another, is whole here, without a call or anything saved on a stack; it finds out
 * that it is one before it changes anything. */
void thread_leave(enum thread_leave why)
{
    struct hart *h = this_hart();
    struct thread *t = h->current, *next;
    uint64_t now, ran;

    if (why == LEAVE_READY) {
        leave_slowly(why);
        return;
    }
    if (HYP_DEBUG) {
        spin_none_held("thread_leave");
        stack_check(t);
    }
    if (why == LEAVE_BLOCKED && is_woken(t)) {
        arch_begin_anew(stack_top(t), t->fn, t->arg);
        return;
    }
    now = arch_time();
    if (!is_plain(h, t, now, &ran) || !spin_trylock_leaf(&h->runq_lock)) {
        leave_slowly(why);
        return;
    }
    next = plain_next(h);
    if (!next) {
        spin_unlock_leaf(&h->runq_lock);
        leave_slowly(why);
        return;
    }
    account_thread(t, THREAD_RAN, now);
    fair_move_tags(&h->runq, &t->fair, ran);
    change_places(h, t, next, why, now);
    spin_unlock_leaf(&h->runq_lock);
    set_plain_slice(h, now);
    relaxed_store32(&next->state, THREAD_RUNNING);
    atomic_store_explicit(&next->on_hart, true, memory_order_relaxed);
    t->sp = 0;
    h->resched = h->slice_over = false;
    h->switched_from = t;
    h->current = next;
    arch_begin_anew(stack_top(next), next->take_over, next->arg);
}

void thread_block(void)
{
    spin_none_held("thread_block"); /* even if it need not wait this time */
    if (!is_woken(thread_current()))
        schedule(LEAVE_BLOCKED);
}

void thread_yield(void)
{
    irq_poll();
    schedule(LEAVE_YIELDING);
}

bool thread_yield_to(struct thread *t)
{
    struct hart *h = this_hart();

    if (atomic_load_explicit(&t->state, memory_order_relaxed) != THREAD_READY ||
        t->hart != h->index)
        return false;
    h->yield_to = t;
    h->resched = true;
    return true;
}

void thread_hurry(struct thread *t)
{
    struct hart *h = harts[t->hart];
    bool here;

    if (atomic_load_explicit(&t->state, memory_order_relaxed) != THREAD_READY)
        return;
    spin_lock(&h->runq_lock);
    here = t->fair.queue == &h->runq;
    if (here)
        fair_hurry(&h->runq, &t->fair, arch_time());
    spin_unlock(&h->runq_lock);
    if (here)
        notify(h, true);
}

void sched_point(void)
{
    spin_none_held("sched_point");
    irq_poll();
    sched_resched();
}

void sched_resched(void)
{
    if (this_hart()->resched)
        schedule(LEAVE_READY);
}

void thread_group_changed(void)
{
    for (unsigned i = 0; i < hart_count; i++)
        if (harts[i] != this_hart())
            hart_request(i, HART_REQ_RESCHED);
    this_hart()->resched = true;
}

/* What a hart does when nothing else wants it. Interrupts stay off in HS-mode: WFI wakes for them
 * all the same, and irq_poll takes them. */
void sched_idle(void)
{
    struct hart *h = this_hart();

    atomic_store(&h->online, true);
    for (;;) {
        irq_poll();
        schedule(LEAVE_READY);
        if (!atomic_load_explicit(&h->runq.length, memory_order_relaxed) &&
            !atomic_load(&h->requests) && !h->resched)
            arch_wfi();
    }
}
