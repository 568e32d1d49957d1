// SPDX-License-Identifier: BSD-2-Clause
// The scheduler's queues and timers, as other harts change them at the worst moment.
// units: hyp/sched/thread.c hyp/sched/fair.c hyp/sched/balance.c hyp/sched/times.c
// units: hyp/sched/timer.c hyp/sched/hart.c hyp/sched/irq.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/heap.h"
#include "mem/hostmap.h"
#include "sched/irq.h"
#include "sched/stack.h"
#include "sched/thread.h"
#include "sched/thread_list.h"
#include "sched/timer_hart.h"
#include "sched/xcall.h"

void swtch(uint64_t *save_sp, uint64_t load_sp);

static struct hart hart[2];
static struct thread idle[2], me, other;
static void (*at_lock)(void); /* another hart's turn, just before a lock is got */
static char stack[THREAD_STACK_SIZE];
static unsigned xcalls;

void spin_lock(struct spinlock *l)
{
    void (*now)(void) = at_lock;

    (void)l;
    at_lock = NULL;
    if (now)
        now();
}
void spin_unlock(struct spinlock *l) { (void)l; }
void swtch(uint64_t *save_sp, uint64_t load_sp)
{
    (void)save_sp;
    (void)load_sp;
}
void *heap_alloc(size_t size) { return calloc(1, size); }
void heap_free(void *p) { free(p); }
void *hostmap_stack(uint64_t size)
{
    (void)size;
    return stack;
}
void hostmap_stack_free(void *lowest, uint64_t size)
{
    (void)lowest;
    (void)size;
}
void hart_answer_xcalls(void) {}
void xcall_run(uint64_t mask, void (*fn)(void *arg), void *arg)
{
    assert_int_equal(mask, 3);
    xcalls++;
    fn(arg);
}

static int setup(void **state)
{
    (void)state;
    fake_arch_reset();
    fair_group_init(&thread_hypervisor);
    memset(hart, 0, sizeof(hart));
    memset(idle, 0, sizeof(idle));
    memset(&me, 0, sizeof(me));
    memset(&other, 0, sizeof(other));
    for (unsigned i = 0; i < 2; i++) {
        hart[i].index = i;
        harts[i] = fake_hart_data[i] = &hart[i];
        sched_hart_init(&hart[i], &idle[i]);
        atomic_store(&hart[i].online, true);
    }
    hart_count = 2;
    timer_hz = 1000000;
    timer_sstc = true;
    at_lock = NULL;
    xcalls = 0;
    hart[0].current = &me;
    atomic_store(&me.state, THREAD_RUNNING);
    atomic_store(&me.on_hart, true);
    me.fair.group = other.fair.group = &thread_hypervisor;
    list_init(&me.fair.node);
    list_init(&other.fair.node);
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
    assert_int_equal(xcalls, 1);
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
