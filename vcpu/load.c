// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/load.h"

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

/* Privileged architecture, "Two-Stage Address Translation": no walk may mix one guest's vsatp with another's hgatp. */
static void load_translation(struct vcpu *v)
{
    struct hart *h = this_hart();
    struct guest *g = v->guest;
    uint32_t code;

    csr_write(CSR_VSATP, 0);
    csr_write(CSR_HGATP, vmid_load(&g->s2));
    /* Entries here may be of a sibling vCPU, or of this one before it fenced on another hart. */
    if (v->last_hart != (int)h->index || g->last_vcpu[h->index] != v->index + 1)
        arch_hfence_vvma_all();
    code = atomic_load_explicit(&g->s2.code_written, memory_order_relaxed);
    if (v->last_hart != (int)h->index || v->code_seen != code)
        arch_fence_i(); /* its own fence.i was on another hart, or the hypervisor wrote its code */
    v->code_seen = code;
    v->last_hart = (int)h->index;
    g->last_vcpu[h->index] = (uint16_t)(v->index + 1);
    csr_write(CSR_VSATP, v->csr.vsatp);
}

static void load_fp(struct vcpu *v)
{
    struct hart *h = this_hart();

    if (h->fp_owner == v && v->fp_hart == (int)h->index)
        return;
    if (v->fp_used || !h->fp_zero) {
        csr_set(CSR_SSTATUS, SSTATUS_FS_INITIAL);
        fpu_load(v->fpr, v->fcsr);
        h->fp_zero = !v->fp_used;
    }
    h->fp_owner = v;
    v->fp_hart = (int)h->index;
}

static void unload_fp(struct vcpu *v)
{
    /* Always: QEMU does not mark sstatus.FS dirty when a guest writes fcsr. */
    v->fcsr = fpu_fcsr();
    if ((v->sstatus & SSTATUS_FS) == SSTATUS_FS_DIRTY) {
        fpu_save(v->fpr);
        v->sstatus = (v->sstatus & ~(uint64_t)SSTATUS_FS) | SSTATUS_FS_CLEAN;
    } else if (!v->fcsr) {
        return;
    }
    v->fp_used = true;
    this_hart()->fp_zero = false;
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

void load_vcpu(struct vcpu *v)
{
    struct hart *h = this_hart();
    const struct vcpu_csrs *c = &v->csr;

    load_translation(v);
    csr_write(CSR_VSSTATUS, c->vsstatus);
    csr_write(CSR_VSIE, c->vsie);
    csr_write(CSR_VSTVEC, c->vstvec);
    csr_write(CSR_VSSCRATCH, c->vsscratch);
    csr_write(CSR_VSEPC, c->vsepc);
    csr_write(CSR_VSCAUSE, c->vscause);
    csr_write(CSR_VSTVAL, c->vstval);
    csr_write(CSR_HVIP, wanted_hvip(v, c->hvip));
    csr_write(CSR_SCOUNTEREN, c->scounteren);
    csr_write(CSR_SENVCFG, c->senvcfg);
    fwft_load(v);
    pmu_load(v);
    csr_write(CSR_HTIMEDELTA, v->guest->time_delta);
    if (v->guest->sstc)
        csr_write(CSR_VSTIMECMP, c->vstimecmp);
    if (vcpu_features.stateen) {
        csr_write(CSR_HSTATEEN0, v->guest->hstateen0);
        csr_write(CSR_SSTATEEN0, c->sstateen0);
    }
    if (vcpu_features.unswitched)
        clear_unswitched();
    load_fp(v);
    if (vcpu_features.vlenb)
        load_vector(v);
    csr_write(CSR_SSTATUS, v->sstatus);
    csr_write(CSR_HSTATUS, v->hstatus);
    h->vcpu = v;
    v->hart = h;
    atomic_store_explicit(&v->loaded_hart, (int)h->index, memory_order_release);
    arch_fence_rw(); /* see exit_choose_vectors; and who sets a request sees the vCPU here, or the vCPU sees it */
    if (atomic_load_explicit(&v->guest->pmu_counting, memory_order_relaxed) || h->counts_exits)
        exit_choose_vector();
}

void load_unload(struct vcpu *v)
{
    struct hart *h = this_hart();
    struct vcpu_csrs *c = &v->csr;

    if (atomic_load_explicit(&v->loaded_hart, memory_order_relaxed) < 0)
        return;
    pmu_unload(v);
    v->sstatus = csr_read(CSR_SSTATUS);
    v->hstatus = csr_read(CSR_HSTATUS);
    c->vsstatus = csr_read(CSR_VSSTATUS);
    c->vsie = csr_swap(CSR_VSIE, 0); /* what is pending for it must not end an idle hart's WFI */
    c->vstvec = csr_read(CSR_VSTVEC);
    c->vsscratch = csr_read(CSR_VSSCRATCH);
    c->vsepc = csr_read(CSR_VSEPC);
    c->vscause = csr_read(CSR_VSCAUSE);
    c->vstval = csr_read(CSR_VSTVAL);
    c->vsatp = csr_read(CSR_VSATP);
    c->hvip = csr_read(CSR_HVIP);
    c->scounteren = csr_read(CSR_SCOUNTEREN);
    c->senvcfg = csr_read(CSR_SENVCFG);
    if (v->guest->sstc) {
        c->vstimecmp = csr_read(CSR_VSTIMECMP);
        csr_write(CSR_VSTIMECMP, UINT64_MAX); /* nothing of it may fire for the next */
    }
    if (vcpu_features.stateen)
        c->sstateen0 = csr_read(CSR_SSTATEEN0);
    unload_fp(v);
    if (vcpu_features.vlenb)
        unload_vector(v);
    h->vcpu = 0;
    atomic_store_explicit(&v->loaded_hart, -1, memory_order_release);
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
