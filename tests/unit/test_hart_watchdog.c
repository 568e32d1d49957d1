// SPDX-License-Identifier: BSD-2-Clause
// The watchdog's ring: who looks at whom, when one, two, all but one are stuck, and when they go on.
// units: hyp/boot/watchdog.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/symbol.h"
#include "boot/loud.h"
#include "boot/watchdog.h"
#include "boot/where.h"
#include "sched/timer.h"

enum { HARTS = 4, TICKS = 5 };

struct hart *harts[HART_MAX];
unsigned hart_count = HARTS;
uint64_t hart_spin_limit, timer_hz = 1000000;
void (*hart_spins_too_long)(void);
atomic_uint hart_stuck_reports;

static struct hart hart[HARTS];
static struct thread thread[HARTS];
static struct timer *timers[HARTS];
static struct spinlock lock = SPINLOCK_INIT(LOCK_FRAME);
static char said[8192], warned[256];
static unsigned asked;

void timer_init(struct timer *t, void (*fn)(struct timer *t)) { t->fn = fn; }
void timer_set(struct timer *t, uint64_t when)
{
    assert_int_equal(when, fake_time + 2000000); /* 10 s in 5 ticks */
    timers[hart_index()] = t;
}
const char *symbol_at(uint64_t address, char *buf, unsigned size)
{
    snprintf(buf, size, "f%lu+0", (unsigned long)address);
    return buf;
}
const char *exit_cause_name(unsigned index)
{
    (void)index;
    return "some";
}
void loud_print(const char *fmt, ...)
{
    size_t len = strlen(said);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(said + len, sizeof(said) - len, fmt, ap);
    va_end(ap);
}
void loud_backtrace(const struct thread *t, uint64_t sp)
{
    loud_print("backtrace of %s from %lu\n", t->name, (unsigned long)sp);
}
void log_write(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    assert_int_equal(level, LOG_WARN);
    va_start(ap, fmt);
    vsnprintf(warned, sizeof(warned), fmt, ap);
    va_end(ap);
}
void where_hart_init(void) {}
bool where_has_sse(void) { return true; }
enum where_how where_ask(unsigned index, struct where *at)
{
    asked = index;
    *at = (struct where){.pc = 1000 + index, .ra = 2000, .sp = 3000};
    return index == 3 ? WHERE_NOWHERE : WHERE_INTERRUPTED;
}

/* One period, in which the harts of the mask do what they should. */
static void period(unsigned alive)
{
    fake_time += 2000000;
    for (unsigned i = 0; i < HARTS; i++)
        if (alive >> i & 1) {
            fake_hart = i;
            timers[i]->fn(timers[i]);
        }
}

static void periods(unsigned n, unsigned alive)
{
    while (n--)
        period(alive);
}

static unsigned reports(void) { return atomic_exchange(&hart_stuck_reports, 0); }

static int setup(void **state)
{
    static bool started;

    (void)state;
    fake_arch_reset();
    fake_time = 1;
    for (unsigned i = 0; i < HARTS; i++) {
        snprintf(thread[i].name, sizeof(thread[i].name), "thread%u", i);
        hart[i] = (struct hart){.index = i, .hartid = 10 + i, .current = &thread[i]};
        harts[i] = fake_hart_data[i] = &hart[i];
    }
    if (!started)
        watchdog_init(10, true);
    for (unsigned i = 0; i < HARTS && !started; i++) {
        fake_hart = i;
        watchdog_hart_start();
    }
    started = true;
    watchdog_look(true);
    periods(TICKS, 0xF); /* whatever the test before has left is over */
    reports();
    said[0] = warned[0] = '\0';
    return 0;
}

static void test_nothing_to_say(void **state)
{
    (void)state;
    periods(50, 0xF);
    assert_int_equal(reports(), 0);
    assert_string_equal(said, "");
}

static void test_one_stuck(void **state)
{
    (void)state;
    periods(TICKS - 1, 0xD);
    assert_int_equal(reports(), 0);
    periods(2, 0xD);
    assert_int_equal(reports(), 1);
    assert_int_equal(asked, 1);
    assert_non_null(strstr(said, "WATCHDOG: hart 11 "));
    assert_non_null(strstr(said, "thread thread1\r\n"));
    assert_non_null(strstr(said, "f1001+0"));
    assert_non_null(strstr(said, "backtrace of thread1 from 3000"));
    periods(50, 0xD);
    assert_int_equal(reports(), 0); /* once is enough */
    period(0xF);
    period(0xF);
    assert_non_null(strstr(warned, "hart 11 goes on"));
    periods(TICKS - 1, 0xD);
    assert_int_equal(reports(), 0);
    periods(2, 0xD); /* and it may happen again */
    assert_int_equal(reports(), 1);
}

static void test_all_but_one_stuck(void **state)
{
    (void)state;
    periods(4 * TICKS, 0x1);
    assert_int_equal(reports(), 3);
    assert_non_null(strstr(said, "hart 11 "));
    assert_non_null(strstr(said, "hart 12 "));
    assert_non_null(strstr(said, "hart 13 "));
    assert_non_null(strstr(said, "it does not answer, and the firmware cannot"));
    periods(TICKS, 0xF);
    assert_int_equal(reports(), 0);
}

static void test_not_looking(void **state)
{
    (void)state;
    watchdog_look(false);
    periods(4 * TICKS, 0x1);
    assert_int_equal(reports(), 0);
}

/* The lock's holder is named, and a hart that spins reports itself. */
static void test_locks(void **state)
{
    (void)state;
    hart[2].held[0] = (struct held_lock){&lock, (void *)222};
    hart[2].lock_depth = 1;
    hart[1].held[0] = (struct held_lock){&lock, (void *)111};
    hart[1].lock_depth = 1;
    atomic_store(&hart[1].wanted, &lock);
    fake_hart = 1;
    assert_int_equal(hart_spin_limit, 10000000);
    hart_spins_too_long();
    assert_int_equal(reports(), 1);
    assert_non_null(strstr(said, "waits for the some lock at "));
    assert_non_null(
        strstr(said, ", by f111+0\r\n  held by hart 12 (thread thread2), taken by f222+0"));
    hart_spins_too_long(); /* it still spins: said already */
    assert_int_equal(reports(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_to_say, setup),
        cmocka_unit_test_setup(test_one_stuck, setup),
        cmocka_unit_test_setup(test_all_but_one_stuck, setup),
        cmocka_unit_test_setup(test_not_looking, setup),
        cmocka_unit_test_setup(test_locks, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
