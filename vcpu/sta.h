// SPDX-License-Identifier: BSD-2-Clause
// Steal time told to the guest, in memory that it named (SBI 3.0 chapter 16, "Steal-time Accounting"):
// the time in which a vCPU was ready and did not run, since another had the hart or its VM's cap was used
// up. Neither idle nor paused time is in it (sched/thread.h, enum thread_time).
// Invariants: written at the exit boundary only, by the vCPU's own thread: never while it is paused, and a
// saved vCPU's area agrees with its registers. What the guest writes there is not read.
// Lock rank: none held (guest_mem takes LOCK_STAGE2). Callers: boundary.c, sbi/sta.c, regs.c, vcpu.c.
#pragma once
#include "vcpu/vcpu.h"

/* Zeroes the area (64 bytes, aligned, all RAM) and begins at 0; negative errno: as guest_mem_write. */
int sta_start(struct vcpu *v, uint64_t area) MUST_CHECK;
void sta_update(struct vcpu *v, bool preempted);

static inline uint64_t sta_stolen_ticks(const struct vcpu *v)
{
    return v->thread.time[THREAD_WAITED] + v->thread.time[THREAD_CAPPED];
}
/* After its registers were loaded: what was stolen from it before is in them. */
static inline void sta_restored(struct vcpu *v)
{
    v->sta.counted = sta_stolen_ticks(v);
    v->sta.preempted = true; /* for all that is known: written anew before it runs */
}
static inline void sta_reset(struct vcpu *v)
{
    v->sta = (struct vcpu_sta){0};
    sta_restored(v);
}

/* Before the guest is entered; before others may take the hart. Both cost nothing when the guest has no area. */
static inline void sta_enter(struct vcpu *v)
{
    if (v->sta.area)
        sta_update(v, false);
}
static inline void sta_leave(struct vcpu *v)
{
    if (v->sta.area)
        sta_update(v, true);
}
