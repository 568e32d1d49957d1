// SPDX-License-Identifier: BSD-2-Clause
// Hart state management (SBI HSM): start, stop, status, both suspends, and their errors.
#include "unit/unit.h"

enum { START, STOP, STATUS, SUSPEND };
enum { STARTED, STOPPED };
#define RETENTIVE 0u
#define NON_RETENTIVE 0x80000000u

static struct sbi_ret hsm(unsigned fid, uint64_t a, uint64_t b, uint64_t c)
{
    return sbi_call(SBI_HSM, fid, a, b, c, 0, 0);
}

UNIT_CASE(hsm_status_self, 0)
{
    struct sbi_ret r = hsm(STATUS, harts[0].id, 0, 0);

    CHECK_EQ(r.error, 0);
    CHECK_EQ(r.value, STARTED);
}

UNIT_CASE(hsm_bad_hart, 0)
{
    CHECK_SBI(hsm(STATUS, 4000, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(hsm(START, 4000, (uint64_t)image_start, 0), SBI_INVALID_PARAM);
    CHECK_SBI(hsm(STATUS, ~0ul, 0, 0), SBI_INVALID_PARAM);
}

UNIT_CASE(hsm_start_started, 0)
{
    CHECK_SBI(hsm(START, harts[0].id, (uint64_t)image_start, 0), SBI_ALREADY_AVAILABLE);
}

static bool wait_status(unsigned n, uint64_t want)
{
    uint64_t end = rt_patience();

    while (hsm(STATUS, harts[n].id, 0, 0).value != want)
        if (rdtime() > end)
            return false;
    return true;
}

static void stop_self(void *arg)
{
    struct hart *h = hart_self();

    (void)arg;
    __atomic_store_n(&h->run, NULL, __ATOMIC_RELEASE);
    hsm(STOP, 0, 0, 0);
    printf("FAIL hsm_stop: the hart goes on\n");
}

UNIT_CASE(hsm_start_bad_address, UNIT_SMP | UNIT_TRAPLINE)
{
    CHECK(hart_run(1, stop_self, NULL), "hart did not start");
    CHECK(wait_status(1, STOPPED), "did not stop");
    CHECK_SBI(hsm(START, harts[1].id, 0x10000000, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(hsm(START, harts[1].id, 0, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(hsm(START, harts[1].id, rt_ram_base + rt_ram_size, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(hsm(START, harts[1].id, ~0ul - 1, 0), SBI_INVALID_ADDRESS);
    CHECK(wait_status(1, STOPPED), "started nevertheless");
}

UNIT_CASE(hsm_start_stop, UNIT_SMP)
{
    for (unsigned i = 0; i < 20; i++) {
        CHECK(hart_run(1, stop_self, NULL), "round %u: did not start", i);
        CHECK(wait_status(1, STOPPED), "round %u: did not stop", i);
    }
}

static void note_state(void *arg)
{
    uint64_t *to = arg;

    to[0] = csr_read(sstatus) & SSTATUS_SIE;
    to[1] = csr_read(satp);
    to[2] = csr_read(sie);
}

/* Specification 3.0, table of the hart's state at its start: satp 0, sstatus.SIE 0. (The runtime
 * clears sie and satp itself, so only SIE is told apart here.) */
UNIT_CASE(hsm_start_state, UNIT_SMP)
{
    uint64_t state[3] = {~0ul, ~0ul, ~0ul};

    CHECK(hart_run(1, stop_self, NULL), "hart did not start");
    CHECK(wait_status(1, STOPPED), "did not stop");
    CHECK(hart_run(1, note_state, state), "hart did not start");
    CHECK(hart_wait(1), "did not run");
    CHECK_EQ(state[0], 0);
    CHECK_EQ(state[1], 0);
    CHECK_EQ(state[2], 0);
    CHECK_SBI(hsm(START, harts[1].id, (uint64_t)image_start, 0), SBI_ALREADY_AVAILABLE);
}

UNIT_CASE(hsm_every_hart, UNIT_SMP)
{
    uint64_t state[3];

    for (unsigned i = 1; i < rt_hart_count; i++) {
        CHECK(hart_run(i, note_state, state), "hart %u did not start", i);
        CHECK(hart_wait(i), "hart %u did not run", i);
        CHECK(wait_status(i, STARTED), "hart %u", i);
    }
}

UNIT_CASE(hsm_suspend_bad_type, 0)
{
    CHECK_SBI(hsm(SUSPEND, 1, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(hsm(SUSPEND, 0x0fffffff, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(hsm(SUSPEND, 0x80000001, (uint64_t)image_start, 0), SBI_INVALID_PARAM);
}

UNIT_CASE(hsm_suspend_bad_address, UNIT_TRAPLINE)
{
    CHECK_SBI(hsm(SUSPEND, NON_RETENTIVE, 0x10000000, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(hsm(SUSPEND, NON_RETENTIVE, 0, 0), SBI_INVALID_ADDRESS);
}

UNIT_CASE(hsm_suspend_retentive, 0)
{
    uint64_t at = rdtime() + usec(3000);
    double f = 1.5;
    uint64_t bits;

    csr_set(sie, SIE_STIE);
    sbi_call(SBI_TIME, 0, at, 0, 0, 0, 0);
    __asm__ volatile("fmv.d.x fs3, %0" ::"r"(*(uint64_t *)&f) : "fs3");
    CHECK_SBI(hsm(SUSPEND, RETENTIVE, 0, 0), SBI_OK);
    __asm__ volatile("fmv.x.d %0, fs3" : "=r"(bits));
    CHECK_EQ(bits, *(uint64_t *)&f);
    CHECK(rdtime() >= at, "woke %lu units early", at - rdtime());
}

/* Resumes in resume_here with a0 = hartid, a1 = what was given, as a hart that was started. */
static uint64_t resume_frame[16];
static volatile uint64_t resumed_id;
void resume_here(void);
__asm__(".text\n .globl resume_here\n resume_here:\n"
        "ld sp, 0(a1)\n ld tp, 8(a1)\n ld gp, 16(a1)\n"
        "ld s0, 24(a1)\n ld s1, 32(a1)\n ld s2, 40(a1)\n ld s3, 48(a1)\n ld s4, 56(a1)\n"
        "ld s5, 64(a1)\n ld s6, 72(a1)\n ld s7, 80(a1)\n ld s8, 88(a1)\n ld s9, 96(a1)\n"
        "ld s10, 104(a1)\n ld s11, 112(a1)\n ld t0, 120(a1)\n jr t0\n");

__attribute__((noinline)) static long suspend_non_retentive(void)
{
    register uint64_t a0 __asm__("a0") = NON_RETENTIVE;
    register uint64_t a1 __asm__("a1") = (uint64_t)resume_here;
    register uint64_t a2 __asm__("a2") = (uint64_t)resume_frame;
    register uint64_t a6 __asm__("a6") = SUSPEND;
    register uint64_t a7 __asm__("a7") = SBI_HSM;

    __asm__ volatile(
        "sd sp, 0(a2)\n sd tp, 8(a2)\n sd gp, 16(a2)\n"
        "sd s0, 24(a2)\n sd s1, 32(a2)\n sd s2, 40(a2)\n sd s3, 48(a2)\n sd s4, 56(a2)\n"
        "sd s5, 64(a2)\n sd s6, 72(a2)\n sd s7, 80(a2)\n sd s8, 88(a2)\n sd s9, 96(a2)\n"
        "sd s10, 104(a2)\n sd s11, 112(a2)\n lla t0, 1f\n sd t0, 120(a2)\n"
        "ecall\n 1:"
        : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a6), "+r"(a7)
        :
        : "memory", "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a3", "a4", "a5");
    resumed_id = a0;
    return (long)a1;
}

UNIT_CASE(hsm_suspend_non_retentive, 0)
{
    uint64_t at = rdtime() + usec(3000), vector = csr_read(stvec), arg;

    csr_set(sie, SIE_STIE);
    sbi_call(SBI_TIME, 0, at, 0, 0, 0, 0);
    arg = (uint64_t)suspend_non_retentive();
    csr_write(stvec, vector);
    csr_write(sscratch, hart_self());
    csr_set(sstatus, SSTATUS_FS);
    CHECK(arg == (uint64_t)resume_frame, "a1 is %lx; a0, or the error, %ld", arg, (long)resumed_id);
    CHECK_EQ(resumed_id, harts[0].id);
    CHECK_EQ(csr_read(satp), 0);
    CHECK_EQ(csr_read(sstatus) & SSTATUS_SIE, 0);
    CHECK(rdtime() >= at, "woke %lu units early", at - rdtime());
}

static void suspend_self(void *arg)
{
    csr_set(sie, SIE_SSIE);
    *(volatile long *)arg = hsm(SUSPEND, RETENTIVE, 0, 0).error;
    csr_clear(sip, SIE_SSIE);
    csr_clear(sie, SIE_SSIE);
}

UNIT_CASE(hsm_suspend_ipi, UNIT_SMP)
{
    volatile long error = 99;

    CHECK(hart_run(1, suspend_self, (void *)&error), "hart did not start");
    CHECK(wait_status(1, 4), "status is %lu, not suspended", hsm(STATUS, harts[1].id, 0, 0).value);
    CHECK_SBI(sbi_call(SBI_IPI, 0, 1, harts[1].id, 0, 0, 0), SBI_OK);
    CHECK(hart_wait(1), "the IPI did not wake it");
    CHECK_EQ(error, 0);
}
