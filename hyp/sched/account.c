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

void thread_times(const struct thread *t, uint64_t times[THREAD_TIMES])
{
    static const enum thread_time ready_as[] = {THREAD_WAITED, THREAD_CAPPED};
    unsigned state = atomic_load(&t->state);
    uint64_t since = t->since, now = arch_time();
    /* An idle thread is never queued: it stays RUNNING while others have its hart. */
    bool waits = state == THREAD_READY || (state == THREAD_RUNNING && !atomic_load(&t->on_hart));
    enum thread_time kind = waits                     ? ready_as[t->fair.held]
                            : state == THREAD_RUNNING ? THREAD_RAN
                                                      : t->blocked_as;

    memcpy(times, t->time, sizeof(t->time));
    if (now > since)
        times[kind] += now - since;
}
