// SPDX-License-Identifier: BSD-2-Clause
// TIME (chapter 6), and its legacy form (5.1): the same but for what they return.
#include "sbi/spec.h"

static bool pending(void) { return csr_read(sip) & SIE_STIE; }

static bool becomes_pending(void)
{
    uint64_t end = rt_patience();

    while (!pending())
        if (rdtime() > end)
            return false;
    return true;
}

/* A time at which nothing is pending any more, be the interrupt masked or not. */
static void check_future(void (*set)(uint64_t), uint64_t when)
{
    for (unsigned masked = 0; masked < 2; masked++) {
        set(0);
        check(becomes_pending(), "not pending for time 0");
        csr_write(sie, masked ? 0 : SIE_STIE);
        set(when);
        check(!pending(), "set_timer(%lx) leaves it pending, sie %lx", when, csr_read(sie));
        csr_write(sie, 0);
    }
}

static void check_timer(void (*set)(uint64_t))
{
    uint64_t at;

    check_future(set, ~0ul);
    check_future(set, ~0ul - 1);
    check_future(set, 1ul << 63);
    check_future(set, rdtime() + usec(60000000));
    at = rdtime() + usec(3000);
    set(at);
    while (!pending() && rdtime() < at + usec(20000000))
        ;
    check(rdtime() >= at, "pending early, at %lx, not %lx", rdtime(), at);
    check(pending(), "not pending after its time");
    set(~0ul);
    at = rdtime() + usec(2000);
    set(rdtime() + usec(60000000));
    set(at); /* the later call counts, not the earlier event */
    check(becomes_pending() && rdtime() >= at, "a second set_timer does not count");
    set(rdtime());
    check(becomes_pending(), "not pending for the time that it is");
    set(~0ul);
    check(!pending(), "pending at the end");
}

static void set_by_time(uint64_t when)
{
    check_error(CALL(SBI_TIME, 0, when), SBI_OK, "set_timer(%lx)", when); /* "always" */
}

static void set_by_legacy(uint64_t when)
{
    check(CALL(0, ~0ul, when).error == 0, "legacy set_timer(%lx)", when);
}

SPEC_CHECK(SBI_TIME, 0, time_set_timer) { check_timer(set_by_time); }
SPEC_CHECK(0, 0, legacy_set_timer) { check_timer(set_by_legacy); }
