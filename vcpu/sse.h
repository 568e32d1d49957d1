// SPDX-License-Identifier: BSD-2-Clause
// SSE: supervisor software events; what the exit boundary, HSM and the operator's kick need of them.
//
// An event is raised from anywhere (sse_raise, sbi_sse_inject): it becomes pending, and a vCPU is asked to
// look (VCPU_REQ_SSE). The vCPU itself delivers it at its exit boundary, with everything of it in struct
// vcpu: the guest goes on in its handler, and comes back by sbi_sse_complete. So WFI ends by an event;
// suspends of HSM and SUSP do not (the hart would be in its handler without what it lost): it waits.
//
// Invariants: all of struct vcpu_sse, of all vCPUs of a VM, is under guest->sse_lock, but for what happens to
// vCPUs that are parked. A global event is in vCPU 0's entry. Events that run on a vCPU are nested by rising
// priority, so the one to complete is that of the highest.
// Lock rank: guest->sse_lock is LOCK_IRQCHIP; none held on entry. Callers: boundary.c, kick.c, regs.c, vcpu.c, sbi/.
#pragma once
#include "vcpu/vcpu.h"

/* Delivers what is due. On the vCPU's own thread, loaded, at the exit boundary. */
void sse_deliver(struct vcpu *v);
/* Ends the handler of the highest priority that runs on v: registers and pc are the interrupted ones'.
 * False when none runs. On the vCPU's own thread, loaded. */
bool sse_complete(struct vcpu *v);
/* The hart stops or starts: its events are as after a reset, and masked; a global event that it was handling
 * has ended, one that it should have handled goes to another. On the vCPU's own thread. */
void sse_reset_hart(struct vcpu *v);
/* All events of v as when the VM starts. Parked. */
void sse_reset(struct vcpu *v);
/* The event becomes pending; a local one for v, a global one for whoever is ready. Any thread. */
void sse_raise(struct vcpu *v, enum sse_index index);
/* A guest's VM has come to a state where it may be due: somebody is asked to look. Lock held. */
void sse_route(struct vcpu *v, enum sse_index index);
/* v looks at its events before it runs on: it comes from a suspend, or from a stream. */
static inline void sse_resume(struct vcpu *v)
{
    if (v->sse.unmasked)
        atomic_fetch_or(&v->requests, VCPU_REQ_SSE);
}

static inline bool sse_is_global(enum sse_index index) { return index >= SSE_LOCALS; }
/* The entry of an event as v sees it. */
static inline struct sse_event *sse_event(struct vcpu *v, enum sse_index index)
{
    return &(sse_is_global(index) ? v->guest->vcpu[0] : v)->sse.event[index];
}
static inline enum sse_state sse_state(const struct sse_event *e)
{
    return (enum sse_state)(e->attr[SSE_STATUS] & SSE_STATUS_STATE);
}
static inline void sse_set_state(struct sse_event *e, enum sse_state state)
{
    e->attr[SSE_STATUS] = (e->attr[SSE_STATUS] & ~SSE_STATUS_STATE) | state;
}
