// SPDX-License-Identifier: BSD-2-Clause
// The exit boundary and what others ask of a vCPU: parking, waiting, timers; a vCPU on and off a hart. The
// scheduler is the test's: when the vCPU's thread would give up its hart, the test does what others do then.
// units: vcpu/boundary.c vcpu/sta.c vcpu/load.c vcpu/vcpu.c vcpu/fault.c vcpu/inject.c vcpu/insn.c vcpu/kick.c
// units: vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/fwft.c vcpu/sse.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/panic.h"
#include "mem/heap.h"
#include "sched/irq.h"
#include "stage2/guest_mem.h"
#include "vcpu/boundary.h"
#include "vcpu/exit.h"
#include "vcpu/fault.h"
#include "vcpu/features.h"
#include "vcpu/fpu.h"
#include "vcpu/load.h"
#include "vcpu/sta.h"
#include "vcpu/sbi/counters.h"
#include "vcpu/sbi/hsm.h"
#include "vcpu/vector.h"

static struct hart hart0, hart1;
struct hart *harts[HART_MAX] = {&hart0, &hart1};
unsigned hart_count = 2;
uint64_t timer_hz = 1000000;
struct vcpu_features vcpu_features;
static struct guest guest;
static struct vcpu *v;
static void (*others)(void); /* what happens while the vCPU's thread has no hart */
static unsigned blocks, wakes;
static uint64_t timer_when;
static bool timer_on;
static jmp_buf entered;
NORETURN void vcpu_enter(struct vcpu *vcpu); /* switch.S */

/* --- below vcpu/ --- */

void *heap_alloc(size_t size) { return calloc(1, size); }
void heap_free(void *p) { free(p); }
int thread_init(struct thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
    (void)name;
    t->stack = (void *)0x10000;
    t->fn = fn;
    t->arg = arg;
    return 0;
}
void thread_destroy(struct thread *t) { (void)t; }
void thread_hurry(struct thread *t) { (void)t; }
void thread_wake(struct thread *t)
{
    wakes++;
    atomic_store(&t->wake, true);
}
static unsigned yields;
static void (*on_resched)(void);
/* As the scheduler: off the hart, others run, back on a hart when something woke it. */
void thread_block(void)
{
    struct thread *t = &v->thread;

    blocks++;
    if (atomic_exchange(&t->wake, false))
        return;
    t->switch_out(t);
    for (unsigned i = 0; !atomic_exchange(&t->wake, false); i++) {
        assert_true(i < 10); /* else it sleeps for ever */
        assert_non_null(others);
        others();
    }
    t->switch_in(t);
}
/* The vCPU's thread begins again, and comes back when it has entered the guest. */
void thread_leave(enum thread_leave why)
{
    if (why == LEAVE_BLOCKED)
        thread_block();
    else if (why == LEAVE_YIELDING)
        yields++;
    else
        sched_resched();
    boundary_pass(v);
}
static unsigned polls;
void irq_poll(void)
{
    polls++;
    csr_write(CSR_SIP, 0);
}
static struct thread *ready_here; /* which a vCPU can yield to */
bool thread_yield_to(struct thread *t)
{
    if (t == ready_here)
        this_hart()->resched = true;
    return t == ready_here;
}
void sched_resched(void)
{
    this_hart()->resched = false;
    if (on_resched)
        on_resched();
}
void hart_request(unsigned index, unsigned long bits) { harts[index]->requests |= bits; }
void timer_init(struct timer *t, void (*fn)(struct timer *t)) { t->fn = fn; }
void timer_set(struct timer *t, uint64_t when)
{
    (void)t;
    timer_on = true;
    timer_when = when;
}
void timer_cancel(struct timer *t)
{
    (void)t;
    timer_on = false;
}
void timer_cancel_wait(struct timer *t) { timer_cancel(t); }
uint64_t vmid_load(struct stage2 *s2)
{
    assert_true(s2->root.v != 0); /* nobody loads a VM without memory */
    return s2->root.v >> PAGE_SHIFT;
}
/* FP registers: of each hart one number stands for all of them. */
static uint64_t hart_fp[2];
static uint32_t hart_fcsr[2];
static unsigned fp_loads, fp_saves;
void fpu_load(const uint64_t fpr[32], uint32_t fcsr)
{
    fp_loads++;
    hart_fp[fake_hart] = fpr[7];
    hart_fcsr[fake_hart] = fcsr;
}
void fpu_save(uint64_t fpr[32])
{
    fp_saves++;
    fpr[7] = hart_fp[fake_hart];
}
uint32_t arch_fcsr(void) { return hart_fcsr[fake_hart]; }
/* Vector registers: of each hart one number stands for all of them. */
static uint32_t hart_vector[2];
static unsigned vector_loads, vector_saves, vector_clears;
void vector_load(const void *registers, const struct vector_csrs *csrs)
{
    vector_loads++;
    memcpy(&hart_vector[fake_hart], registers, sizeof(hart_vector[0]));
    fake_csr[CSR_VCSR] = csrs->vcsr;
    fake_csr[CSR_VSTART] = csrs->vstart;
}
void vector_save(void *registers, struct vector_csrs *csrs)
{
    vector_saves++;
    memcpy(registers, &hart_vector[fake_hart], sizeof(hart_vector[0]));
    csrs->vcsr = fake_csr[CSR_VCSR];
    csrs->vstart = fake_csr[CSR_VSTART];
}
void vector_clear(void)
{
    vector_clears++;
    hart_vector[fake_hart] = 0;
    fake_csr[CSR_VCSR] = fake_csr[CSR_VSTART] = 0;
}
bool hsm_resume(struct vcpu *vcpu)
{
    (void)vcpu;
    return true;
}
bool vcpu_walk_fetch(struct stage2 *s2, uint64_t vsatp, gva_t pc, uint32_t *raw)
{
    (void)s2;
    (void)vsatp;
    (void)pc;
    *raw = 0; /* no WFI there */
    return true;
}
void vcpu_enter(struct vcpu *vcpu)
{
    (void)vcpu;
    longjmp(entered, 1);
}
/* --- the area of steal time --- */
#define AREA 0x80001040ul
static struct {
    uint32_t sequence, flags;
    uint64_t steal;
    uint8_t preempted, pad[47];
} area;
_Static_assert(sizeof(area) == 64, "SBI 3.0, 16.1");
static bool preempted_meanwhile;
int guest_mem_write(struct stage2 *s2, gpa_t to, const void *from, size_t len)
{
    (void)s2;
    assert_true(to.v >= AREA && to.v + len <= AREA + sizeof(area));
    if (to.v == AREA + 8)
        assert_true(area.sequence & 1);
    memcpy((char *)&area + (to.v - AREA), from, len);
    return 0;
}
int guest_mem_zero(struct stage2 *s2, gpa_t to, size_t len)
{
    (void)s2;
    assert_int_equal(to.v, AREA);
    assert_int_equal(len, sizeof(area));
    memset(&area, 0, len);
    return 0;
}

/* --- below fault.c --- */
static bool fetch_fails;
static enum mmio_result bus_result;
static unsigned bus_accesses;
bool arch_guest_fetch(uint64_t pc, uint32_t *to, struct arch_fault *fault)
{
    (void)pc;
    (void)fault;
    *to = 0x0005a503; /* lw a0, 0(a1) */
    if (fetch_fails)
        fake_csr[CSR_SCAUSE] = CAUSE_LOAD_PAGE_FAULT; /* as its trap leaves it */
    return !fetch_fails;
}
enum mmio_result bus_access(struct bus *bus, struct mmio_access *a)
{
    (void)bus;
    bus_accesses++;
    a->value = 0x80000001;
    return bus_result;
}
struct vdev *bus_find(struct bus *bus, gpa_t g)
{
    (void)bus;
    (void)g;
    return NULL;
}
int stage2_populate(struct stage2 *s2, gpa_t g, bool write)
{
    (void)s2;
    (void)g;
    (void)write;
    return 0;
}
const struct stage2_ram *stage2_find_ram(const struct stage2 *s2, gpa_t g)
{
    (void)s2;
    (void)g;
    return NULL;
}
void exit_choose_vector(void) {}
static unsigned vectors;
void exit_choose_vectors(const struct guest *g)
{
    assert_ptr_equal(g, &guest);
    vectors++;
}
enum exit_result exit_crash(struct vcpu *vcpu, const char *what)
{
    vcpu->stop_reason = what;
    return EXIT_STOP;
}
unsigned vcpu_walk_vs(struct stage2 *s2, uint64_t vsatp, gva_t va, struct vs_step steps[5],
                      gpa_t *out, int *result)
{
    (void)s2;
    (void)vsatp;
    (void)va;
    (void)steps;
    (void)out;
    *result = -1;
    return 0;
}

/* --- */

static int setup(void **state)
{
    (void)state;
    fake_arch_reset();
    memset(&guest, 0, sizeof(guest));
    memset(&hart0, 0, sizeof(hart0));
    memset(&hart1, 0, sizeof(hart1));
    hart1.index = 1;
    fake_hart_data[0] = &hart0;
    fake_hart_data[1] = &hart1;
    guest.sstc = true;
    guest.s2.root = pa(0x80000000);
    guest.name = "t";
    spin_init(&guest.sse_lock, LOCK_IRQCHIP);
    guest.htinst_mask = UINT64_MAX;
    guest.fast_mmio_end = 0x80000000;
    fake_time = 1000000;
    guest.time_delta = -fake_time;
    blocks = wakes = bus_accesses = 0;
    others = NULL;
    timer_on = fetch_fails = false;
    bus_result = MMIO_OK;
    v = vcpu_create(&guest, 0);
    assert_non_null(v);
    guest.vcpu[0] = v;
    guest.vcpu_count = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vcpu_destroy(v);
    return 0;
}

/* The thread's first run: up to the guest's first instruction. */
static void enter(void)
{
    if (!setjmp(entered)) {
        v->thread.switch_in(&v->thread);
        v->thread.fn(v->thread.arg);
    }
    atomic_store(&v->thread.wake, false);
}

static void start(void)
{
    vcpu_unpark(v);
    assert_int_equal(vcpu_start(v, 0x80200000, 7), 0);
    enter();
}

static void test_runs_not_parked(void **state)
{
    (void)state;
    assert_true(v->parked);
    start();
    assert_int_equal(v->loaded_hart, 0);
    assert_int_equal(v->pc, 0x80200000);
    assert_int_equal(v->gpr[11], 7);
    /* Whoever asks it to park now must not find that it is. */
    assert_false(v->parked);
    fake_hart = 1;
    vcpu_park(v);
    fake_hart = 0;
    assert_false(v->parked);
    assert_true(hart0.requests & HART_REQ_KICK);
}

static unsigned round;

static void unpark_then_park(void)
{
    switch (round++) {
    case 0:
        assert_true(v->parked);
        assert_int_equal(v->loaded_hart, -1);
        vcpu_unpark(v);
        return; /* and before it runs: */
    default:
        vcpu_unpark(v);
    }
}

/* Between the unpark and its run its registers and its memory may be taken away again. */
static void test_parked_is_not_loaded(void **state)
{
    (void)state;
    start();
    vcpu_park(v);
    round = 0;
    others = unpark_then_park;
    boundary_pass(v);
    assert_int_equal(v->loaded_hart, 0);
    assert_false(v->parked);

    v->thread.switch_out(&v->thread);
    atomic_store(&v->parked, true); /* it is about to notice that it may go on */
    guest.s2.root = pa(0);
    v->thread.switch_in(&v->thread);
    assert_int_equal(v->loaded_hart, -1);
    guest.s2.root = pa(0x80000000);
}

/* An idle hart's WFI ends when an interrupt is pending that vsie enables, V = 0 or not. */
static void test_nothing_pending_on_the_hart_it_left(void **state)
{
    (void)state;
    start();
    csr_write(CSR_VSIE, BIT(IRQ_SEI) | BIT(IRQ_STI));
    vcpu_irq_set(v, HVIP_VSEIP, true);
    assert_true(csr_read(CSR_HVIP) & HVIP_VSEIP);
    load_unload(v);
    assert_int_equal(csr_read(CSR_VSIE), 0);
    load_vcpu(v);
    assert_int_equal(csr_read(CSR_VSIE), BIT(IRQ_SEI) | BIT(IRQ_STI));
}

static void ring(void) { vcpu_irq_raise_ssip(v); }
static void lower(void)
{
    assert_true(timer_on);
    csr_write(CSR_VSIP, BIT(IRQ_SSI));
    vcpu_irq_raise_ssip(v);
}

static void test_wfi_waits_for_the_comparator(void **state)
{
    (void)state;
    start();
    csr_write(CSR_VSIE, BIT(IRQ_SSI) | BIT(IRQ_STI));
    csr_write(CSR_VSTIMECMP, 5000); /* guest time; it began at 1000000 */
    fake_time += 100;
    v->in_wfi = true;
    others = lower;
    boundary_pass(v);
    assert_false(v->in_wfi);
    assert_false(timer_on);
    assert_int_equal(timer_when, 1005000);
    /* So far in the future that host time does not reach it: never, not at once. */
    csr_write(CSR_VSIP, 0);
    csr_write(CSR_VSTIMECMP, UINT64_MAX - 1);
    v->in_wfi = true;
    boundary_pass(v);
    assert_int_equal(timer_when, UINT64_MAX);
    (void)ring;
}

static unsigned storm_left;
static void storm(void)
{
    vcpu_irq_raise_ssip(v);
    csr_write(CSR_SIP, BIT(IRQ_SSI)); /* another hart waits for this one's answer */
    assert_true(storm_left > 0);
    if (!--storm_left)
        csr_write(CSR_VSIP, BIT(IRQ_SSI));
}

/* Woken again and again while nothing is pending, it never enters the guest: the hart's own interrupts, which wait for
 * that, are looked at all the same. */
static void test_wakes_for_nothing_hold_no_interrupts(void **state)
{
    (void)state;
    start();
    csr_write(CSR_VSIE, BIT(IRQ_SSI));
    csr_write(CSR_SIE, BIT(IRQ_SSI));
    v->in_wfi = true;
    others = storm;
    storm_left = 5;
    polls = 0;
    boundary_pass(v);
    assert_int_equal(storm_left, 0);
    assert_int_equal(polls, 5);
    assert_int_equal(csr_read(CSR_SIP), 0);
}

static void test_timer_without_sstc(void **state)
{
    (void)state;
    guest.sstc = false;
    start();
    vcpu_set_timer(v, 500);
    assert_true(timer_on);
    assert_int_equal(timer_when, 1000500);
    assert_false(csr_read(CSR_HVIP) & HVIP_VSTIP);
    fake_time += 500;
    boundary_timer_fired(&v->timer);
    boundary_pass(v);
    assert_true(csr_read(CSR_HVIP) & HVIP_VSTIP);
    vcpu_set_timer(v, UINT64_MAX - 1);
    assert_false(csr_read(CSR_HVIP) & HVIP_VSTIP);
    assert_int_equal(timer_when, UINT64_MAX);
    vcpu_set_timer(v, 3);
    assert_true(csr_read(CSR_HVIP) & HVIP_VSTIP);
}

/* The old timer fires on another hart while the vCPU sets a new one. */
static void test_late_timer_is_not_early(void **state)
{
    (void)state;
    guest.sstc = false;
    start();
    vcpu_set_timer(v, 500);
    fake_time += 500;
    vcpu_set_timer(v, 90000);
    fake_hart = 1;
    boundary_timer_fired(&v->timer);
    fake_hart = 0;
    assert_true(hart0.requests & HART_REQ_KICK);
    boundary_pass(v);
    assert_false(csr_read(CSR_HVIP) & HVIP_VSTIP);
    assert_int_equal(v->irq_level, 0);
}

/* A hart that is started has no timer set, whatever it had before it stopped. */
static void test_start_clears_timer(void **state)
{
    (void)state;
    guest.sstc = false;
    start();
    vcpu_set_timer(v, 0);
    assert_true(csr_read(CSR_HVIP) & HVIP_VSTIP);
    atomic_store(&v->hsm, HSM_STOPPED);
    assert_int_equal(vcpu_start(v, 0x80300000, 8), 0);
    boundary_pass(v);
    assert_int_equal(v->pc, 0x80300000);
    assert_false(csr_read(CSR_HVIP) & HVIP_VSTIP);
}

/* What a guest can write though it has not been given the extension: no other guest sees it. */
static void test_state_without_an_extension(void **state)
{
    (void)state;
    static const uint16_t foreign[] = {CSR_VSISELECT, CSR_JVT, CSR_SCONTEXT};

    start();
    for (unsigned i = 0; i < ARRAY_LEN(foreign); i++)
        csr_write(foreign[i], 0x123 + i);
    for (unsigned i = 0; i < ARRAY_LEN(foreign); i++) {
        assert_int_equal(csr_read(foreign[i]), 0x123 + i); /* the host may lack it */
        vcpu_features.unswitched |= (uint8_t)BIT(i);
        load_vcpu(v);
        assert_int_equal(csr_read(foreign[i]), 0);
    }
    vcpu_features.unswitched = 0;
    /* sstateen1 to 3, where firmware would let guests write there. */
    vcpu_features.stateen = true;
    csr_write(CSR_HSTATEEN1, ~0ul);
    csr_write(CSR_HSTATEEN3, ~0ul);
    load_hart_init();
    vcpu_features.stateen = false;
    assert_int_equal(csr_read(CSR_HSTATEEN1) | csr_read(CSR_HSTATEEN2) | csr_read(CSR_HSTATEEN3),
                     0);
}

/* Firmware and loaders may have used a guest's side of the AIA: nothing of it is left. */
static void test_nothing_left_of_the_aia(void **state)
{
    static const uint16_t aia[] = {CSR_HVICTL, CSR_HVIPRIO1, CSR_HVIPRIO2, CSR_HVIEN};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(aia); i++)
        csr_write(aia[i], ~0ul);
    load_hart_init();
    for (unsigned i = 0; i < ARRAY_LEN(aia); i++)
        assert_int_equal(csr_read(aia[i]), 0);
    vcpu_features.sscofpmf = true;
    load_hart_init();
    vcpu_features.sscofpmf = false;
    assert_int_equal(csr_read(CSR_HVIEN), HVIP_LCOFIP);
}

/* A kick for what ran there is none for what the hart is started with. */
static void test_kick_ends_with_the_stop(void **state)
{
    (void)state;
    start();
    csr_write(CSR_VSTVEC, 0x80400000);
    atomic_store(&v->hsm, HSM_STOPPED);
    vcpu_request(v, VCPU_REQ_KICK);
    assert_int_equal(vcpu_start(v, 0x80300000, 8), 0);
    boundary_pass(v);
    assert_int_equal(v->pc, 0x80300000);
    assert_int_equal(v->requests, 0);
    vcpu_request(v, VCPU_REQ_KICK);
    boundary_pass(v);
    assert_int_equal(v->pc, 0x80400000);
}

static void start_again(void) { assert_int_equal(vcpu_start(v, 0x80300000, 8), 0); }
static void see_no_counting(void)
{
    assert_int_equal(guest.pmu_counting, 0);
    assert_int_equal(vectors, 1);
    start_again();
}

/* While a vCPU counts firmware events all vCPUs of its guest exit the long way: not when it has stopped. */
static void test_stopped_counts_nothing(void **state)
{
    (void)state;
    start();
    v->pmu.event[PMU_FIRST_FIRMWARE] = 0xf0005;
    v->pmu.running = BIT(PMU_FIRST_FIRMWARE);
    assert_true(pmu_used_changed(v));
    assert_int_equal(guest.pmu_counting, 1);
    vectors = 0;
    boundary_pass(v);
    assert_int_equal(vectors, 0);
    atomic_store(&v->hsm, HSM_STOPPED);
    others = see_no_counting;
    boundary_pass(v);
    assert_int_equal(v->pc, 0x80300000);
    /* It is started again before it has noticed that it stopped. */
    v->pmu.event[PMU_FIRST_FIRMWARE] = 0xf0005;
    assert_true(pmu_used_changed(v));
    atomic_store(&v->hsm, HSM_STOPPED);
    start_again();
    boundary_pass(v);
    assert_int_equal(guest.pmu_counting, 0);
    assert_int_equal(vectors, 2);
}

/* Where htinst says nothing the instruction is fetched, which may trap and overwrites scause: the access is
 * tried again, since nobody knows what it was any more. */
static void test_fast_access_that_cannot_fetch(void **state)
{
    (void)state;
    start();
    csr_write(CSR_SCAUSE, CAUSE_LOAD_GUEST_PAGE_FAULT);
    csr_write(CSR_HTVAL, 0x10000000 >> 2);
    csr_write(CSR_STVAL, 0x10000000);
    csr_write(CSR_HTINST, 0);
    csr_write(CSR_SEPC, 0x80200000);
    fetch_fails = true;
    assert_int_equal(fault_fast_access(v), EXIT_RESUME);
    assert_int_equal(csr_read(CSR_SEPC), 0x80200000);
    assert_int_equal(bus_accesses, 0);
    assert_int_equal(v->exits[CAUSE_LOAD_GUEST_PAGE_FAULT], 1);
    csr_write(CSR_SCAUSE, CAUSE_LOAD_GUEST_PAGE_FAULT);
    fetch_fails = false;
    assert_int_equal(fault_fast_access(v), EXIT_RESUME);
    assert_int_equal(csr_read(CSR_SEPC), 0x80200004);
    assert_int_equal(v->gpr[10], 0xffffffff80000001);
}

/* An IPI to a vCPU that runs elsewhere interrupts that hart; one to a vCPU that is on no hart costs no interrupt. */
static void test_ipi_to_what_does_not_run(void **state)
{
    (void)state;
    start();
    harts[0] = &hart0;
    load_unload(v);
    fake_hart = 1;
    vcpu_irq_raise_ssip(v);
    assert_int_equal(hart0.requests, 0);
    assert_int_equal(v->requests, VCPU_REQ_IRQ);
    fake_hart = 0;
    boundary_pass(v);
    assert_true(csr_read(CSR_HVIP) & HVIP_VSSIP);
    fake_hart = 1;
    vcpu_irq_raise_ssip(v);
    assert_int_equal(hart0.requests, HART_REQ_KICK);
    fake_hart = 0;
    boundary_pass(v);
}

static unsigned code_fences(unsigned hart)
{
    unsigned n;

    fake_fences = 0;
    fake_hart = hart;
    load_vcpu(v);
    n = fake_fence_count(FENCE_I, hart);
    load_unload(v);
    fake_hart = 0;
    return n;
}

/* A hart's instruction cache knows nothing of what was written elsewhere, by the guest or by the hypervisor. */
static void test_code_on_another_hart(void **state)
{
    (void)state;
    start();
    load_unload(v);
    assert_int_equal(code_fences(0), 0);
    assert_int_equal(code_fences(1), 1);
    assert_int_equal(code_fences(1), 0);
    atomic_fetch_add(&guest.s2.code_written, 1); /* while it was on no hart */
    assert_int_equal(code_fences(1), 1);
    assert_int_equal(code_fences(1), 0);
    assert_int_equal(code_fences(0), 1);
    assert_int_equal(code_fences(0), 0);
    load_vcpu(v);
}

static void on_hart_fp(unsigned hart, struct vcpu *vcpu, uint64_t expected, uint32_t fcsr)
{
    fake_hart = hart;
    load_vcpu(vcpu);
    assert_int_equal(hart_fp[hart], expected);
    assert_int_equal(hart_fcsr[hart], fcsr);
}

/* Loaded only where they are not as they should be, saved only when they changed. */
static void test_fp(void **state)
{
    struct vcpu *a = vcpu_create(&guest, 1), *b = vcpu_create(&guest, 2);

    (void)state;
    hart_fp[0] = hart_fp[1] = 0xBAD; /* as firmware left it */
    fp_loads = fp_saves = 0;
    for (unsigned i = 0; i < 3; i++) { /* nobody has used any */
        on_hart_fp(0, a, 0, 0);
        load_unload(a);
        on_hart_fp(0, b, 0, 0);
        load_unload(b);
    }
    assert_int_equal(fp_loads, 1);
    assert_int_equal(fp_saves, 0);
    on_hart_fp(0, a, 0, 0);
    hart_fp[0] = 11;
    fake_csr[CSR_SSTATUS] |= SSTATUS_FS_DIRTY;
    load_unload(a);
    assert_int_equal(fp_saves, 1);
    on_hart_fp(0, a, 11, 0); /* still there */
    load_unload(a);
    assert_int_equal(fp_saves, 1); /* and clean */
    on_hart_fp(0, b, 0, 0); /* sees nothing of a's */
    hart_fcsr[0] = 3; /* and QEMU says nothing of this */
    load_unload(b);
    on_hart_fp(1, a, 11, 0);
    load_unload(a);
    on_hart_fp(1, b, 0, 3);
    load_unload(b);
    vcpu_reset(a);
    on_hart_fp(1, a, 0, 0);
    load_unload(a);
    vcpu_destroy(a);
    vcpu_destroy(b);
    fake_hart = 0;
}

static const uint16_t guest_csrs[] = {
    CSR_VSSTATUS, CSR_VSIE,  CSR_VSTVEC,     CSR_VSSCRATCH, CSR_VSEPC,     CSR_VSCAUSE,
    CSR_VSTVAL,   CSR_VSATP, CSR_SCOUNTEREN, CSR_SENVCFG,   CSR_VSTIMECMP, CSR_HSTATUS,
};

/* from's thread leaves and to's takes its hart over, up to the guest's next instruction. */
static void take_over(struct vcpu *from, struct vcpu *to)
{
    struct hart *h = this_hart();

    atomic_store(&from->thread.on_hart, true);
    h->switched_from = &from->thread;
    h->current = &to->thread;
    if (!setjmp(entered))
        to->thread.take_over(to);
    assert_false(atomic_load(&from->thread.on_hart));
    assert_int_equal(from->loaded_hart, -1);
}

/* What a vCPU has in the hart when another one takes its place is there again when it comes back; whatever was set for
 * it meanwhile is seen. */
static void test_takes_over(void **state)
{
    struct guest second = guest;
    struct vcpu *b;

    (void)state;
    second.time_delta = 77;
    second.henvcfg = HENVCFG_STCE;
    second.s2.root = pa(0x90000000);
    b = vcpu_create(&second, 0);
    second.vcpu[0] = b;
    start();
    atomic_store(&b->parked, false);
    atomic_store(&b->requests, 0);
    atomic_store(&b->hsm, HSM_STARTED);
    for (unsigned round = 1; round < 4; round++) {
        for (unsigned i = 0; i < ARRAY_LEN(guest_csrs); i++)
            csr_write(guest_csrs[i], 1000 * round + i);
        hart_fp[0] = round;
        fake_csr[CSR_SSTATUS] |= SSTATUS_FS_DIRTY | SSTATUS_SPP;
        csr_write(CSR_HVIP, HVIP_VSSIP);
        take_over(v, b);
        assert_ptr_equal(hart0.vcpu, b);
        assert_int_equal(b->loaded_hart, 0);
        assert_int_equal(csr_read(CSR_HTIMEDELTA), 77);
        assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE);
        assert_int_equal(csr_read(CSR_HGATP), 0x90000000 >> PAGE_SHIFT);
        assert_int_equal(csr_read(CSR_HVIP), 0);
        assert_int_equal(hart_fp[0], 0);
        if (round == 2) /* for one that is on no hart now */
            vcpu_irq_set(v, HVIP_VSEIP, true);
        for (unsigned i = 0; i < ARRAY_LEN(guest_csrs); i++)
            csr_write(guest_csrs[i], i);
        take_over(b, v);
        assert_ptr_equal(hart0.vcpu, v);
        assert_int_equal(csr_read(CSR_HVIP), HVIP_VSSIP | (round >= 2 ? HVIP_VSEIP : 0));
        assert_int_equal(csr_read(CSR_HTIMEDELTA), guest.time_delta);
        for (unsigned i = 0; i + 1 < ARRAY_LEN(guest_csrs); i++)
            assert_int_equal(csr_read(guest_csrs[i]), 1000 * round + i);
        assert_int_equal(csr_read(CSR_HSTATUS) & ~(uint64_t)HSTATUS_VTW,
                         (1000 * round + ARRAY_LEN(guest_csrs) - 1) & ~(uint64_t)HSTATUS_VTW);
        assert_int_equal(hart_fp[0], round);
    }
    load_unload(v);
    vcpu_destroy(b);
    load_vcpu(v);
}

/* One that is being parked is not loaded in the other's place: it goes on to wait. */
static void test_takes_over_only_to_park(void **state)
{
    struct vcpu *b = vcpu_create(&guest, 1);

    (void)state;
    start();
    vcpu_park(v);
    load_unload(v);
    atomic_store(&v->parked, true); /* it is on its way back from there */
    atomic_fetch_and(&v->requests, ~(uint64_t)VCPU_REQ_PARK);
    load_vcpu(b);
    take_over(b, v);
    assert_false(v->parked);
    assert_ptr_equal(hart0.vcpu, v);
    vcpu_destroy(b);
}

/* The guest of a loaded vCPU uses vectors. */
static void use_vector(uint32_t number)
{
    hart_vector[fake_hart] = number;
    fake_csr[CSR_SSTATUS] |= SSTATUS_VS_DIRTY;
}

static void on_hart(unsigned hart, struct vcpu *vcpu, uint32_t expected)
{
    fake_hart = hart;
    load_vcpu(vcpu);
    assert_int_equal(hart_vector[hart], expected);
    assert_int_not_equal(fake_csr[CSR_SSTATUS] & SSTATUS_VS, 0);
}

static void test_vector(void **state)
{
    struct vcpu *a, *b, *c;

    (void)state;
    vcpu_features.vlenb = 16;
    a = vcpu_create(&guest, 1);
    b = vcpu_create(&guest, 2);
    c = vcpu_create(&guest, 3);
    hart_vector[0] = hart_vector[1] = 0xBAD; /* as firmware left it */
    for (fake_hart = 0; fake_hart < 2; fake_hart++)
        load_hart_init();
    vector_loads = vector_saves = vector_clears = 0;
    for (unsigned i = 0; i < 3; i++) { /* nobody has used any: nothing to be done */
        on_hart(0, a, 0);
        load_unload(a);
        on_hart(0, b, 0);
        load_unload(b);
    }
    assert_int_equal(vector_loads + vector_saves + vector_clears, 0);
    on_hart(0, a, 0);
    use_vector(11);
    load_unload(a);
    assert_int_equal(vector_saves, 1);
    on_hart(0, a, 11); /* still there */
    load_unload(a);
    assert_int_equal(vector_loads, 0);
    assert_int_equal(vector_saves, 1); /* and clean */
    on_hart(0, b, 0); /* sees nothing of a's */
    assert_int_equal(vector_clears, 1);
    fake_csr[CSR_VCSR] = 5; /* and QEMU says nothing of this */
    load_unload(b);
    on_hart(0, a, 11);
    assert_int_equal(fake_csr[CSR_VCSR], 0);
    fake_csr[CSR_VSTART] = 2;
    load_unload(a);
    on_hart(0, b, 0);
    assert_int_equal(fake_csr[CSR_VCSR], 5);
    load_unload(b);
    on_hart(0, c, 0);
    load_unload(c);
    on_hart(1, a, 11); /* to another hart, changed there, and back */
    assert_int_equal(fake_csr[CSR_VSTART], 2);
    use_vector(12);
    load_unload(a);
    on_hart(0, a, 12);
    use_vector(13);
    load_unload(a);
    vcpu_reset(a);
    on_hart(0, a, 0); /* a reset is one */
    load_unload(a);
    on_hart(0, b, 0);
    use_vector(21);
    load_unload(b);
    vcpu_destroy(b);
    b = vcpu_create(&guest, 2); /* perhaps at the same address */
    on_hart(0, b, 0);
    load_unload(b);
    vcpu_destroy(a);
    vcpu_destroy(b);
    vcpu_destroy(c);
    vcpu_features.vlenb = 0;
    fake_hart = 0;
}

/* WRS.NTO that trapped: a sibling that waits for this hart gets it, else whoever waits. */
static void test_yields_to_a_sibling(void **state)
{
    struct vcpu *sibling = vcpu_create(&guest, 1);

    (void)state;
    assert_non_null(sibling);
    guest.vcpu[1] = sibling;
    guest.vcpu_count = 2;
    start();
    yields = 0;
    v->yielding = true;
    boundary_pass(v);
    assert_int_equal(yields, 1);
    assert_false(v->yielding);
    v->yielding = true;
    ready_here = &sibling->thread;
    boundary_pass(v);
    ready_here = NULL;
    assert_int_equal(yields, 1); /* sched_resched has switched */
    assert_false(v->yielding);
    vcpu_destroy(sibling);
    guest.vcpu_count = 1;
}

/* Another had the hart for 300 us. */
static void wait_for_hart(void)
{
    preempted_meanwhile = area.preempted;
    v->thread.time[THREAD_WAITED] += 300;
}

static void test_steal_time(void **state)
{
    (void)state;
    start();
    v->thread.time[THREAD_WAITED] = 5000; /* before the guest asked: not told */
    memset(&area, 0xff, sizeof(area));
    assert_int_equal(sta_start(v, AREA), 0);
    boundary_pass(v);
    assert_int_equal(area.sequence, 0);
    assert_int_equal(area.steal, 0);
    on_resched = wait_for_hart;
    hart0.resched = true;
    boundary_pass(v);
    on_resched = NULL;
    assert_true(preempted_meanwhile);
    assert_int_equal(area.preempted, 0);
    assert_int_equal(area.sequence, 2);
    assert_int_equal(area.steal, 300000);
    /* Held back by a cap, too; idle and paused time is not in it. */
    v->thread.time[THREAD_CAPPED] += 50;
    v->thread.time[THREAD_IDLED] += 1000;
    v->thread.time[THREAD_OFF] += 1000;
    boundary_pass(v);
    assert_int_equal(area.steal, 350000);
    assert_int_equal(area.sequence, 4);
    /* Restored on a host where the thread has other times, it goes on from what was told. */
    v->thread.time[THREAD_WAITED] = 7;
    sta_restored(v);
    v->thread.time[THREAD_WAITED] += 10;
    boundary_pass(v);
    assert_int_equal(area.steal, 360000);
    sta_reset(v);
    v->thread.time[THREAD_WAITED] += 10;
    boundary_pass(v);
    assert_int_equal(area.steal, 360000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs_not_parked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parked_is_not_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_pending_on_the_hart_it_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wfi_waits_for_the_comparator, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wakes_for_nothing_hold_no_interrupts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer_without_sstc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_timer_is_not_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_clears_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state_without_an_extension, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_left_of_the_aia, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kick_ends_with_the_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_counts_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ipi_to_what_does_not_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_on_another_hart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_takes_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_takes_over_only_to_park, setup, teardown),
        cmocka_unit_test_setup_teardown(test_steal_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yields_to_a_sibling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fast_access_that_cannot_fetch, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
