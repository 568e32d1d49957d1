// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/exit.h"

#include "base/log.h"
#include "sched/account.h"
#include "sched/irq.h"
#include "sched/xcall.h"
#include "vcpu/boundary.h"
#include "vcpu/fault.h"
#include "vcpu/hostpmu.h"
#include "vcpu/report.h"
#include "vcpu/sbi/counters.h"
#include "vcpu/sbi/sbi.h"
#include "vcpu/virtual.h"

#define INTERRUPT 32 /* rows from here on: interrupts */

enum exit_result exit_handle(struct vcpu *v);
void exit_finish(struct vcpu *v, enum exit_result verdict);
void exit_slow_costs(struct vcpu *v);
void exit_slow_call(struct vcpu *v, enum exit_result verdict);
void exit_slow_counted(struct vcpu *v);

extern char exit_entry[], exit_entry_costs[], exit_entry_counted[]; /* switch.S */
static bool costs;

static enum exit_result exit_interrupt(struct vcpu *v)
{
    struct hart *h = this_hart();

    (void)v;
    account_interrupt(h);
    irq_poll();
    if (!h->resched)
        account_resume(h);
    return EXIT_RESUME;
}

static enum exit_result exit_overflow(struct vcpu *v)
{
    hostpmu_overflow(v);
    return EXIT_RESUME;
}

static enum exit_result exit_unexpected(struct vcpu *v)
{
    return exit_crash(v, "an exit that no guest should be able to cause");
}

static enum exit_result exit_ecall(struct vcpu *v) { return sbi_dispatch_slow(v); }

static const struct {
    enum exit_result (*handle)(struct vcpu *v);
    const char *name;
} exit_table[EXIT_CAUSES] = {
    [CAUSE_FETCH_ACCESS] = {exit_reflect, "fetch-access"},
    [CAUSE_LOAD_ACCESS] = {exit_reflect, "load-access"},
    [CAUSE_STORE_ACCESS] = {exit_reflect, "store-access"},
    [CAUSE_ILLEGAL] = {exit_reflect, "illegal"},
    [CAUSE_BREAKPOINT] = {exit_reflect, "breakpoint"},
    [CAUSE_ECALL_VS] = {exit_ecall, "sbi"},
    [CAUSE_FETCH_GUEST_PAGE_FAULT] = {exit_guest_page_fault, "fetch-guest-page"},
    [CAUSE_LOAD_GUEST_PAGE_FAULT] = {exit_guest_page_fault, "load-guest-page"},
    [CAUSE_STORE_GUEST_PAGE_FAULT] = {exit_guest_page_fault, "store-guest-page"},
    [CAUSE_VIRTUAL_INSTRUCTION] = {exit_virtual_instruction, "virtual-instruction"},
    [INTERRUPT + IRQ_SSI] = {exit_interrupt, "ipi"},
    [INTERRUPT + IRQ_STI] = {exit_interrupt, "timer"},
    [INTERRUPT + IRQ_SEI] = {exit_interrupt, "external"},
    [INTERRUPT + IRQ_LCOFI] = {exit_overflow, "counter-overflow"},
};

const char *exit_cause_name(unsigned index)
{
    return index < EXIT_CAUSES && exit_table[index].name ? exit_table[index].name : "other";
}

void exit_choose_vector(void)
{
    const struct vcpu *v = this_hart()->vcpu;
    bool counts = v && atomic_load(&v->guest->pmu_counting);

    this_hart()->counts_exits = counts;
    csr_write(CSR_STVEC, (uint64_t)(counts  ? exit_entry_counted
                                    : costs ? exit_entry_costs
                                            : exit_entry));
}

static void choose_vector(void *arg)
{
    (void)arg;
    exit_choose_vector();
}

void exit_choose_vectors(const struct guest *g)
{
    uint64_t on = 0;

    for (unsigned i = 0; i < g->vcpu_count; i++) {
        int hart = atomic_load(&g->vcpu[i]->loaded_hart);

        on |= hart < 0 ? 0 : BIT(hart);
    }
    xcall_run(on, choose_vector, 0);
}

void exit_set_costs(bool on)
{
    costs = on;
    xcall_run(~0ul >> (64 - hart_count), choose_vector, 0);
}

/* Applies a verdict, then does what the exit boundary asks. EXIT_RESUME, EXIT_INJECT: pc is right. */
static inline void finish(struct vcpu *v, enum exit_result verdict)
{
    if (verdict == EXIT_ADVANCE)
        v->pc += v->exit_length;
    else if (verdict == EXIT_STOP)
        atomic_store(&v->hsm, HSM_STOPPED); /* until the VM manager resets or destroys it */
    if (verdict >= EXIT_BLOCK || atomic_load_explicit(&v->requests, memory_order_relaxed) ||
        this_hart()->resched)
        boundary_pass(v);
}

static inline unsigned row_of(uint64_t cause)
{
    return (unsigned)(cause & 31) | (cause >> 63 ? INTERRUPT : 0);
}

static inline enum exit_result handle(struct vcpu *v, uint64_t cause)
{
    unsigned row = row_of(cause);
    enum exit_result (*handler)(struct vcpu *) = exit_table[row].handle;

    v->exit.cause = cause;
    v->exit.tval = csr_read(CSR_STVAL);
    v->exit.htval = csr_read(CSR_HTVAL);
    v->exit.htinst = csr_read(CSR_HTINST);
    v->exits[row]++;
    if (!handler || cause << 1 >= 64)
        handler = exit_unexpected;
    return handler(v);
}

/* Remembers the exit, for reports, and measures its handler. */
static enum exit_result handle_costs(struct vcpu *v, uint64_t cause)
{
    unsigned row = row_of(cause);
    enum exit_result verdict;
    uint64_t before;

    v->last_exits[v->last_exit++ % EXIT_RING] =
        (struct exit_record){v->pc, csr_read(CSR_STVAL), csr_read(CSR_HTVAL), (uint8_t)row};
    before = csr_read(CSR_INSTRET);
    verdict = handle(v, cause);
    v->exits_cost[row] += csr_read(CSR_INSTRET) - before;
    return verdict;
}

/* From switch.S, everything saved: any exit but a fast one; then its verdict. */
enum exit_result exit_handle(struct vcpu *v) { return handle(v, csr_read(CSR_SCAUSE)); }
void exit_finish(struct vcpu *v, enum exit_result verdict) { finish(v, verdict); }

/* The same while costs are measured: all exits, SBI calls included. */
void exit_slow_costs(struct vcpu *v) { finish(v, handle_costs(v, csr_read(CSR_SCAUSE))); }

/* The same where firmware events are counted. */
void exit_slow_counted(struct vcpu *v)
{
    uint64_t cause = csr_read(CSR_SCAUSE);
    enum exit_result verdict;

    if (cause == CAUSE_ECALL_VS)
        pmu_count_call(v);
    verdict = costs ? handle_costs(v, cause) : handle(v, cause);
    if (verdict == EXIT_INJECT)
        pmu_count_trap(v);
    finish(v, verdict);
}

/* From switch.S: sbi_dispatch could not finish on the fast path. */
void exit_slow_call(struct vcpu *v, enum exit_result verdict)
{
    if (verdict == EXIT_SLOW)
        verdict = sbi_dispatch_slow(v);
    finish(v, verdict);
}

enum exit_result exit_crash(struct vcpu *v, const char *what)
{
    v->stop_reason = what;
    /* One report says it all; the others of its VM may come to grief at once, or be made to again. A sibling's reboot
     * may end the VM before this does, so that it crashes once in each of its lives. */
    if (!atomic_exchange(&v->guest->crashed, 1) && log_ratelimit(&v->guest->log))
        report_log(v, what);
    v->guest->ops->event(v->guest, GUEST_CRASHED, 0);
    return EXIT_STOP;
}
