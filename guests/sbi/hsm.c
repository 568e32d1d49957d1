// SPDX-License-Identifier: BSD-2-Clause
// HSM (chapter 9): start, stop, status, both suspends.
#include "sbi/spec.h"

enum { START, STOP, STATUS, SUSPEND };
enum { STARTED, STOPPED, START_PENDING, STOP_PENDING, SUSPENDED };
#define RETENTIVE 0x00000000ul
#define NON_RETENTIVE 0x80000000ul

static const uint64_t opaques[] = {0, 1, 0x123456789ABCDEF0, 1ul << 63, ~0ul};

/* Ids that no hart has, those that its low 32 bits name among them. */
static void check_no_harts(uint64_t fid)
{
    uint64_t last = 0;

    for (unsigned i = 0; i < rt_hart_count; i++)
        last = harts[i].id > last ? harts[i].id : last;
    uint64_t ids[] = {last + 1,
                      last + 2,
                      63,
                      64,
                      4096,
                      1ul << 31,
                      0xFFFFFFFF,
                      1ul << 32,
                      (1ul << 32) | harts[0].id,
                      1ul << 63,
                      (1ul << 63) | harts[0].id,
                      ~0ul,
                      ~0ul - 1};
    for (unsigned i = 0; i < ARRAY_LEN(ids); i++)
        if (rt_trapline || !(ids[i] >> 32)) /* OpenSBI 1.6 looks at the low 32 bits */
            check_error(CALL(SBI_HSM, fid, ids[i], (uint64_t)spec_started, 0), SBI_INVALID_PARAM,
                        "hart %lx", ids[i]);
}

/* OpenSBI's domains let a supervisor execute whatever is not firmware's: a hart started there is lost. */
static void check_no_addresses(uint64_t id)
{
    if (!rt_trapline)
        return;
    for (unsigned i = 0; i < spec_no_code_count; i++)
        check_error(CALL(SBI_HSM, START, id, spec_no_code[i], 0), SBI_INVALID_ADDRESS,
                    "address %lx", spec_no_code[i]);
    check_error(CALL(SBI_HSM, START, id, ram_end(), 0), SBI_INVALID_ADDRESS, "RAM's end");
    check_error(CALL(SBI_HSM, START, id, rt_ram_base - 2, 0), SBI_INVALID_ADDRESS, "before RAM");
    check_error(CALL(SBI_HSM, START, id, (uint64_t)spec_started + 1, 0), SBI_INVALID_ADDRESS,
                "odd");
    check_error(CALL(SBI_HSM, START, id, (uint64_t)spec_started | 1ul << 63, 0),
                SBI_INVALID_ADDRESS, "a good one, but for its most significant bit");
}

static void check_start(unsigned n, uint64_t opaque)
{
    arrival.there = 0;
    check(hart_stopped(n), "hart %u does not stop", n);
    check_error(CALL(SBI_HSM, START, harts[n].id, (uint64_t)spec_started, opaque), SBI_OK,
                "hart %lx, opaque %lx", harts[n].id, opaque);
    check(rt_wait(&arrival.there, 1), "hart %lx does not arrive", harts[n].id);
    check_arrival(harts[n].id, opaque);
    check(hart_status_becomes(n, STOPPED), "hart %lx does not stop by itself", harts[n].id);
}

SPEC_CHECK(SBI_HSM, START, hsm_start)
{
    check_no_harts(START);
    check_error(CALL(SBI_HSM, START, harts[0].id, (uint64_t)spec_started, 0), SBI_ALREADY_AVAILABLE,
                "ourselves");
    for (unsigned n = 1; n < rt_hart_count; n++) {
        check(hart_stopped(n), "hart %u does not stop", n);
        check_no_addresses(harts[n].id);
        check(hart_status(n) == STOPPED, "a failed start has started hart %u", n);
        for (unsigned i = 0; i < ARRAY_LEN(opaques); i++)
            check_start(n, opaques[i]);
    }
}

static void linger(void *arg)
{
    while (!*(volatile uint64_t *)arg)
        ;
}

SPEC_CHECK(SBI_HSM, START, hsm_start_started)
{
    volatile uint64_t end = 0;

    if (rt_hart_count < 2)
        return;
    check(hart_run(1, linger, (void *)&end), "hart 1 does not start");
    check(hart_status_becomes(1, STARTED), "status %lu", hart_status(1));
    check_error(CALL(SBI_HSM, START, harts[1].id, (uint64_t)spec_started, 0), SBI_ALREADY_AVAILABLE,
                "a started hart");
    end = 1;
    check(hart_wait(1), "hart 1 does not end");
}

/* It does not return (state.c prints a FAIL line), and the hart is stopped; the last one's is seen
 * with end=stop. */
SPEC_CHECK(SBI_HSM, STOP, hsm_stop)
{
    if (rt_hart_count < 2) {
        spec_skip("one hart");
        return;
    }
    for (unsigned round = 0; round < 8; round++) {
        unsigned n = 1 + round % (rt_hart_count - 1);
        volatile uint64_t end = 1;

        check(hart_run(n, linger, (void *)&end) && hart_wait(n), "hart %u does not start", n);
        check(hart_stopped(n), "hart %u does not stop", n);
        check_value(CALL(SBI_HSM, STATUS, harts[n].id), STOPPED, "hart %lx", harts[n].id);
    }
}

static void suspend_retentive(void *arg)
{
    volatile uint64_t *to = arg;

    csr_set(sie, SIE_SSIE);
    to[0] = (uint64_t)sbi_call(SBI_HSM, SUSPEND, RETENTIVE, 0, 0, 0, 0).error;
    csr_clear(sie, SIE_SSIE);
    csr_clear(sip, SIE_SSIE);
}

SPEC_CHECK(SBI_HSM, STATUS, hsm_status)
{
    volatile uint64_t error = 99;

    check_no_harts(STATUS);
    check_value(CALL(SBI_HSM, STATUS, harts[0].id), STARTED, "ourselves");
    for (unsigned n = 1; n < rt_hart_count; n++) {
        check(hart_stopped(n), "hart %u does not stop", n);
        check_value(CALL(SBI_HSM, STATUS, harts[n].id), STOPPED, "hart %lx", harts[n].id);
        check(hart_run(n, suspend_retentive, (void *)&error), "hart %u does not start", n);
        check(hart_status_becomes(n, SUSPENDED), "hart %u: status %lu, not SUSPENDED", n,
              hart_status(n));
        check_error(CALL(SBI_HSM, START, harts[n].id, (uint64_t)spec_started, 0),
                    rt_trapline ? SBI_ALREADY_AVAILABLE : SBI_INVALID_PARAM,
                    "start of a suspended");
        check_error(CALL(SBI_IPI, 0, 1, harts[n].id), SBI_OK, "an IPI to it");
        check(hart_wait(n) && error == 0, "hart %u: suspend ended with %ld", n, (long)error);
        check_value(CALL(SBI_HSM, STATUS, harts[n].id), STARTED, "hart %lx, awake", harts[n].id);
    }
}

/* The timer, enabled but not taken, ends a suspend in 2 ms. */
static uint64_t wake_later(void)
{
    uint64_t at = rdtime() + usec(2000);

    csr_set(sie, SIE_STIE);
    sbi_call(SBI_TIME, 0, at, 0, 0, 0, 0);
    return at;
}

/* 32 bits wide: reserved types, and platforms' that nobody has implemented. */
SPEC_CHECK(SBI_HSM, SUSPEND, hsm_suspend_types)
{
    static const uint64_t types[] = {1,
                                     2,
                                     0x0FFFFFFF,
                                     0x10000000,
                                     0x10000001,
                                     0x7FFFFFFF,
                                     0x80000001,
                                     0x8FFFFFFF,
                                     0x90000000,
                                     0xFFFFFFFE,
                                     0xFFFFFFFF,
                                     ~0ul,
                                     1ul << 63 | 1,
                                     1ul << 32 | 0x80000001};

    for (unsigned i = 0; i < ARRAY_LEN(types); i++)
        check_errors(CALL(SBI_HSM, SUSPEND, types[i], (uint64_t)spec_started, 0),
                     ERR(SBI_INVALID_PARAM) | natively(ERR(SBI_NOT_SUPPORTED)), "type %lx",
                     types[i]);
}

/* resume_addr is unused, all registers are kept, and bits above the 32 do not count. */
SPEC_CHECK(SBI_HSM, SUSPEND, hsm_suspend_retentive)
{
    static const uint64_t types[] = {RETENTIVE, 1ul << 32, 1ul << 63, 0xFFFFFFFF00000000};

    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        uint64_t at = wake_later();

        check_error(CALL(SBI_HSM, SUSPEND, types[i], 1, ~0ul), SBI_OK, "type %lx", types[i]);
        check(rdtime() >= at, "type %lx: woke early", types[i]);
        check_error(CALL(SBI_HSM, SUSPEND, types[i], 1, ~0ul), SBI_OK, "with one pending");
    }
}

SPEC_CHECK(SBI_HSM, SUSPEND, hsm_suspend_non_retentive)
{
    static const uint64_t types[] = {NON_RETENTIVE, NON_RETENTIVE | 1ul << 32,
                                     NON_RETENTIVE | 1ul << 63, 0xFFFFFFFF80000000};

    for (unsigned i = 0; i < ARRAY_LEN(opaques); i++) {
        uint64_t type = types[i % ARRAY_LEN(types)], at = wake_later();
        long came = spec_suspend(SBI_HSM, SUSPEND, type, opaques[i]);

        check(came == 1, "type %lx: error %ld", type, came);
        check(rdtime() >= at, "type %lx: woke early", type);
        check_arrival(harts[0].id, opaques[i]);
    }
}

SPEC_CHECK(SBI_HSM, SUSPEND, hsm_suspend_addresses)
{
    if (!rt_trapline)
        return;
    for (unsigned i = 0; i < spec_no_code_count; i++)
        check_error(CALL(SBI_HSM, SUSPEND, NON_RETENTIVE, spec_no_code[i], 0), SBI_INVALID_ADDRESS,
                    "address %lx", spec_no_code[i]);
    check_error(CALL(SBI_HSM, SUSPEND, NON_RETENTIVE, ram_end(), 0), SBI_INVALID_ADDRESS,
                "RAM's end");
    check_error(CALL(SBI_HSM, SUSPEND, NON_RETENTIVE, (uint64_t)spec_started + 1, 0),
                SBI_INVALID_ADDRESS, "odd");
}
