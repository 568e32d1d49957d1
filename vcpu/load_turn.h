// SPDX-License-Identifier: BSD-2-Clause
// Of load.h, what every switch between vCPUs goes through: inline, with calls only for what most have not used.
// Invariants: on the hart in question, interrupts off; h is this_hart().
// Lock rank: none. Callers: load.c, boundary.c.
#pragma once
#include "base/relaxed.h"
#include "vcpu/load.h"
#include "vcpu/sbi/counters.h"
#include "vcpu/sbi/fwft.h"

/* What the hart has in its TLBs and its instruction cache may not do for the vCPU: fences. code: code_written now. */
void load_fence(struct vcpu *v, struct hart *h, uint32_t code);
void load_fp_registers(struct vcpu *v, struct hart *h);
void load_save_fp(struct vcpu *v, struct hart *h);
void load_vector(struct vcpu *v);
void load_save_vector(struct vcpu *v);
void load_clear_unswitched(void);
/* Counters that the vCPU, its siblings or who was here before it use in ways of their own. */
void load_counters(struct vcpu *v, struct hart *h);

/* vsatp being 0. Privileged architecture, "Two-Stage Address Translation": no walk may mix one guest's vsatp with another's
 * hgatp. */
static inline void load_translation(struct vcpu *v, struct hart *h)
{
    struct guest *g = v->guest;
    uint32_t code;

    csr_write(CSR_HGATP, vmid_load(&g->s2));
    code = atomic_load_explicit(&g->s2.code_written, memory_order_relaxed);
    if (v->last_hart != (int)h->index || g->last_vcpu[h->index] != v->index + 1 ||
        v->code_seen != code)
        load_fence(v, h, code);
    csr_write(CSR_VSATP, v->csr.vsatp);
}

static inline void load_fp(struct vcpu *v, struct hart *h)
{
    if (v->fp_used || !h->fp_zero) /* else they are as this one has them: as after a reset */
        load_fp_registers(v, h);
}

static inline void unload_fp(struct vcpu *v, struct hart *h)
{
    /* Always: QEMU does not mark sstatus.FS dirty when a guest writes fcsr. */
    v->fcsr = arch_fcsr();
    if ((v->sstatus & SSTATUS_FS) == SSTATUS_FS_DIRTY || v->fcsr)
        load_save_fp(v, h);
}

/* What hvip should be where it is this now, or was when the vCPU left a hart. Who changes it later asks for another
 * look (VCPU_REQ_IRQ). */
static inline uint64_t wanted_hvip(struct vcpu *v, uint64_t hvip)
{
    uint64_t edge = atomic_load_explicit(&v->irq_edge, memory_order_relaxed);

    if (edge)
        edge = atomic_exchange(&v->irq_edge, 0);
    return (hvip & (HVIP_VSSIP | HVIP_LCOFIP)) | edge |
           atomic_load_explicit(&v->irq_level, memory_order_relaxed);
}

/* What of a guest only the guest changes, and means nothing to a hart that runs none: DO(CSR, field of vcpu_csrs). */
#define EACH_GUEST_CSR(DO) \
    DO(CSR_VSSTATUS, vsstatus) \
    DO(CSR_VSTVEC, vstvec) \
    DO(CSR_VSSCRATCH, vsscratch) \
    DO(CSR_VSEPC, vsepc) \
    DO(CSR_VSCAUSE, vscause) \
    DO(CSR_VSTVAL, vstval) \
    DO(CSR_SCOUNTEREN, scounteren) \
    DO(CSR_SENVCFG, senvcfg)
/* All but what load_vcpu and load_replace bring in their own ways. */
static inline void load_rest(struct vcpu *v, struct hart *h)
{
    const struct guest *g = v->guest;

    fwft_load(v);
    if (vcpu_features.stateen) {
        csr_write(CSR_HSTATEEN0, g->hstateen0);
        csr_write(CSR_SSTATEEN0, v->csr.sstateen0);
    }
    if (vcpu_features.unswitched)
        load_clear_unswitched();
    load_fp(v, h);
    if (vcpu_features.vlenb)
        load_vector(v);
    csr_write(CSR_SSTATUS, v->sstatus);
    csr_write(CSR_HSTATUS, v->hstatus);
    h->vcpu = v;
    v->hart = h;
    relaxed_store_int(&v->loaded_hart, (int)h->index);
    arch_fence_rw(); /* see exit_choose_vectors; and who sets a request sees the vCPU here, or the vCPU sees it */
    if (atomic_load_explicit(&g->pmu_users, memory_order_relaxed) || h->counters_closed ||
        h->counts_exits)
        load_counters(v, h);
}

static inline void unload_rest(struct vcpu *v, struct hart *h)
{
    v->sstatus = csr_read(CSR_SSTATUS);
    v->hstatus = csr_read(CSR_HSTATUS);
    if (vcpu_features.stateen)
        v->csr.sstateen0 = csr_read(CSR_SSTATEEN0);
    unload_fp(v, h);
    if (vcpu_features.vlenb)
        load_save_vector(v);
}

#define REPLACE(number, field) from->csr.field = csr_swap(number, v->csr.field);
/* In one go: from, loaded here, leaves the hart, and v comes in its place. The guests of both have Sstc, or neither's. */
static inline void load_replace(struct vcpu *from, struct vcpu *v)
{
    struct hart *h = this_hart();

    pmu_unload(from);
    from->csr.vsatp = csr_swap(CSR_VSATP, 0);
    load_translation(v, h);
    EACH_GUEST_CSR(REPLACE)
    from->csr.vsie = csr_swap(CSR_VSIE, v->csr.vsie);
    from->csr.hvip = csr_swap(CSR_HVIP, wanted_hvip(v, v->csr.hvip));
    csr_write(CSR_HTIMEDELTA, v->guest->time_delta);
    if (v->guest->sstc) /* after htimedelta, or it might seem to be due */
        from->csr.vstimecmp = csr_swap(CSR_VSTIMECMP, v->csr.vstimecmp);
    unload_rest(from, h);
    atomic_thread_fence(memory_order_release);
    relaxed_store_int(&from->loaded_hart, -1);
    load_rest(v, h);
}
#undef REPLACE
