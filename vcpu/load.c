// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/load.h"

#include "base/relaxed.h"
#include "vcpu/exit.h"
#include "vcpu/features.h"
#include "vcpu/fpu.h"
#include "vcpu/sbi/counters.h"
#include "vcpu/sbi/fwft.h"
#include "vcpu/vector.h"

/* Everything a machine's S-mode would take itself goes to the guest without an exit. */
#define DELEGATED_EXCEPTIONS \
    (BIT(CAUSE_FETCH_MISALIGNED) | BIT(CAUSE_FETCH_ACCESS) | BIT(CAUSE_ILLEGAL) | \
     BIT(CAUSE_BREAKPOINT) | BIT(CAUSE_LOAD_MISALIGNED) | BIT(CAUSE_LOAD_ACCESS) | \
     BIT(CAUSE_STORE_MISALIGNED) | BIT(CAUSE_STORE_ACCESS) | BIT(CAUSE_ECALL_U) | \
     BIT(CAUSE_FETCH_PAGE_FAULT) | BIT(CAUSE_LOAD_PAGE_FAULT) | BIT(CAUSE_STORE_PAGE_FAULT) | \
     BIT(CAUSE_SOFTWARE_CHECK))

/* sstateen1 to 3 hold nothing that is defined yet, and are not switched: so no guest may write there, even where
 * firmware lets us (OpenSBI does not). */
static void close_stateen(void)
{
    static const uint16_t csr[] = {CSR_HSTATEEN1, CSR_HSTATEEN2, CSR_HSTATEEN3};
    uint64_t back;

    for (unsigned i = 0; vcpu_features.stateen && i < ARRAY_LEN(csr); i++)
        (void)arch_csr_probe_write(csr[i], 0, &back);
}

/* Where the hart has an AIA: no interrupts of guests but by hvip and VSTIP, all of the usual priority, whatever the
 * firmware or a loader has left there. hvictl.VTI would even make their accesses to sip trap. */
static void reset_aia(void)
{
    static const uint16_t csr[] = {CSR_HVIEN, CSR_HVICTL, CSR_HVIPRIO1, CSR_HVIPRIO2};
    uint64_t back;

    for (unsigned i = 0; i < ARRAY_LEN(csr); i++)
        (void)arch_csr_probe_write(csr[i], 0, &back);
}

void load_hart_init(void)
{
    csr_write(CSR_HEDELEG, DELEGATED_EXCEPTIONS);
    csr_write(CSR_HIDELEG, BIT(IRQ_VSSI) | BIT(IRQ_VSTI) | BIT(IRQ_VSEI));
    reset_aia();
    if (vcpu_features.sscofpmf)
        csr_write(CSR_HVIEN, HVIP_LCOFIP);
    csr_write(CSR_HCOUNTEREN, COUNTEREN_OPEN);
    csr_write(CSR_HVIP, 0);
    csr_write(CSR_HGATP, 0);
    csr_write(CSR_HGEIE, 0);
    if (vcpu_features.vstimecmp) {
        /* Its reset value is unspecified; QEMU keeps a pending VSTIP of it even while STCE is clear. */
        csr_write(CSR_HENVCFG, HENVCFG_STCE);
        csr_write(CSR_VSTIMECMP, UINT64_MAX);
        csr_write(CSR_HENVCFG, 0);
    }
    close_stateen();
    fwft_hart_init();
    if (vcpu_features.vlenb) {
        csr_set(CSR_SSTATUS, SSTATUS_VS_INITIAL);
        vector_clear();
        this_hart()->vector_zero = true;
    }
    arch_hfence_gvma_all();
}

/* What the hart has in its TLBs and its instruction cache may not do for the vCPU: entries of a sibling, or of its own before
 * it fenced on another hart; its own fence.i was on another hart, or the hypervisor wrote its code. */
static __attribute__((noinline)) void fence_others(struct vcpu *v, struct hart *h, uint32_t code)
{
    struct guest *g = v->guest;
    bool moved = v->last_hart != (int)h->index;

    if (moved || g->last_vcpu[h->index] != v->index + 1)
        arch_hfence_vvma_all();
    if (moved || v->code_seen != code)
        arch_fence_i();
    v->code_seen = code;
    v->last_hart = (int)h->index;
    g->last_vcpu[h->index] = (uint16_t)(v->index + 1);
}

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
        fence_others(v, h, code);
    csr_write(CSR_VSATP, v->csr.vsatp);
}

static __attribute__((noinline)) void load_fp_registers(struct vcpu *v, struct hart *h)
{
    if (h->fp_owner == v && v->fp_hart == (int)h->index)
        return;
    csr_set(CSR_SSTATUS, SSTATUS_FS_INITIAL);
    fpu_load(v->fpr, v->fcsr);
    h->fp_zero = !v->fp_used;
    h->fp_owner = v;
    v->fp_hart = (int)h->index;
}

static inline void load_fp(struct vcpu *v, struct hart *h)
{
    if (v->fp_used || !h->fp_zero) /* else they are as this one has them: as after a reset */
        load_fp_registers(v, h);
}

/* They stay in the hart as well, until another one's come. */
static __attribute__((noinline)) void unload_fp_registers(struct vcpu *v, struct hart *h)
{
    if ((v->sstatus & SSTATUS_FS) == SSTATUS_FS_DIRTY) {
        fpu_save(v->fpr);
        v->sstatus = (v->sstatus & ~(uint64_t)SSTATUS_FS) | SSTATUS_FS_CLEAN;
    }
    v->fp_used = true;
    h->fp_zero = false;
    h->fp_owner = v;
    v->fp_hart = (int)h->index;
}

static inline void unload_fp(struct vcpu *v, struct hart *h)
{
    /* Always: QEMU does not mark sstatus.FS dirty when a guest writes fcsr. */
    v->fcsr = arch_fcsr();
    if ((v->sstatus & SSTATUS_FS) == SSTATUS_FS_DIRTY || v->fcsr)
        unload_fp_registers(v, h);
}

static void load_vector(struct vcpu *v)
{
    struct hart *h = this_hart();

    if (h->vector_owner == v && v->vector_hart == (int)h->index)
        return;
    csr_set(CSR_SSTATUS, SSTATUS_VS_INITIAL);
    if (v->vector_used) {
        vector_load(v->vector_regs, &v->vector);
        h->vector_zero = false;
    } else if (!h->vector_zero) {
        vector_clear();
        h->vector_zero = true;
    }
    h->vector_owner = v;
    v->vector_hart = (int)h->index;
}

static void unload_vector(struct vcpu *v)
{
    /* Not by sstatus.VS alone: QEMU does not mark it dirty when a guest writes one of these. */
    uint64_t vcsr = csr_read(CSR_VCSR), vstart = csr_read(CSR_VSTART);

    if ((v->sstatus & SSTATUS_VS) == SSTATUS_VS_DIRTY) {
        vector_save(v->vector_regs, &v->vector);
        v->sstatus = (v->sstatus & ~(uint64_t)SSTATUS_VS) | SSTATUS_VS_CLEAN;
    } else if (v->vector_used) {
        v->vector.vcsr = vcsr;
        v->vector.vstart = vstart;
        return;
    } else if (vcsr | vstart) {
        /* All else is as after a reset, and saved so. */
        vector_save(v->vector_regs, &v->vector);
    } else {
        return;
    }
    v->vector_used = true;
    this_hart()->vector_zero = false;
}

/* What another guest may have left there is none of this one's business. */
static __attribute__((noinline)) void clear_unswitched(void)
{
    if (vcpu_features.unswitched & UNSWITCHED_VSISELECT)
        csr_write(CSR_VSISELECT, 0);
    if (vcpu_features.unswitched & UNSWITCHED_JVT)
        csr_write(CSR_JVT, 0);
    if (vcpu_features.unswitched & UNSWITCHED_SCONTEXT)
        csr_write(CSR_SCONTEXT, 0);
}

/* What hvip should be where it is this now, or was when the vCPU left a hart. Who changes it later asks for another
 * look (VCPU_REQ_IRQ). */
static uint64_t wanted_hvip(struct vcpu *v, uint64_t hvip)
{
    uint64_t edge = atomic_load_explicit(&v->irq_edge, memory_order_relaxed);

    if (edge)
        edge = atomic_exchange(&v->irq_edge, 0);
    return (hvip & (HVIP_VSSIP | HVIP_LCOFIP)) | edge |
           atomic_load_explicit(&v->irq_level, memory_order_relaxed);
}

/* Counters that the vCPU, its siblings or who was here before it use in ways of their own. */
static __attribute__((noinline)) void load_counters(struct vcpu *v, struct hart *h)
{
    pmu_load(v);
    if (atomic_load_explicit(&v->guest->pmu_counting, memory_order_relaxed) || h->counts_exits)
        exit_choose_vector();
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
#define LOAD(number, field) csr_write(number, v->csr.field);
#define UNLOAD(number, field) v->csr.field = csr_read(number);
#define REPLACE(number, field) from->csr.field = csr_swap(number, v->csr.field);

/* All but what load_vcpu and load_replace bring in their own ways. */
static inline void load_rest(struct vcpu *v, struct hart *h)
{
    const struct guest *g = v->guest;

    fwft_load(v);
    csr_write(CSR_HTIMEDELTA, g->time_delta);
    if (vcpu_features.stateen) {
        csr_write(CSR_HSTATEEN0, g->hstateen0);
        csr_write(CSR_SSTATEEN0, v->csr.sstateen0);
    }
    if (vcpu_features.unswitched)
        clear_unswitched();
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
        unload_vector(v);
}

void load_vcpu(struct vcpu *v)
{
    struct hart *h = this_hart();

    csr_write(CSR_VSATP, 0);
    load_translation(v, h);
    EACH_GUEST_CSR(LOAD)
    csr_write(CSR_VSIE, v->csr.vsie);
    csr_write(CSR_HVIP, wanted_hvip(v, v->csr.hvip));
    if (v->guest->sstc)
        csr_write(CSR_VSTIMECMP, v->csr.vstimecmp);
    load_rest(v, h);
}

void load_unload(struct vcpu *v)
{
    struct hart *h = this_hart();

    if (atomic_load_explicit(&v->loaded_hart, memory_order_relaxed) < 0)
        return;
    pmu_unload(v);
    EACH_GUEST_CSR(UNLOAD)
    v->csr.vsie = csr_swap(CSR_VSIE, 0); /* what is pending for it must not end an idle hart's WFI */
    v->csr.vsatp = csr_read(CSR_VSATP);
    v->csr.hvip = csr_read(CSR_HVIP);
    if (v->guest->sstc) {
        v->csr.vstimecmp = csr_read(CSR_VSTIMECMP);
        csr_write(CSR_VSTIMECMP, UINT64_MAX); /* nothing of it may fire for the next */
    }
    unload_rest(v, h);
    h->vcpu = 0;
    atomic_thread_fence(memory_order_release);
    relaxed_store_int(&v->loaded_hart, -1);
}

void load_replace(struct vcpu *from, struct vcpu *v)
{
    struct hart *h = this_hart();

    pmu_unload(from);
    from->csr.vsatp = csr_swap(CSR_VSATP, 0);
    load_translation(v, h);
    EACH_GUEST_CSR(REPLACE)
    from->csr.vsie = csr_swap(CSR_VSIE, v->csr.vsie);
    from->csr.hvip = csr_swap(CSR_HVIP, wanted_hvip(v, v->csr.hvip));
    if (v->guest->sstc)
        from->csr.vstimecmp = csr_swap(CSR_VSTIMECMP, v->csr.vstimecmp);
    unload_rest(from, h);
    atomic_thread_fence(memory_order_release);
    relaxed_store_int(&from->loaded_hart, -1);
    load_rest(v, h);
}

void load_sync_irq(struct vcpu *v)
{
    uint64_t hvip = csr_read(CSR_HVIP), wanted = wanted_hvip(v, hvip);

    if (hvip != wanted)
        csr_write(CSR_HVIP, wanted);
}

void load_forget_registers(struct vcpu *v)
{
    for (unsigned i = 0; i < hart_count; i++) {
        if (harts[i]->fp_owner == v)
            harts[i]->fp_owner = 0;
        if (harts[i]->vector_owner == v)
            harts[i]->vector_owner = 0;
    }
}

void load_switch_in(struct thread *t)
{
    struct vcpu *v = CONTAINER_OF(t, struct vcpu, thread);

    /* Parked: whoever parked it may be working on its registers, or have taken its memory away. */
    if (!atomic_load_explicit(&v->parked, memory_order_relaxed) &&
        !(atomic_load_explicit(&v->requests, memory_order_acquire) & VCPU_REQ_PARK))
        load_vcpu(v);
}

void load_switch_out(struct thread *t) { load_unload(CONTAINER_OF(t, struct vcpu, thread)); }
