// SPDX-License-Identifier: BSD-2-Clause
// Interrupts of the host: taken only while a guest runs or by polling here, never in HS-mode code.
// Lock rank: none held by callers. Callers: the exit path, the idle loop, long housekeeping work.
#pragma once
#include "sched/hart.h"

/* Does what the pending interrupts of this hart ask: IPIs, timers, external ones. */
void irq_poll(void);
/* The host's interrupt controller, filled in by boot; and what idle harts poll, or NULL. */
extern void (*irq_external)(void);

/* Switches to another thread if one should run now (hart->resched). */
void sched_resched(void);
void sched_hart_init(struct hart *h, struct thread *idle);
NORETURN void sched_idle(void);
/* Whether another thread waits for this hart. */
static inline bool sched_others_wait(void)
{
    return atomic_load_explicit(&this_hart()->runq.length, memory_order_relaxed);
}
