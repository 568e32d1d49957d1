// SPDX-License-Identifier: BSD-2-Clause
// Fences and IPIs for other vCPUs of a guest; suspends.
//
// A fence has three kinds of targets: the calling vCPU itself (fenced at once), vCPUs that are on
// no hart, and vCPUs loaded on other harts, which must have been fenced before the call returns.
//
// One that is on no hart gets a request bit, which it looks at before it next runs; no IPI, no
// waiting. One that is loaded is fenced by an xcall on its hart. It may come and go meanwhile, so:
//
// 1. Not loaded: set the bit, then read loaded_hart again. Loading does the opposite (writes
//    loaded_hart, then reads the requests), so at least one side sees the other: either the vCPU
//    finds the bit before it runs, or we find its hart and go on as for a loaded one.
// 2. Loaded on hart h: xcall h. There the function fences if that hart's hgatp is this guest's, and
//    then reports those targets as done whose loaded_hart is h: only h itself loads and unloads
//    there, so this cannot change under the function. A hart that meanwhile runs another guest
//    flushes nothing.
// 3. A target that was not done left its hart after we had looked: it gets the bit now, and, if it
//    is loaded again, its new hart an xcall. If it moves once more, it sees the bit while loading.
//
// What a vCPU's TLB entries and fetched instructions are worth on harts that it has left is not
// decided here: load_vcpu fences when a vCPU comes to a hart where it was not the last of its guest.
#include "vcpu/sbi/act.h"

#include "sched/xcall.h"
#include "stage2/guest_mem.h"

struct fence {
    struct guest *guest;
    uint64_t vcpus;
    enum act_fence_kind kind;
    unsigned long start, size, asid;
    _Atomic uint64_t done;
};

static void fence_vma_all(enum act_fence_kind kind, unsigned long asid)
{
    if (kind == ACT_SFENCE_ASID)
        arch_hfence_vvma_asid((uint16_t)asid);
    else
        arch_hfence_vvma_all();
}

static void fence_vma_page(enum act_fence_kind kind, unsigned long va, unsigned long asid)
{
    if (kind == ACT_SFENCE_ASID)
        arch_hfence_vvma_gva_asid(va, (uint16_t)asid);
    else
        arch_hfence_vvma_gva(va);
}

static inline void fence_here(enum act_fence_kind kind, unsigned long start, unsigned long size,
                              unsigned long asid)
{
    unsigned long last = start + size - 1;

    if (kind == ACT_FENCE_I) {
        arch_fence_i();
    } else if (size - 1 >= ACT_FENCE_MAX || last < start) {
        /* Sizes 0 and all-ones are the first of these. */
        fence_vma_all(kind, asid);
    } else {
        unsigned long pages = (last >> PAGE_SHIFT) - (start >> PAGE_SHIFT);

        for (start &= ~PAGE_MASK;; start += PAGE_SIZE) {
            fence_vma_page(kind, start, asid);
            if (!pages--)
                break;
        }
    }
}

static bool hart_has_guest(const struct guest *g)
{
    return (arch_hgatp_read() & HGATP_PPN_MASK) == g->s2.root.v >> PAGE_SHIFT;
}

static void fence_on_hart(void *arg)
{
    struct fence *f = arg;
    int here = (int)hart_index();
    uint64_t done = 0;

    if (!hart_has_guest(f->guest))
        return;
    fence_here(f->kind, f->start, f->size, f->asid);
    for (unsigned i = 0; f->vcpus >> i; i++) {
        if (f->vcpus & BIT(i) && atomic_load(&f->guest->vcpu[i]->loaded_hart) == here)
            done |= BIT(i);
    }
    atomic_fetch_or(&f->done, done);
}

/* One round over the vCPUs: fences those loaded elsewhere, asks those not loaded (all of them when
 * ask_all) to do it themselves. Returns those of which neither is sure. */
static uint64_t fence_round(struct fence *f, uint64_t vcpus, bool ask_all)
{
    uint64_t request = f->kind == ACT_FENCE_I ? VCPU_REQ_FENCE_I : VCPU_REQ_FENCE;
    uint64_t asked = 0, on = 0;

    for (unsigned i = 0; vcpus >> i; i++) {
        if (!(vcpus & BIT(i)))
            continue;
        struct vcpu *v = f->guest->vcpu[i];
        int hart = atomic_load(&v->loaded_hart);
        if (ask_all || hart < 0) {
            vcpu_request(v, request);
            asked |= BIT(i);
            atomic_thread_fence(memory_order_seq_cst); /* the bit is seen before we look again */
            hart = atomic_load(&v->loaded_hart);
        }
        if (hart >= 0)
            on |= BIT(hart);
    }
    if (on)
        xcall_run(on, fence_on_hart, f);
    return vcpus & ~asked & ~atomic_load(&f->done);
}

/* Apart from act_fence, so that a fence for oneself needs no stack frame. */
static __attribute__((noinline)) void fence_others(struct guest *g, uint64_t vcpus,
                                                   enum act_fence_kind kind, unsigned long start,
                                                   unsigned long size, unsigned long asid)
{
    struct fence f = {
        .guest = g, .vcpus = vcpus, .kind = kind, .start = start, .size = size, .asid = asid};
    uint64_t moved = fence_round(&f, vcpus, false);

    if (moved)
        fence_round(&f, moved, true);
}

void act_fence(struct vcpu *v, uint64_t vcpus, enum act_fence_kind kind, unsigned long start,
               unsigned long size, unsigned long asid)
{
    uint64_t self = BIT(v->index);

    if (vcpus & self)
        fence_here(kind, start, size, asid);
    if (vcpus & ~self)
        fence_others(v->guest, vcpus & ~self, kind, start, size, asid);
}

/* A hart that is stopped starts with no interrupt pending. Mostly the sender waits for an answer: one that
 * waits for this very hart gets it now. (Nobody waits for one that is to fence: it does so before it runs.) */
void act_send_ipi_others(struct guest *g, uint64_t vcpus)
{
    for (unsigned i = 0; vcpus >> i; i++) {
        if (vcpus & BIT(i) && atomic_load(&g->vcpu[i]->hsm) != HSM_STOPPED) {
            vcpu_irq_raise_ssip(g->vcpu[i]);
            (void)thread_yield_to(&g->vcpu[i]->thread);
        }
    }
}

bool act_address_ok(struct guest *g, uint64_t a)
{
    return !(a & 1) && guest_mem_is_ram(&g->s2, gpa(a), 2);
}

/* The boundary waits: see hsm.h. */
enum exit_result act_sleep(struct vcpu *v)
{
    v->in_wfi = true;
    atomic_store(&v->hsm, HSM_SUSPENDED);
    return EXIT_BLOCK;
}

/* A non-retentive suspend loses the registers, so they may as well be lost now: what the hart
 * resumes with is set up here. vsie stays: it says what resumes it. */
enum exit_result act_suspend(struct vcpu *v, uint64_t address, uint64_t opaque)
{
    v->gpr[10] = v->hartid;
    v->gpr[11] = opaque;
    v->pc = address;
    csr_write(CSR_VSATP, 0);
    csr_clear(CSR_VSSTATUS, SSTATUS_SIE);
    return act_sleep(v);
}
