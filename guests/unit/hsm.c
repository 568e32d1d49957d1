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

UNIT_CASE(hsm_suspend_non_retentive, 0) { unit_check_suspend(SBI_HSM, SUSPEND, NON_RETENTIVE); }

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
