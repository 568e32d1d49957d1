// SPDX-License-Identifier: BSD-2-Clause
// The scheduler's queues and timers, as other harts change them at the worst moment.
// units: hyp/sched/thread.c hyp/sched/thread_life.c hyp/sched/fair.c hyp/sched/balance.c hyp/sched/account.c
// units: hyp/sched/timer.c hyp/sched/hart.c hyp/sched/irq.c
// units: tests/fake/fake_base.c tests/fake/fake_sched.c tests/fake/fake_xcall.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sched.h"
#include "fake_xcall.h"
#include "sched/irq.h"
#include "sched/thread.h"
#include "sched/timer_hart.h"

static struct hart *const hart = fake_sched_hart;
static struct thread me, other;
static void (*at_lock)(void); /* another hart's turn, just before a lock is got */

void spin_lock(struct spinlock *l)
{
    void (*now)(void) = at_lock;

    (void)l;
    at_lock = NULL;
    if (now)
        now();
}
void spin_unlock(struct spinlock *l) { (void)l; }
static int setup(void **state)
{
    (void)state;
    fake_sched_start(2);
    memset(&me, 0, sizeof(me));
    memset(&other, 0, sizeof(other));
    at_lock = NULL;
    fake_xcalls = 0;
    fake_xcall_harts = 0;
    fake_sched_thread(&me, &thread_hypervisor);
    fake_sched_thread(&other, &thread_hypervisor);
    hart[0].current = &me;
    atomic_store(&me.state, THREAD_RUNNING);
    atomic_store(&me.on_hart, true);
    other.fair.tag = fair_us(2000); /* it has had more */
    atomic_store(&other.state, THREAD_READY);
    return 0;
}

static void queue_other(void) { fair_insert(&hart[0].runq, &other.fair, fake_time); }
static void steal_other(void) { fair_remove(&other.fair); }

static void test_yield_lets_others_run(void **state)
{
    (void)state;
    queue_other();
    sched_resched();
    assert_ptr_equal(hart[0].current, &me);
    thread_yield();
    assert_ptr_equal(hart[0].current, &other);
    assert_int_equal(atomic_load(&me.state), THREAD_READY);
}

/* The queue is empty once it is locked. */
static void test_yield_while_others_steal(void **state)
{
    (void)state;
    queue_other();
    at_lock = steal_other;
    thread_yield();
    assert_ptr_equal(hart[0].current, &me);
    assert_int_equal(hart[0].runq.length, 0);
}

static void test_new_stack_is_told_to_all(void **state)
{
    struct thread t = {0};

    (void)state;
    assert_int_equal(thread_init(&t, "t", NULL, NULL), 0);
    assert_int_equal(fake_xcalls, 1);
    assert_int_equal(fake_xcall_harts, 3);
}

static struct timer timer;
static unsigned fired;
static bool seen_running;

static void fire(struct timer *t)
{
    fired++;
    seen_running = atomic_load(&this_hart()->timer_running) == t;
}

static void done_on_hart_1(void) { atomic_store(&hart[1].timer_running, NULL); }

static void test_cancel_waits(void **state)
{
    (void)state;
    fired = 0;
    timer_init(&timer, fire);
    timer_cancel_wait(&timer); /* never set */
    fake_hart = 1;
    timer_set(&timer, 100);
    fake_time = 50;
    timer_run(&hart[1]);
    assert_int_equal(fired, 0);
    fake_time = 100;
    timer_run(&hart[1]);
    assert_int_equal(fired, 1);
    assert_true(seen_running);
    assert_null(hart[1].timer_running);
    timer_set(&timer, 200);
    fake_hart = 0;
    timer_cancel_wait(&timer);
    fake_time = 300;
    timer_run(&hart[1]);
    assert_int_equal(fired, 1);
    /* Its function runs there at this moment: not before it is done. */
    atomic_store(&hart[1].timer_running, &timer);
    fake_pause_hook = done_on_hart_1;
    timer_cancel_wait(&timer);
    assert_null(hart[1].timer_running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_yield_lets_others_run, setup),
        cmocka_unit_test_setup(test_yield_while_others_steal, setup),
        cmocka_unit_test_setup(test_new_stack_is_told_to_all, setup),
        cmocka_unit_test_setup(test_cancel_waits, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
