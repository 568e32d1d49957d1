// SPDX-License-Identifier: BSD-2-Clause
// The legacy extensions 0 to 8 (SBI 3.0 chapter 5): one id a function, a6 ignored, only a0 written.
// Hart masks are in the guest's memory, by virtual address; faults of reading them are the guest's
// own, taken at the ecall. A null pointer names all harts, as callers of old and other SBIs have
// it.
#include "vcpu/sbi/act.h"
#include "vcpu/sbi/extensions.h"

enum {
    LEGACY_SET_TIMER,
    LEGACY_PUTCHAR,
    LEGACY_GETCHAR,
    LEGACY_CLEAR_IPI,
    LEGACY_SEND_IPI,
    LEGACY_FENCE_I,
    LEGACY_SFENCE_VMA,
    LEGACY_SFENCE_VMA_ASID,
    LEGACY_SHUTDOWN
};

/* Pages that reading one word can touch: two, with up to five levels of tables for each. */
enum { FAULTS_MAX = 12 };

/* The guest physical address of a guest page fault at va, -1 when its translation does not get that
 * far. htval may be 0 where the hart does not give it. */
static uint64_t fault_gpa(struct guest *g, uint64_t va, const struct arch_fault *fault)
{
    struct vs_step steps[5];
    gpa_t out;
    int result;

    if (fault->htval)
        return fault->htval << 2 | (fault->tval & 3);
    vcpu_walk_vs(&g->s2, csr_read(CSR_VSATP), gva(va), steps, &out, &result);
    return result ? ~0ull : out.v;
}

/* Reads a word as the guest would. False when that faults: the fault is the guest's then. RAM that
 * has not been touched is no fault of its own; the rest of its physical memory is no memory. */
static bool load_word(struct vcpu *v, uint64_t va, uint64_t *word)
{
    struct arch_fault fault;

    for (unsigned i = 0; i < FAULTS_MAX; i++) {
        if (arch_guest_load(va, word, 8, &fault))
            return true;
        if (fault.cause != CAUSE_LOAD_GUEST_PAGE_FAULT) {
            vcpu_inject(v, fault.cause, fault.tval);
            return false;
        }
        if (stage2_populate(&v->guest->s2, gpa(fault_gpa(v->guest, va, &fault)), false))
            break;
    }
    vcpu_inject(v, CAUSE_LOAD_ACCESS, va);
    return false;
}

/* Those named by the mask that a0 points at. EXIT_ADVANCE, the reply SBI_OK or an error, or
 * EXIT_INJECT. One word is all: a guest has less than 64 harts. */
static enum exit_result read_mask(struct vcpu *v, uint64_t *vcpus, struct sbi_reply *reply)
{
    uint64_t mask = 0;
    unsigned long base = 0;

    if (!v->gpr[10])
        base = ~0ul;
    else if (!load_word(v, v->gpr[10], &mask))
        return EXIT_INJECT;
    reply->error = sbi_hart_mask(v->guest, mask, base, vcpus);
    return EXIT_ADVANCE;
}

static enum exit_result with_mask(struct vcpu *v, unsigned long id, struct sbi_reply *reply)
{
    uint64_t vcpus;
    enum exit_result verdict = read_mask(v, &vcpus, reply);

    if (verdict != EXIT_ADVANCE || reply->error)
        return verdict;
    if (id == LEGACY_SEND_IPI)
        act_send_ipi(v, vcpus);
    else if (id == LEGACY_FENCE_I)
        act_fence(v, vcpus, ACT_FENCE_I, 0, 0, 0);
    else if (id == LEGACY_SFENCE_VMA)
        act_fence(v, vcpus, ACT_SFENCE, v->gpr[11], v->gpr[12], 0);
    else if (v->gpr[13] > ACT_ASID_MAX)
        reply->error = SBI_ERR_INVALID_PARAM;
    else
        act_fence(v, vcpus, ACT_SFENCE_ASID, v->gpr[11], v->gpr[12], v->gpr[13]);
    return EXIT_ADVANCE;
}

static enum exit_result console_putchar(struct vcpu *v)
{
    char c = (char)v->gpr[10];

    return v->guest->ops->console_write(v->guest, &c, 1) ? EXIT_ADVANCE : EXIT_BLOCK;
}

static long console_getchar(struct guest *g)
{
    char c;

    return g->ops->console_read(g, &c, 1) ? (long)(unsigned char)c : -1;
}

/* 1 when one was pending: in the hart, or on its way there. */
static long clear_ipi(struct vcpu *v)
{
    uint64_t pending = atomic_fetch_and(&v->irq_edge, ~(uint64_t)HVIP_VSSIP);

    pending |= csr_read(CSR_HVIP);
    csr_clear(CSR_HVIP, HVIP_VSSIP);
    return (pending & HVIP_VSSIP) != 0;
}

static enum exit_result sbi_legacy_call(struct vcpu *v, unsigned long fid, struct sbi_reply *reply)
{
    unsigned long id = v->gpr[17];

    (void)fid;
    switch (id) {
    case LEGACY_SET_TIMER:
        act_set_timer(v, v->gpr[10]);
        break;
    case LEGACY_PUTCHAR:
        return console_putchar(v);
    case LEGACY_GETCHAR:
        reply->error = console_getchar(v->guest);
        break;
    case LEGACY_CLEAR_IPI:
        reply->error = clear_ipi(v);
        break;
    case LEGACY_SHUTDOWN:
        v->guest->ops->event(v->guest, GUEST_SHUTDOWN, 0);
        return EXIT_STOP;
    default:
        return with_mask(v, id, reply);
    }
    return EXIT_ADVANCE;
}

const struct sbi_extension sbi_ext_legacy = {
    .name = "legacy",
    .first = LEGACY_SET_TIMER,
    .last = LEGACY_SHUTDOWN,
    .legacy = true,
    .call = sbi_legacy_call,
};
