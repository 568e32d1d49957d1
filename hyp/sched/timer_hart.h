// SPDX-License-Identifier: BSD-2-Clause
// A hart's timer hardware, for the scheduler and the interrupt entry only.
// Lock rank: none held. Callers: thread.c, timer.c, irq.c; boot and features.c (timer_sstc).
#pragma once
#include "sched/hart.h"
#include "sched/timer.h"

extern bool timer_sstc;          /* the host has Sstc: stimecmp instead of SBI calls */
/* Programs the hart's comparator for the earliest of its timers and the end of the slice. */
void timer_program(struct hart *h, uint64_t when);
static inline void timer_arm(struct hart *h)
{
    uint64_t when = h->slice_end;

    if (!list_empty(&h->timers))
        when = min_u64(when, CONTAINER_OF(h->timers.next, struct timer, node)->when);
    if (when != h->timer_armed)
        timer_program(h, when);
}
void timer_run(struct hart *h);  /* the timer interrupt: due timers, end of the slice */
