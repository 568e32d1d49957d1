// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/load.h"

#include "vcpu/exit.h"
#include "vcpu/features.h"
#include "vcpu/fpu.h"
#include "vcpu/load_turn.h"
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
void load_fence(struct vcpu *v, struct hart *h, uint32_t code)
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

void load_fp_registers(struct vcpu *v, struct hart *h)
{
    if (h->fp_owner == v && v->fp_hart == (int)h->index)
        return;
    csr_set(CSR_SSTATUS, SSTATUS_FS_INITIAL);
    fpu_load(v->fpr, v->fcsr);
    h->fp_zero = !v->fp_used;
    h->fp_owner = v;
    v->fp_hart = (int)h->index;
}

/* They stay in the hart as well, until another one's come. */
void load_save_fp(struct vcpu *v, struct hart *h)
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

void load_vector(struct vcpu *v)
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

void load_save_vector(struct vcpu *v)
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
void load_clear_unswitched(void)
{
    if (vcpu_features.unswitched & UNSWITCHED_VSISELECT)
        csr_write(CSR_VSISELECT, 0);
    if (vcpu_features.unswitched & UNSWITCHED_JVT)
        csr_write(CSR_JVT, 0);
    if (vcpu_features.unswitched & UNSWITCHED_SCONTEXT)
        csr_write(CSR_SCONTEXT, 0);
}

/* Counters that the vCPU, its siblings or who was here before it use in ways of their own. */
void load_counters(struct vcpu *v, struct hart *h)
{
    pmu_load(v);
    if (atomic_load_explicit(&v->guest->pmu_counting, memory_order_relaxed) || h->counts_exits)
        exit_choose_vector();
}

#define LOAD(number, field) csr_write(number, v->csr.field);
#define UNLOAD(number, field) v->csr.field = csr_read(number);

void load_vcpu(struct vcpu *v)
{
    struct hart *h = this_hart();

    csr_write(CSR_VSATP, 0);
    load_translation(v, h);
    EACH_GUEST_CSR(LOAD)
    csr_write(CSR_VSIE, v->csr.vsie);
    csr_write(CSR_HVIP, wanted_hvip(v, v->csr.hvip));
    csr_write(CSR_HTIMEDELTA, v->guest->time_delta);
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
    v->csr.vsie =
        csr_swap(CSR_VSIE, 0); /* what is pending for it must not end an idle hart's WFI */
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
