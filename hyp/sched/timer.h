// SPDX-License-Identifier: BSD-2-Clause
// Timers of the hypervisor, in host time (the time CSR). Each lives on the hart that set it; the
// function runs on that hart at its next exit boundary or idle round after the time, no lock held.
// A timer is set and cancelled by one thread at a time, on whatever hart that runs.
// Lock rank: LOCK_RUNQUEUE (internal, never with the run queue's). Callers: everybody above sched.
#pragma once
#include "base/list.h"

struct timer {
    struct list node;
    uint64_t when;   /* host time */
    void (*fn)(struct timer *t);
    unsigned hart;   /* where it is queued */
    bool queued;
};

extern uint64_t timer_hz; /* timebase frequency */

void timer_init(struct timer *t, void (*fn)(struct timer *t));
void timer_set(struct timer *t, uint64_t when); /* instead of what it was set to before */
/* It is not queued any more; its function may be under way on another hart. */
void timer_cancel(struct timer *t);
/* The same, and its function does not run any more, anywhere: it may be freed. No locks held. */
void timer_cancel_wait(struct timer *t);
static inline uint64_t timer_us(uint64_t us) { return us * timer_hz / 1000000; }
