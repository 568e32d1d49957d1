// SPDX-License-Identifier: BSD-2-Clause
// Creation, reset, start and parking of vCPUs; their register state on and off a hart is load.c's.
#include "vcpu/vcpu.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "mem/heap.h"
#include "vcpu/boundary.h"
#include "vcpu/load.h"
#include "vcpu/offsets.h"
#include "vcpu/sbi/counters.h"
#include "vcpu/sbi/fwft.h"
#include "vcpu/sse.h"
#include "vcpu/sta.h"
#include "vcpu/vector.h"

_Static_assert(offsetof(struct vcpu, gpr) == VCPU_GPR, "assembly");
_Static_assert(offsetof(struct vcpu, pc) == VCPU_PC, "assembly");
_Static_assert(offsetof(struct vcpu, stack_top) == VCPU_STACK_TOP, "assembly");
_Static_assert(offsetof(struct vcpu, hart) == VCPU_HART, "assembly");
_Static_assert(offsetof(struct vcpu, exits) == VCPU_EXITS, "assembly");
/* The exits that matter reach no field behind this one: a load's offset ends at 2 KiB. */
_Static_assert(offsetof(struct vcpu, timer) < 2048, "what exits use comes first");
_Static_assert(offsetof(struct vector_csrs, vl) == VECTOR_VL, "assembly");
_Static_assert(offsetof(struct vector_csrs, vtype) == VECTOR_VTYPE, "assembly");
_Static_assert(offsetof(struct vector_csrs, vcsr) == VECTOR_VCSR, "assembly");
_Static_assert(offsetof(struct vector_csrs, vstart) == VECTOR_VSTART, "assembly");

#define VSSTATUS_UXL_64 (2ul << 32)

void vcpu_reset(struct vcpu *v)
{
    timer_cancel(&v->timer);
    memset(v->gpr, 0, sizeof(v->gpr));
    memset(&v->csr, 0, sizeof(v->csr));
    memset(v->fpr, 0, sizeof(v->fpr));
    v->fcsr = 0;
    v->fp_used = false;
    v->pc = 0;
    v->csr.vsstatus = VSSTATUS_UXL_64;
    v->csr.vstimecmp = UINT64_MAX;
    /* As firmware leaves it: user mode may read cycle, time and instret until a kernel says otherwise. */
    v->csr.scounteren = COUNTEREN_OPEN;
    v->sstatus = SSTATUS_SPP | SSTATUS_FS_CLEAN | (vcpu_features.vlenb ? SSTATUS_VS_CLEAN : 0);
    v->hstatus = HSTATUS_VSXL_64 | HSTATUS_SPV | HSTATUS_SPVP;
    fwft_reset(v);
    sta_reset(v);
    (void)pmu_reset(v); /* no other of its guest runs */
    sse_reset(v);
    atomic_fetch_and(&v->requests, ~(uint64_t)(VCPU_REQ_SSE | VCPU_REQ_KICK));
    v->wake_at = UINT64_MAX;
    v->in_wfi = false;
    v->stop_reason = 0;
    v->last_exit = 0;
    v->last_hart = -1;
    v->fp_hart = -1;
    vector_forget(v);
    atomic_store(&v->irq_level, 0);
    atomic_store(&v->irq_edge, 0);
    atomic_store(&v->start_ready, false);
    atomic_store(&v->hsm, HSM_STOPPED);
}

struct vcpu *vcpu_create(struct guest *g, unsigned index)
{
    struct vcpu *v = heap_alloc(sizeof(*v));
    char name[24];

    if (!v)
        return 0;
    if (vcpu_features.vlenb) {
        v->vector_regs = heap_alloc(vector_bytes());
        if (!v->vector_regs)
            goto no_memory;
    }
    fmt_snprintf(name, sizeof(name), "%.16s/%u", g->name, index);
    if (thread_init(&v->thread, name, boundary_run, v))
        goto no_memory;
    thread_join(&v->thread, &g->sched);
    v->stack_top = (uint64_t)v->thread.stack + THREAD_STACK_SIZE;
    v->thread.take_over = boundary_take_over;
    v->thread.switch_in = load_switch_in;
    v->thread.switch_out = load_switch_out;
    v->guest = g;
    v->index = (uint16_t)index;
    v->hartid = index;
    atomic_store(&v->loaded_hart, -1);
    atomic_store(&v->requests, VCPU_REQ_PARK);
    atomic_store(&v->parked, true);
    timer_init(&v->timer, boundary_timer_fired);
    vcpu_reset(v);
    return v;

no_memory:
    heap_free(v->vector_regs);
    heap_free(v);
    return 0;
}

uint64_t vcpu_memory(void)
{
    uint64_t vector = vcpu_features.vlenb ? heap_takes(vector_bytes()) : 0;

    return heap_takes(sizeof(struct vcpu)) + vector + THREAD_STACK_SIZE;
}

void vcpu_destroy(struct vcpu *v)
{
    timer_cancel_wait(&v->timer);
    thread_destroy(&v->thread);
    load_forget_registers(v);
    heap_free(v->vector_regs);
    heap_free(v);
}

int vcpu_start(struct vcpu *v, uint64_t pc, uint64_t arg)
{
    uint32_t stopped = HSM_STOPPED;

    if (!atomic_compare_exchange_strong(&v->hsm, &stopped, HSM_START_PENDING))
        return -EALREADY;
    v->start_pc = pc;
    v->start_arg = arg;
    atomic_store(&v->start_ready, true);
    thread_wake(&v->thread);
    return 0;
}

void vcpu_request(struct vcpu *v, uint64_t bits)
{
    int on;

    atomic_fetch_or(&v->requests, bits);
    on = atomic_load(&v->loaded_hart);
    if (on >= 0 && on != (int)hart_index())
        hart_request((unsigned)on, HART_REQ_KICK);
    if (bits & (VCPU_REQ_IRQ | VCPU_REQ_PARK | VCPU_REQ_TIMER | VCPU_REQ_SSE | VCPU_REQ_KICK))
        thread_wake(&v->thread);
}

void vcpu_park(struct vcpu *v) { vcpu_request(v, VCPU_REQ_PARK); }

bool vcpu_is_parked(struct vcpu *v)
{
    if (atomic_load(&v->parked))
        return true;
    thread_hurry(&v->thread);
    return false;
}

void vcpu_unpark(struct vcpu *v)
{
    v->fp_hart = v->vector_hart = -1; /* registers may have been set meanwhile */
    atomic_fetch_and(&v->requests, ~(uint64_t)VCPU_REQ_PARK);
    thread_wake(&v->thread);
}

void vcpu_irq_set(struct vcpu *v, uint64_t bit, bool level)
{
    uint64_t before =
        level ? atomic_fetch_or(&v->irq_level, bit) : atomic_fetch_and(&v->irq_level, ~bit);

    if (!(before & bit) == !level)
        return;
    if (this_hart()->vcpu != v)
        vcpu_request(v, VCPU_REQ_IRQ);
    else if (level)
        csr_set(CSR_HVIP, bit);
    else
        csr_clear(CSR_HVIP, bit);
}

void vcpu_irq_raise_ssip(struct vcpu *v)
{
    if (this_hart()->vcpu == v) {
        csr_set(CSR_HVIP, HVIP_VSSIP);
        return;
    }
    atomic_fetch_or(&v->irq_edge, HVIP_VSSIP);
    vcpu_request(v, VCPU_REQ_IRQ);
}

uint64_t vcpu_host_time(const struct vcpu *v, uint64_t t)
{
    uint64_t now = arch_time(), guest_now = now + v->guest->time_delta;

    if (t <= guest_now)
        return now;
    return t - guest_now > UINT64_MAX - now ? UINT64_MAX : now + (t - guest_now);
}

/* Only where the guest has no Sstc: its comparator is a timer of ours. */
void vcpu_set_timer(struct vcpu *v, uint64_t t)
{
    v->wake_at = t;
    if (t <= arch_time() + v->guest->time_delta) {
        timer_cancel(&v->timer);
        vcpu_irq_set(v, HVIP_VSTIP, true);
        return;
    }
    vcpu_irq_set(v, HVIP_VSTIP, false);
    if (t == UINT64_MAX)
        timer_cancel(&v->timer);
    else
        timer_set(&v->timer, vcpu_host_time(v, t));
}
