// SPDX-License-Identifier: BSD-2-Clause
#include "sched/thread_list.h"

#include <string.h>

#include "sched/stack.h"

static struct spinlock lock = SPINLOCK_INIT(LOCK_RUNQUEUE);
static struct list threads = LIST_INIT(threads);
static uint64_t last_id;

void thread_list_add(struct thread *t)
{
    spin_lock(&lock);
    t->id = ++last_id;
    list_push_back(&threads, &t->all);
    spin_unlock(&lock);
}

void thread_list_remove(struct thread *t)
{
    spin_lock(&lock);
    list_remove(&t->all);
    spin_unlock(&lock);
}

void thread_list_each(void (*fn)(void *ctx, const struct thread *t), void *ctx)
{
    spin_lock(&lock);
    LIST_FOR_EACH(n, &threads)
    fn(ctx, CONTAINER_OF(n, struct thread, all));
    spin_unlock(&lock);
}

static void describe(struct thread_info *info, const struct thread *t)
{
    uint64_t times[THREAD_TIMES];

    info->id = t->id;
    memcpy(info->name, t->name, sizeof(info->name));
    info->state = atomic_load(&t->state);
    info->hart = t->hart;
    thread_times(t, times);
    info->run_time = times[THREAD_RAN];
    info->deepest = t->stack ? stack_deepest(t->stack) : 0;
}

bool thread_list_next(struct thread_info *info)
{
    bool found = false;

    spin_lock(&lock);
    LIST_FOR_EACH(n, &threads)
    {
        const struct thread *t = CONTAINER_OF(n, struct thread, all);

        if (t->id <= info->id)
            continue;
        describe(info, t);
        found = true;
        break;
    }
    spin_unlock(&lock);
    return found;
}
