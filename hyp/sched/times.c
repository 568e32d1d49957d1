// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "sched/thread.h"

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
