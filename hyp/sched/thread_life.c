// SPDX-License-Identifier: BSD-2-Clause
// Threads that are made and go, a hart's idle thread among them.
#include <errno.h>

#include "base/log.h"
#include "mem/heap.h"
#include "mem/hostmap.h"
#include "sched/irq.h"
#include "sched/stack.h"
#include "sched/thread.h"
#include "sched/thread_list.h"
#include "sched/xcall.h"

struct fair_group thread_hypervisor;

/* A hart may have cached that nothing was mapped where the stack is now. */
static void see_mappings(void *arg)
{
    (void)arg;
    arch_sfence_all();
}

int thread_init(struct thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
    t->stack = hostmap_stack(THREAD_STACK_SIZE);
    if (!t->stack)
        return -ENOMEM;
    xcall_run(~0ul >> (64 - hart_count), see_mappings, 0);
    fmt_snprintf(t->name, sizeof(t->name), "%s", name);
    list_init(&t->fair.node);
    t->fair.group = &thread_hypervisor;
    t->since = arch_time();
    t->blocked_as = THREAD_IDLED;
    t->fn = fn;
    t->arg = arg;
    atomic_store(&t->state, THREAD_BLOCKED);
    t->hart = hart_index();
    t->sp = 0;
    thread_list_add(t);
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
    thread_list_remove(t);
    stack_note_end(t);
    hostmap_stack_free(t->stack, THREAD_STACK_SIZE);
    t->stack = 0;
}

void sched_hart_init(struct hart *h, struct thread *idle)
{
    if (!thread_hypervisor.weight)
        fair_group_init(&thread_hypervisor);
    fair_set_clock();
    fair_queue_init(&h->runq);
    list_init(&h->timers);
    spin_init(&h->runq_lock, LOCK_RUNQUEUE);
    spin_init(&h->timer_lock, LOCK_RUNQUEUE);
    h->slice_end = h->timer_armed = h->release_at = UINT64_MAX;
    h->idle = h->current = idle;
    atomic_store(&idle->state, THREAD_RUNNING);
    atomic_store(&idle->on_hart, true);
    idle->hart = h->index;
    idle->since = arch_time();
    thread_list_add(idle);
}
