// SPDX-License-Identifier: BSD-2-Clause
// cycle, time and instret, in S-mode and in user mode.
#include "unit/unit.h"

#define COUNTER(id, csr) \
    extern char user_##id[]; \
    __asm__(".text\n .align 2\n user_" #id ": csrr a0, " #csr "\n ecall\n"); \
    static uint64_t read_##id(void) { return csr_read(csr); } \
    UNIT_CASE(counter_##id, 0) { check_counter(read_##id, user_##id); }

static void check_counter(uint64_t (*read)(void), char *user)
{
    uint64_t a, b, end = rdtime() + usec(1000);
    struct trap_record t;

    a = read();
    while (rdtime() < end)
        ;
    b = read();
    CHECK(b > a, "went from %lu to %lu", a, b);
    csr_write(scounteren, 7);
    a = rt_run_user((uint64_t)user, 0);
    CHECK(a >= b, "in user mode it went from %lu to %lu", b, a);
    csr_write(scounteren, 0);
    trap_begin();
    rt_run_user((uint64_t)user, 0);
    t = trap_end();
    CHECK(t.count == 1 && t.cause == CAUSE_ILLEGAL, "scounteren 0: %u traps, cause %lu", t.count,
          t.cause);
    CHECK(t.from_user, "from S-mode");
}

COUNTER(cycle, cycle)
COUNTER(time, time)
COUNTER(instret, instret)

UNIT_CASE(counters_read_only, 0)
{
    trap_begin();
    __asm__ volatile(".option push\n .option norvc\n .word 0xc0051073\n .option pop"); /* cycle */
    CHECK_EQ(trap_end().cause, CAUSE_ILLEGAL);
}

static volatile uint64_t turn, worst;

static void ping(void *arg)
{
    uint64_t end = rt_patience();

    (void)arg;
    for (uint64_t i = 0, last = 0; i < 200; i++) {
        while (turn != 2 * i + 1)
            if (rdtime() > end)
                return;
        uint64_t now = rdtime();

        if (now < last)
            worst = last - now;
        last = now;
        __atomic_store_n(&turn, 2 * i + 2, __ATOMIC_RELEASE);
    }
}

/* Time read here, then there, then here again never goes backwards. */
UNIT_CASE(time_is_one_clock, UNIT_SMP)
{
    uint64_t end, before;

    turn = worst = 0;
    CHECK(hart_run(1, ping, NULL), "hart did not start");
    end = rt_patience();
    for (uint64_t i = 0; i < 200; i++) {
        before = rdtime();
        __atomic_store_n(&turn, 2 * i + 1, __ATOMIC_RELEASE);
        while (turn != 2 * i + 2)
            CHECK(rdtime() < end, "the other hart stopped at turn %lu", turn);
        CHECK(rdtime() >= before, "backwards");
    }
    CHECK_EQ(worst, 0);
    CHECK(hart_wait(1), "hart does not end");
}
