// SPDX-License-Identifier: BSD-2-Clause
#include "sched/account.h"

#include <string.h>

/* The time of an interrupt since what was last found the payer of, which is not the interrupted thread's. */
static uint64_t claim(struct hart *h, uint64_t now)
{
    uint64_t passed = now > h->interrupted_at ? now - h->interrupted_at : 0;

    h->interrupted_at = now;
    h->interrupt_time += passed;
    return passed;
}

void account_device(struct hart *h, uint64_t since)
{
    uint64_t now = arch_time();

    if (h->interrupted_at)
        claim(h, now);
    else
        h->interrupt_time += now - since;
}

void account_wake(struct hart *h, struct thread *t, uint64_t now)
{
    account_thread(t, t->blocked_as, now);
    if (!h->interrupted_at)
        return;
    t->fair.owed += claim(h, now) + h->wake_tail;
    h->wake_tail = 0;
    h->woke = true;
}

uint64_t account_charge(struct hart *h)
{
    struct thread *t = h->current;
    uint64_t now = h->interrupted_at ? h->interrupted_at : arch_time(), ran;

    t->since += min_u64(h->interrupt_time, now > t->since ? now - t->since : 0);
    h->interrupted_at = h->interrupt_time = 0;
    ran = account_thread(t, THREAD_RAN, now);
    if (t != h->idle)
        fair_charge(&h->runq, &t->fair, ran, now);
    return now;
}

void account_stays(struct hart *h, uint64_t charged)
{
    uint64_t now;

    if (!h->woke)
        return;
    now = arch_time();
    h->wake_tail += now - charged;
    h->current->since = now;
    fair_run_from(&h->runq, now);
    h->woke = false;
}

void account_switched(struct hart *h, struct thread *previous)
{
    uint64_t now = h->switch_began;

    h->woke = false;
    if (h->previous_pays && previous != h->idle) {
        now = arch_time();
        previous->fair.owed += account_thread(previous, THREAD_RAN, now);
        fair_run_from(&h->runq, now);
    }
    account_thread(h->current, THREAD_WAITED, now);
}

void thread_times(const struct thread *t, uint64_t times[THREAD_TIMES])
{
    static const enum thread_time ready_as[] = {THREAD_WAITED, THREAD_CAPPED};
    unsigned state = atomic_load(&t->state);
    uint64_t since = t->since, now = arch_time();
    enum thread_time kind = state == THREAD_RUNNING ? THREAD_RAN
                            : state == THREAD_READY ? ready_as[t->fair.held]
                                                    : t->blocked_as;

    memcpy(times, t->time, sizeof(t->time));
    if (now > since)
        times[kind] += now - since;
}
