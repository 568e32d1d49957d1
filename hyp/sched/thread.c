// SPDX-License-Identifier: BSD-2-Clause
// The scheduler: per-hart queues ordered by virtual run time, least first (start-time fair queueing in
// its simplest form). All threads weigh the same; a woken thread gets at most one slice of credit over
// those that kept running, so that what waits for input runs soon and nobody can save up time.
#include "sched/thread.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "mem/heap.h"
#include "mem/hostmap.h"
#include "sched/irq.h"
#include "sched/timer_hart.h"
#include "sched/xcall.h"

#define SLICE_US 4000
#define GRANULARITY_US 500 /* a newcomer must be this far behind to preempt */
#define FRAME_WORDS 14

void swtch(uint64_t *save_sp, uint64_t load_sp);

static struct thread *node_thread(struct list *n) { return CONTAINER_OF(n, struct thread, node); }

static void enqueue_locked(struct hart *h, struct thread *t)
{
    struct list *at;
    uint64_t credit = timer_us(SLICE_US);
    uint64_t floor = h->min_vruntime > credit ? h->min_vruntime - credit : 0;

    t->vruntime = max_u64(t->vruntime, floor);
    t->hart = h->index;
    for (at = h->runq.next; at != &h->runq; at = at->next)
        if (node_thread(at)->vruntime > t->vruntime)
            break;
    list_insert_before(at, &t->node);
    h->runq_length++;
}

static struct thread *dequeue_locked(struct hart *h, struct list *n)
{
    list_remove(n);
    h->runq_length--;
    return node_thread(n);
}

/* Where a woken thread goes: where it ran last if that is idle, else any idle hart, else back. */
static unsigned pick_hart(const struct thread *t)
{
    if (harts[t->hart]->current == harts[t->hart]->idle && !harts[t->hart]->runq_length)
        return t->hart;
    for (unsigned i = 0; i < hart_count; i++)
        if (atomic_load(&harts[i]->online) && harts[i]->current == harts[i]->idle &&
            !harts[i]->runq_length)
            return i;
    return t->hart;
}

static void make_ready(struct thread *t)
{
    struct hart *h = harts[pick_hart(t)];

    spin_lock(&h->runq_lock);
    /* Virtual times are relative to a queue; one that moves takes its lag along, no more. */
    if (t->hart != h->index) {
        uint64_t from = harts[t->hart]->min_vruntime;
        uint64_t lag = t->vruntime > from ? min_u64(t->vruntime - from, timer_us(SLICE_US)) : 0;

        t->vruntime = h->min_vruntime + lag;
    }
    enqueue_locked(h, t);
    spin_unlock(&h->runq_lock);
    if (h == this_hart())
        h->resched = true;
    else
        hart_request(h->index, HART_REQ_RESCHED);
}

void thread_wake(struct thread *t)
{
    unsigned blocked = THREAD_BLOCKED;

    atomic_store(&t->wake, true);
    if (!atomic_compare_exchange_strong(&t->state, &blocked, THREAD_READY))
        return;
    /* It may still be on its way out of a hart. That hart waits for nobody on the way. */
    while (atomic_load_explicit(&t->on_hart, memory_order_acquire))
        arch_pause();
    make_ready(t);
}

/* Charges the time since it got the hart. */
static void account(struct hart *h, struct thread *t)
{
    uint64_t now = arch_time();

    t->run_time += now - t->started;
    t->vruntime += now - t->started;
    t->started = now;
    if (t != h->idle && t->vruntime > h->min_vruntime) {
        uint64_t least = t->vruntime;

        if (!list_empty(&h->runq))
            least = min_u64(least, node_thread(h->runq.next)->vruntime);
        h->min_vruntime = max_u64(h->min_vruntime, least);
    }
}

/* A slice only while others wait: a hart with one thread takes no tick. */
static void set_slice(struct hart *h)
{
    h->slice_end =
        h->runq_length && h->current != h->idle ? arch_time() + timer_us(SLICE_US) : UINT64_MAX;
    timer_arm(h);
}

/* After a switch, on the new thread's stack: the old one's is free for others now. */
static void finish_switch(struct thread *previous)
{
    struct hart *h = this_hart();

    atomic_store_explicit(&previous->on_hart, false, memory_order_release);
    if (h->current->switch_in)
        h->current->switch_in(h->current);
    set_slice(h);
}

static void switch_to(struct hart *h, struct thread *next)
{
    struct thread *previous = h->current;

    if (previous->switch_out)
        previous->switch_out(previous);
    atomic_store(&next->state, THREAD_RUNNING);
    /* A thread that was queued by another hart a moment ago is off that hart: see schedule(). */
    atomic_store(&next->on_hart, true);
    next->started = arch_time();
    next->hart = h->index;
    h->current = next;
    h->switched_from = previous;
    swtch(&previous->sp, next->sp);
    finish_switch(this_hart()->switched_from);
}

/* Takes a thread from the longest other queue for a hart that has nothing to do. */
static struct thread *steal(struct hart *me)
{
    struct hart *from = 0;
    struct thread *t = 0;

    for (unsigned i = 0; i < hart_count; i++)
        if (harts[i] != me && harts[i]->runq_length &&
            (!from || harts[i]->runq_length > from->runq_length))
            from = harts[i];
    if (!from)
        return 0;
    spin_lock(&from->runq_lock);
    for (struct list *n = from->runq.prev; n != &from->runq; n = n->prev) {
        /* One that was preempted this moment may still be on its stack. */
        if (!atomic_load_explicit(&node_thread(n)->on_hart, memory_order_acquire)) {
            t = dequeue_locked(from, n);
            break;
        }
    }
    spin_unlock(&from->runq_lock);
    if (t)
        t->vruntime = me->min_vruntime;
    return t;
}

/* Evens out queue lengths when a slice ends: a thread of ours moves to a hart with two fewer. */
static void push_one(struct hart *me)
{
    struct hart *to = 0;
    struct thread *t = 0;

    for (unsigned i = 0; i < hart_count; i++)
        if (harts[i] != me && atomic_load(&harts[i]->online) &&
            (!to || harts[i]->runq_length < to->runq_length))
            to = harts[i];
    if (!to || to->runq_length + 2 > me->runq_length)
        return;
    spin_lock(&me->runq_lock);
    if (me->runq_length > 1)
        t = dequeue_locked(me, me->runq.prev);
    spin_unlock(&me->runq_lock);
    if (!t)
        return;
    spin_lock(&to->runq_lock);
    t->vruntime = to->min_vruntime;
    enqueue_locked(to, t);
    spin_unlock(&to->runq_lock);
    hart_request(to->index, HART_REQ_RESCHED);
}

/* ready: the current thread can go on; it is queued again unless it is to stay. */
static void schedule(bool ready)
{
    struct hart *h = this_hart();
    struct thread *t = h->current, *next = 0;

    h->resched = false;
    account(h, t);
    spin_lock(&h->runq_lock);
    if (!list_empty(&h->runq))
        next = node_thread(h->runq.next);
    if (ready && t != h->idle) {
        if (!next || next->vruntime + timer_us(GRANULARITY_US) > t->vruntime) {
            spin_unlock(&h->runq_lock);
            set_slice(h);
            return;
        }
        dequeue_locked(h, &next->node);
        /* Queued while its stack is in use: nobody takes it before finish_switch (on_hart). */
        atomic_store(&t->state, THREAD_READY);
        enqueue_locked(h, t);
    } else if (next) {
        dequeue_locked(h, &next->node);
    }
    spin_unlock(&h->runq_lock);
    if (!next)
        next = steal(h);
    if (!next)
        next = h->idle;
    if (next == t) {
        set_slice(h);
        return;
    }
    switch_to(h, next);
}

void thread_block(void)
{
    struct thread *t = thread_current();
    unsigned blocked = THREAD_BLOCKED;

    if (atomic_exchange(&t->wake, false))
        return;
    atomic_store(&t->state, THREAD_BLOCKED);
    if (atomic_exchange(&t->wake, false) &&
        atomic_compare_exchange_strong(&t->state, &blocked, THREAD_RUNNING))
        return;
    schedule(false);
}

void thread_yield(void)
{
    struct hart *h = this_hart();

    irq_poll();
    account(h, h->current);
    spin_lock(&h->runq_lock);
    /* Behind all that wait now. */
    if (!list_empty(&h->runq))
        h->current->vruntime = max_u64(h->current->vruntime, node_thread(h->runq.prev)->vruntime +
                                                                 timer_us(GRANULARITY_US));
    spin_unlock(&h->runq_lock);
    schedule(true);
}

void sched_point(void)
{
    irq_poll();
    sched_resched();
}

void sched_resched(void)
{
    struct hart *h = this_hart();

    if (!h->resched)
        return;
    if (h->runq_length > 1 && h->slice_end == UINT64_MAX)
        push_one(h);
    schedule(true);
}

/* First code of every thread, on its own stack. */
static void thread_entry(void)
{
    struct thread *t;

    finish_switch(this_hart()->switched_from);
    t = thread_current();
    t->fn(t->arg);
    atomic_store(&t->state, THREAD_DEAD);
    schedule(false);
}

/* A hart may have cached that nothing was mapped where the stack is now. */
static void see_mappings(void *arg)
{
    (void)arg;
    arch_sfence_all();
}

int thread_init(struct thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
    uint64_t *frame;

    t->stack = hostmap_stack(THREAD_STACK_SIZE);
    if (!t->stack)
        return -ENOMEM;
    xcall_run(~0ul >> (64 - hart_count), see_mappings, 0);
    fmt_snprintf(t->name, sizeof(t->name), "%s", name);
    list_init(&t->node);
    t->fn = fn;
    t->arg = arg;
    atomic_store(&t->state, THREAD_BLOCKED);
    t->hart = hart_index();
    frame = (uint64_t *)((char *)t->stack + THREAD_STACK_SIZE) - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof(*frame));
    frame[0] = (uint64_t)thread_entry; /* ra */
    t->sp = (uint64_t)frame;
    return 0;
}

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
    struct thread *t = heap_alloc(sizeof(*t));

    if (t && thread_init(t, name, fn, arg)) {
        heap_free(t);
        return 0;
    }
    return t;
}

void thread_destroy(struct thread *t)
{
    while (atomic_load(&t->state) == THREAD_READY || atomic_load(&t->state) == THREAD_RUNNING ||
           atomic_load_explicit(&t->on_hart, memory_order_acquire))
        thread_yield();
    hostmap_stack_free(t->stack, THREAD_STACK_SIZE);
    t->stack = 0;
}

void sched_hart_init(struct hart *h, struct thread *idle)
{
    list_init(&h->runq);
    list_init(&h->timers);
    spin_init(&h->runq_lock, LOCK_RUNQUEUE);
    spin_init(&h->timer_lock, LOCK_RUNQUEUE);
    h->slice_end = h->timer_armed = UINT64_MAX;
    h->idle = h->current = idle;
    atomic_store(&idle->state, THREAD_RUNNING);
    atomic_store(&idle->on_hart, true);
    idle->hart = h->index;
}

/* What a hart does when nothing else wants it. Interrupts stay off in HS-mode: WFI wakes for them
 * all the same, and irq_poll takes them. */
void sched_idle(void)
{
    struct hart *h = this_hart();

    atomic_store(&h->online, true);
    for (;;) {
        irq_poll();
        h->resched = false;
        schedule(true);
        if (!h->runq_length && !atomic_load(&h->requests) && !h->resched)
            arch_wfi();
    }
}
