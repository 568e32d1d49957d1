// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/boundary.h"

#include "base/log.h"
#include "sched/account.h"
#include "sched/irq.h"
#include "vcpu/exit.h"
#include "vcpu/kick.h"
#include "vcpu/load_turn.h"
#include "vcpu/sbi/hsm.h"
#include "vcpu/sta.h"
#include "vcpu/sse.h"

NORETURN void vcpu_enter(struct vcpu *v); /* switch.S */

/* With Sstc it only wakes the vCPU. Without, the vCPU itself raises VSTIP, since on another hart it may
 * have set its timer anew while the old one fired here. */
void boundary_timer_fired(struct timer *t)
{
    struct vcpu *v = CONTAINER_OF(t, struct vcpu, timer);

    if (v->guest->sstc)
        thread_wake(&v->thread);
    else
        vcpu_request(v, VCPU_REQ_TIMER);
}

/* Whether an interrupt is pending and enabled for the guest (as WFI sees it). Loaded only. */
static bool irq_pending(void) { return csr_read(CSR_VSIP) & csr_read(CSR_VSIE); }

/* Off the hart until something is asked of it; with Sstc its comparator can't fire then, so a timer
 * of ours stands in for it. */
static void wait_for_interrupt(struct vcpu *v)
{
    if (v->guest->sstc) {
        uint64_t when = csr_read(CSR_VSTIMECMP);

        if (when != UINT64_MAX && csr_read(CSR_VSIE) & BIT(IRQ_STI))
            timer_set(&v->timer, vcpu_host_time(v, when));
    }
    thread_leave(LEAVE_BLOCKED);
}

/* Once it is made, parked is only written here, so that an unpark followed by a park at once finds it
 * right; and while it is set, load_switch_in loads nothing. */
static void park(struct vcpu *v)
{
    v->thread.blocked_as = THREAD_OFF;
    load_unload(v);
    for (;;) {
        atomic_store(&v->parked, true);
        if (!(atomic_load(&v->requests) & VCPU_REQ_PARK)) {
            atomic_store(&v->parked, false);
            if (!(atomic_load(&v->requests) & VCPU_REQ_PARK)) {
                v->thread.blocked_as = THREAD_IDLED;
                return;
            }
            continue;
        }
        thread_block();
    }
}

/* Also when the hart stops: while any counts firmware events, all exits of its guest go the long way. */
static void forget_counters(struct vcpu *v)
{
    if (pmu_reset(v))
        exit_choose_vectors(v->guest);
}

static void begin(struct vcpu *v)
{
    load_unload(v);
    atomic_fetch_and(&v->requests, ~(uint64_t)VCPU_REQ_KICK); /* of what ran before it stopped */
    if (!v->guest->sstc)
        vcpu_set_timer(v, UINT64_MAX); /* with it, vstimecmp below */
    v->csr.vsatp = 0;
    v->csr.vsstatus &= ~(uint64_t)SSTATUS_SIE;
    v->csr.vsie = 0;
    v->csr.hvip = 0;
    v->csr.vstimecmp = UINT64_MAX;
    fwft_reset(v);
    sta_reset(v);
    forget_counters(v);
    sse_reset_hart(v);
    v->sstatus |= SSTATUS_SPP;
    v->hstatus |= HSTATUS_SPVP;
    v->gpr[10] = v->hartid;
    v->gpr[11] = v->start_arg;
    v->pc = v->start_pc;
    v->in_wfi = false;
    atomic_store(&v->irq_edge, 0);
    atomic_store(&v->start_ready, false);
    atomic_store(&v->hsm, HSM_STARTED);
}

/* What others asked for. */
static void answer(struct vcpu *v)
{
    uint64_t asked = atomic_fetch_and(&v->requests, (uint64_t)VCPU_REQ_PARK);

    if (asked & VCPU_REQ_TIMER && v->wake_at <= arch_time() + v->guest->time_delta)
        vcpu_irq_set(v, HVIP_VSTIP, true);
    if (asked & VCPU_REQ_IRQ)
        load_sync_irq(v);
    if (asked & VCPU_REQ_FENCE)
        arch_hfence_vvma_all();
    if (asked & VCPU_REQ_FENCE_I)
        arch_fence_i();
    if (asked & VCPU_REQ_KICK)
        kick_inject(v);
    if (asked & VCPU_REQ_SSE)
        sse_deliver(v);
}

/* To a sibling that waits for this hart, since it may be what the guest waits for; else to whoever does. */
static void yield(struct vcpu *v)
{
    const struct guest *g = v->guest;

    v->yielding = false;
    for (unsigned i = 1; i < g->vcpu_count; i++)
        if (thread_yield_to(&g->vcpu[(v->index + i) % g->vcpu_count]->thread))
            return;
    thread_leave(LEAVE_YIELDING);
}

/* All that is not done at most boundaries; false: look again, for it took time. */
static __attribute__((noinline)) bool settle(struct vcpu *v, uint64_t requests, uint32_t hsm)
{
    if (v->guest->sstc)
        timer_cancel(&v->timer); /* of the wait that is over, if it waited */
    /* Siblings that wake it again and again, for nothing that it waits for, can keep it from its guest, where the hart's
     * interrupts come through. Before the look at what is pending, as they may change it. */
    if (csr_read(CSR_SIP) & csr_read(CSR_SIE))
        irq_poll();
    if (requests & VCPU_REQ_PARK || atomic_load(&v->parked)) {
        park(v);
        return false;
    }
    if (hsm == HSM_START_PENDING && atomic_load(&v->start_ready)) {
        begin(v);
        return false;
    }
    if (hsm != HSM_STARTED && hsm != HSM_SUSPENDED) {
        load_unload(v);
        forget_counters(v);
        v->thread.blocked_as = THREAD_OFF;
        thread_block();
        v->thread.blocked_as = THREAD_IDLED;
        return false;
    }
    if (atomic_load(&v->loaded_hart) < 0)
        load_vcpu(v);
    if (requests)
        answer(v);
    if (hsm == HSM_SUSPENDED || v->in_wfi) {
        if (!irq_pending()) {
            wait_for_interrupt(v);
            return false;
        }
        v->in_wfi = false;
        if (hsm == HSM_SUSPENDED && !hsm_resume(v))
            return false;
    }
    return true;
}

static inline bool is_settled(const struct vcpu *v, uint64_t requests, uint32_t hsm)
{
    bool loaded = atomic_load_explicit(&v->loaded_hart, memory_order_relaxed) >= 0;

    return !requests && hsm == HSM_STARTED && !v->in_wfi && loaded;
}

/* Alone on its hart, it may wait there: WFI traps only when somebody else wants the hart. */
static inline void choose_wfi(void)
{
    if (sched_others_wait())
        csr_set(CSR_HSTATUS, HSTATUS_VTW);
    else
        csr_clear(CSR_HSTATUS, HSTATUS_VTW);
}

static __attribute__((noinline)) void pass_slowly(struct vcpu *v)
{
    for (;;) {
        uint64_t requests = atomic_load_explicit(&v->requests, memory_order_acquire);
        uint32_t hsm = atomic_load_explicit(&v->hsm, memory_order_acquire);

        if (!is_settled(v, requests, hsm) && !settle(v, requests, hsm))
            continue;
        if (v->yielding) {
            sta_leave(v);
            yield(v);
            continue;
        }
        if (this_hart()->resched) {
            sta_leave(v);
            thread_leave(LEAVE_READY);
            continue;
        }
        sta_enter(v);
        if (!atomic_load(&v->requests))
            break;
    }
    choose_wfi();
}

/* Nothing is asked of it, nothing is to be told to it, and it is loaded. */
static inline bool is_plain(const struct vcpu *v)
{
    uint64_t requests = atomic_load_explicit(&v->requests, memory_order_relaxed);
    uint32_t hsm = atomic_load_explicit(&v->hsm, memory_order_relaxed);

    return is_settled(v, requests, hsm) && !v->sta.area;
}

void boundary_pass(struct vcpu *v)
{
    if (!is_plain(v) || (v->yielding && v->guest->vcpu_count > 1)) {
        pass_slowly(v);
    } else if (v->yielding) {
        v->yielding = false;
        thread_leave(LEAVE_YIELDING);
    } else if (this_hart()->resched) {
        thread_leave(LEAVE_READY);
    } else {
        choose_wfi();
    }
}

void boundary_run(void *vcpu)
{
    boundary_pass(vcpu);
    vcpu_enter(vcpu);
}

void boundary_take_over(void *vcpu)
{
    struct hart *h = this_hart();
    struct vcpu *v = vcpu, *from = CONTAINER_OF(h->switched_from, struct vcpu, thread);

    if (atomic_load_explicit(&v->parked, memory_order_relaxed) ||
        v->guest->sstc != from->guest->sstc) {
        load_unload(from);
        load_switch_in(&v->thread);
    } else {
        load_replace(from, v);
    }
    thread_taken_over(h);
    if (is_plain(v)) /* yielding it is no more, and nobody has come meanwhile */
        choose_wfi();
    else
        pass_slowly(v);
    vcpu_enter(v);
}
