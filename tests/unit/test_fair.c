// SPDX-License-Identifier: BSD-2-Clause
// The scheduler on a fake machine with a fake clock: harts that run threads which compute, sleep, and are
// woken, event by event. What each gets is counted here, not by the scheduler.
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
#include "sched/account.h"
#include "sched/irq.h"
#include "sched/timer_hart.h"

enum { JOBS = 16, GROUPS = 16 };

/* A thread of the test: it computes for so long, then sleeps for so long; run 0: computes for ever. */
struct job {
    struct thread t;
    uint64_t run, sleep;
    uint64_t left, wake_at; /* of the current turn */
    uint64_t got, late,
        wakes; /* ticks it had; from its wake-ups to when it ran, the worst; how many */
    uint64_t woken_at;
    uint64_t harts; /* bit n: it ran on hart n */
};

static struct hart *const hart = fake_sched_hart;
static struct job job[JOBS];
static struct fair_group group[GROUPS];
static unsigned jobs;
static uint64_t wake_ticks; /* of an interrupt that wakes: before, and again after */

/* The jobs are like vCPUs: they leave by thread_leave, and take a hart over from each other. */
static bool leaves;
static unsigned take_overs;

static void begin(void *arg) { (void)arg; }
static void take_over(void *arg)
{
    (void)arg;
    take_overs++;
    thread_taken_over(this_hart());
}

static void start_machine(unsigned harts_wanted)
{
    fake_sched_start(harts_wanted);
    memset(job, 0, sizeof(job));
    jobs = 0;
    wake_ticks = 0;
    leaves = false;
    take_overs = 0;
    for (unsigned i = 0; i < GROUPS; i++)
        fair_group_init(&group[i]);
}

static struct job *current_job(unsigned h)
{
    return hart[h].current == hart[h].idle ? NULL : CONTAINER_OF(hart[h].current, struct job, t);
}

static void wake(struct job *j, unsigned from)
{
    j->left = j->run;
    j->wakes++;
    j->woken_at = fake_time;
    fake_hart = from;
    thread_wake(&j->t);
    atomic_store(&j->t.wake, false); /* as its thread does when it goes on */
}

static struct job *add_job(struct fair_group *g, uint64_t run, uint64_t sleep)
{
    struct job *j = &job[jobs++];

    fake_sched_thread(&j->t, g);
    j->run = run;
    j->sleep = sleep;
    j->t.fn = begin;
    j->t.take_over = take_over;
    wake(j, 0);
    return j;
}

/* By an interrupt of its hart's guest, or of a hart that idles. */
static void wake_by_interrupt(struct job *j)
{
    struct hart *h = &hart[j->t.hart];
    bool guest = h->current != h->idle;

    if (guest)
        account_interrupt(h);
    fake_time += wake_ticks;
    wake(j, h->index);
    fake_time += wake_ticks;
    if (guest && !h->resched)
        account_resume(h);
}

/* What a hart does at this moment, until nothing more is to be done. */
static bool step_hart(unsigned h)
{
    struct job *j = current_job(h);
    bool did = false;

    fake_hart = h;
    if (hart[h].timer_armed <= fake_time) {
        timer_run(&hart[h]);
        did = true;
    }
    if (atomic_fetch_and(&hart[h].requests, ~(unsigned long)HART_REQ_RESCHED) & HART_REQ_RESCHED)
        hart[h].resched = true;
    if (j && j->run && !j->left) {
        j->wake_at = fake_time + j->sleep;
        if (leaves)
            thread_leave(LEAVE_BLOCKED);
        else
            thread_block();
        did = true;
    }
    if (hart[h].resched) {
        if (leaves && hart[h].current != hart[h].idle)
            thread_leave(LEAVE_READY);
        else
            sched_resched();
        did = true;
    }
    j = current_job(h);
    if (j && j->woken_at) {
        if (fake_time - j->woken_at > j->late)
            j->late = fake_time - j->woken_at;
        j->woken_at = 0;
    }
    return did;
}

static bool step(void)
{
    bool did = false;

    for (unsigned i = 0; i < jobs; i++)
        if (job[i].wake_at && job[i].wake_at <= fake_time) {
            job[i].wake_at = 0;
            wake_by_interrupt(&job[i]);
            did = true;
        }
    for (unsigned h = 0; h < hart_count; h++)
        did |= step_hart(h);
    return did;
}

static uint64_t next_event(uint64_t end)
{
    for (unsigned h = 0; h < hart_count; h++) {
        struct job *j = current_job(h);

        end = min_u64(end, hart[h].timer_armed);
        if (j && j->run)
            end = min_u64(end, fake_time + j->left);
    }
    for (unsigned i = 0; i < jobs; i++)
        if (job[i].wake_at)
            end = min_u64(end, job[i].wake_at);
    return end;
}

static void advance(uint64_t passed)
{
    for (unsigned h = 0; h < hart_count; h++) {
        struct job *j = current_job(h);

        if (!j)
            continue;
        j->got += passed;
        j->harts |= BIT(h);
        if (j->run)
            j->left -= passed;
    }
    fake_time += passed;
}

static void run_machine(uint64_t ticks)
{
    uint64_t end = fake_time + ticks;

    while (fake_time < end) {
        unsigned rounds = 0;
        uint64_t passed;

        while (step())
            assert_true(++rounds < 100); /* it comes to rest at each moment */
        passed = next_event(end);
        if (passed > fake_time) /* what was done may have taken time, too */
            advance(passed - fake_time);
    }
}

static void forget_counts(void)
{
    for (unsigned i = 0; i < jobs; i++)
        job[i].got = job[i].late = job[i].wakes = job[i].harts = 0;
    fake_ipis = 0;
}

/* Within so many thousandths of what it should be. */
#define assert_near(got, want, thousandths) \
    do { \
        uint64_t got_ = (got), want_ = (want); \
        uint64_t off_ = got_ > want_ ? got_ - want_ : want_ - got_; \
        if (off_ * 1000 > want_ * (thousandths)) \
            fail_msg("%s is %lu, not %lu: off by %lu thousandths", #got, got_, want_, \
                     off_ * 1000 / want_); \
    } while (0)

static void test_weights_on_one_hart(void **state)
{
    (void)state;
    start_machine(1);
    for (unsigned i = 0; i < 3; i++) {
        fair_set_weight(&group[i], 50u << i);
        add_job(&group[i], 0, 0);
    }
    run_machine(7000 * MS);
    for (unsigned i = 0; i < 3; i++)
        assert_near(job[i].got, (1000ul << i) * MS, 8);
    /* Changed while they run. */
    fair_set_weight(&group[2], 50);
    thread_group_changed();
    forget_counts();
    run_machine(4000 * MS);
    for (unsigned i = 0; i < 3; i++)
        assert_near(job[i].got, (i == 1 ? 2000 : 1000) * MS, 8);
}

/* 8 busy vCPUs of weights 1:2:4 on 2 harts: no way to divide them evenly. */
static void test_weights_on_two_harts(void **state)
{
    static const unsigned weight[8] = {1, 2, 4, 1, 2, 4, 1, 2};
    unsigned sum = 0;

    (void)state;
    start_machine(2);
    for (unsigned i = 0; i < 8; i++) {
        fair_set_weight(&group[i], 100 * weight[i]);
        add_job(&group[i], 0, 0);
        sum += weight[i];
    }
    run_machine(10000 * MS);
    for (unsigned i = 0; i < 8; i++)
        assert_near(job[i].got, 20000 * MS * weight[i] / sum, 7);
}

static void test_odd_one_out(void **state)
{
    (void)state;
    start_machine(2);
    for (unsigned i = 0; i < 3; i++)
        add_job(&group[i], 0, 0);
    run_machine(3000 * MS);
    for (unsigned i = 0; i < 3; i++)
        assert_near(job[i].got, 2000 * MS, 5);
    assert_true(fake_ipis < 2000); /* moved now and then, not at every turn */
}

/* A VM's weight is the VM's, however many vCPUs it has, and however many of them want to run. */
static void test_two_levels(void **state)
{
    (void)state;
    start_machine(1);
    add_job(&group[0], 0, 0);
    for (unsigned i = 0; i < 4; i++)
        add_job(&group[1], 0, 0);
    run_machine(4000 * MS);
    assert_near(job[0].got, 2000 * MS, 10);
    for (unsigned i = 1; i < 5; i++)
        assert_near(job[i].got, 500 * MS, 20);
    /* Three of the four go to sleep: the fourth has all of their VM's. */
    for (unsigned i = 2; i < 5; i++) {
        job[i].run = 1 * MS;
        job[i].sleep = 1000000 * MS;
        job[i].left = 1 * MS;
    }
    run_machine(100 * MS);
    forget_counts();
    run_machine(2000 * MS);
    assert_near(job[0].got, 1000 * MS, 10);
    assert_near(job[1].got, 1000 * MS, 10);
}

/* One vCPU cannot use more than one hart; the others share what it leaves. */
static void test_more_weight_than_a_hart(void **state)
{
    (void)state;
    start_machine(2);
    fair_set_weight(&group[0], 5000);
    for (unsigned i = 0; i < 4; i++)
        add_job(&group[i], 0, 0);
    run_machine(3000 * MS);
    assert_near(job[0].got, 3000 * MS, 5);
    for (unsigned i = 1; i < 4; i++)
        assert_near(job[i].got, 1000 * MS, 10);
    /* Then it can: what it lagged behind in virtual time is not made good at the others' cost. */
    fair_set_weight(&group[0], 100);
    thread_group_changed();
    run_machine(1500 * MS);
    forget_counts();
    run_machine(2000 * MS);
    for (unsigned i = 0; i < 4; i++)
        assert_near(job[i].got, 1000 * MS, 10);
}

static void test_cap(void **state)
{
    (void)state;
    start_machine(1);
    fair_set_cap(&group[0], 30);
    add_job(&group[0], 0, 0);
    run_machine(2000 * MS);
    assert_near(job[0].got, 600 * MS, 3); /* alone on the machine */
    add_job(&group[1], 0, 0);
    forget_counts();
    run_machine(2000 * MS);
    assert_near(job[0].got, 600 * MS, 3);
    assert_near(job[1].got, 1400 * MS, 3);
    fair_set_cap(&group[0], 0);
    thread_group_changed();
    forget_counts();
    run_machine(2000 * MS);
    assert_near(job[0].got, 1000 * MS, 5);
    fair_set_cap(&group[0], 1);
    forget_counts();
    run_machine(10000 * MS);
    assert_near(job[0].got, 100 * MS, 20);
}

/* Held for seconds, it runs at once while the cap is lifted; later periods pay for it. */
static void test_cap_lifted(void **state)
{
    (void)state;
    start_machine(1);
    fair_set_cap(&group[0], 1);
    add_job(&group[0], 0, 0);
    fair_cap_charge(&group[0], 50 * MS, arch_time());
    thread_group_changed();
    run_machine(1000 * MS);
    assert_true(job[0].got <= MS);
    fair_lift_cap(&group[0], true);
    thread_group_changed();
    forget_counts();
    run_machine(100 * MS);
    assert_near(job[0].got, 100 * MS, 1);
    fair_lift_cap(&group[0], false);
    thread_group_changed();
    forget_counts();
    run_machine(10000 * MS);
    assert_true(job[0].got <= MS);
}

static void test_cap_of_many_vcpus(void **state)
{
    (void)state;
    start_machine(2);
    fair_set_cap(&group[0], 150);
    for (unsigned i = 0; i < 3; i++)
        add_job(&group[0], 0, 0);
    run_machine(2000 * MS);
    assert_near(job[0].got + job[1].got + job[2].got, 3000 * MS, 3);
    fair_set_cap(&group[0], 40);
    forget_counts();
    run_machine(2000 * MS);
    assert_near(job[0].got + job[1].got + job[2].got, 800 * MS, 3);
}

static void test_cap_of_a_sleeper(void **state)
{
    (void)state;
    start_machine(1);
    fair_set_cap(&group[0], 20);
    add_job(&group[0], 3 * MS, 2 * MS); /* wants 60 % */
    add_job(&group[1], 0, 0);
    run_machine(5000 * MS);
    assert_near(job[0].got, 1000 * MS, 5);
    /* What it does not use in a period is not saved up. */
    job[0].sleep = 500 * MS;
    run_machine(1000 * MS);
    job[0].sleep = 0;
    forget_counts();
    run_machine(1000 * MS);
    assert_true(job[0].got < 215 * MS);
}

static void test_affinity(void **state)
{
    (void)state;
    start_machine(2);
    atomic_store(&group[0].affinity, BIT(1));
    atomic_store(&group[1].affinity, BIT(1));
    fair_set_weight(&group[1], 300);
    for (unsigned i = 0; i < 3; i++)
        add_job(&group[i], 0, 0);
    run_machine(4000 * MS);
    assert_int_equal(job[0].harts, BIT(1));
    assert_int_equal(job[1].harts, BIT(1));
    assert_near(job[0].got, 1000 * MS, 10);
    assert_near(job[1].got, 3000 * MS, 10);
    assert_near(job[2].got, 4000 * MS, 2);
    /* Changed while they run: at once for what runs. */
    atomic_store(&group[1].affinity, BIT(0));
    atomic_store(&group[2].affinity, BIT(0));
    thread_group_changed();
    run_machine(5 * MS);
    forget_counts();
    run_machine(4000 * MS);
    assert_int_equal(job[0].harts, BIT(1));
    assert_int_equal(job[1].harts, BIT(0));
    assert_int_equal(job[2].harts, BIT(0));
    assert_near(job[0].got, 4000 * MS, 2);
    assert_near(job[1].got, 3000 * MS, 15);
    assert_near(job[2].got, 1000 * MS, 40);
}

static void test_waking_preempts_a_hog(void **state)
{
    (void)state;
    start_machine(1);
    add_job(&group[0], 0, 0);
    add_job(&group[1], 100 * US, 900 * US);
    add_job(&group[2], 0, 0);
    run_machine(100 * MS);
    forget_counts();
    run_machine(1000 * MS);
    assert_int_equal(job[1].late, 0);
    assert_near(job[1].wakes, 1000, 2);
    assert_near(job[1].got, 100 * MS, 2);
}

/* Beside eight that compute for so long and sleep for so long, by turns, one that computes keeps its half. */
static void check_storm(uint64_t compute, unsigned sleep, uint64_t switches, uint64_t wakes)
{
    start_machine(1);
    fake_switch_ticks = switches;
    wake_ticks = wakes;
    add_job(&group[0], 0, 0);
    for (unsigned i = 0; i < 8; i++)
        add_job(&group[1], compute, sleep * US);
    run_machine(2000 * MS);
    if (job[0].got < 990 * MS)
        fail_msg("sleeping for %u us: the neighbour has only %lu ms of 1000", sleep,
                 job[0].got / MS);
}

static void test_storm_gains_no_more_than_its_share(void **state)
{
    (void)state;
    for (unsigned sleep = 1; sleep <= 1000; sleep *= 10)
        check_storm(50 * US, sleep, 0, 0);
}

/* Switches and interrupts that cost as much as what the sleepers compute: they pay for them. */
static void test_storm_pays_for_its_switches(void **state)
{
    (void)state;
    for (unsigned sleep = 10; sleep <= 1000; sleep *= 10)
        check_storm(5 * US, sleep, 3 * US, 1 * US);
}

static void test_storm_on_two_harts(void **state)
{
    (void)state;
    start_machine(2);
    add_job(&group[0], 0, 0);
    add_job(&group[0], 0, 0);
    for (unsigned i = 0; i < 8; i++)
        add_job(&group[1], 50 * US, 3 * US);
    run_machine(2000 * MS);
    assert_true(job[0].got + job[1].got > 1980 * MS);
}

static void test_alone_takes_no_tick(void **state)
{
    (void)state;
    start_machine(2);
    add_job(&group[0], 0, 0);
    add_job(&group[1], 0, 0);
    run_machine(10 * MS);
    assert_int_equal(hart[0].timer_armed, UINT64_MAX);
    assert_int_equal(hart[1].timer_armed, UINT64_MAX);
    assert_int_equal(job[0].got + job[1].got, 20 * MS);
    /* A third: the hart that it is on ticks, the other is asked now and then. */
    add_job(&group[2], 0, 0);
    run_machine(1);
    assert_true(hart[0].timer_armed != UINT64_MAX || hart[1].timer_armed != UINT64_MAX);
}

/* For the hardware "never" is some seconds: timer_program says why. */
static void test_never(void **state)
{
    (void)state;
    start_machine(1);
    timer_sstc = true;
    timer_program(&hart[0], UINT64_MAX);
    timer_sstc = false;
    assert_int_equal(hart[0].timer_armed, UINT64_MAX);
    assert_in_range(csr_read(CSR_STIMECMP), fake_time + timer_hz, fake_time + 60 * timer_hz);
}

static jmp_buf asleep;
static void fall_asleep(void) { longjmp(asleep, 1); }

/* A hart with nothing to do waits for an interrupt, and none is set to come. */
static void test_idle_hart_sleeps(void **state)
{
    (void)state;
    start_machine(2);
    add_job(&group[0], 0, 0); /* for the other hart */
    job[0].t.hart = 1;
    run_machine(10 * MS);
    for (unsigned h = 0; h < 2; h++) {
        if (hart[h].current != hart[h].idle)
            continue;
        fake_hart = h;
        fake_wfi_hook = fall_asleep;
        if (!setjmp(asleep))
            sched_idle();
        assert_int_equal(hart[h].timer_armed, UINT64_MAX);
        assert_ptr_equal(hart[h].current, hart[h].idle);
        return;
    }
    fail_msg("no hart is idle");
}

/* Jobs of the hypervisor's own that compute and compute have one share between them, as a VM has. */
static void test_hypervisor_threads_have_one_share(void **state)
{
    (void)state;
    start_machine(1);
    add_job(&group[0], 0, 0);
    add_job(&group[1], 0, 0);
    for (unsigned i = 0; i < 4; i++)
        add_job(&thread_hypervisor, i < 2 ? 0 : 3 * MS, i < 2 ? 0 : 10 * US);
    run_machine(3000 * MS);
    assert_near(job[0].got, 1000 * MS, 10);
    assert_near(job[1].got, 1000 * MS, 10);
}

static void test_idle_hart_takes_what_waits(void **state)
{
    (void)state;
    start_machine(2);
    add_job(&group[0], 10 * MS, 1000000 * MS); /* ends after 10 ms */
    for (unsigned i = 1; i < 4; i++)
        add_job(&group[i], 0, 0);
    run_machine(1000 * MS);
    assert_near(job[1].got + job[2].got + job[3].got, 1990 * MS, 0);
}

/* A ready thread that need not run at once is found by a hart that looks at its queue anyhow. */
static void test_no_needless_ipi(void **state)
{
    struct job *late;

    (void)state;
    start_machine(2);
    for (unsigned i = 0; i < 4; i++)
        add_job(&group[i], 0, 0);
    late = add_job(&group[0], 1 * MS, 1 * MS);
    run_machine(100 * MS);
    late->sleep = 1000 * MS;
    while (atomic_load(&late->t.state) != THREAD_BLOCKED)
        run_machine(1 * MS);
    late->wake_at = 0;
    late->t.fair.tag = hart[1].runq.run_tag + fair_us(30000);
    late->t.hart = 1;
    late->t.since = fake_time;
    fake_ipis = 0;
    wake(late, 0);
    assert_int_equal(fake_ipis, 0);
    assert_int_equal(atomic_load(&late->t.state), THREAD_READY);
}

static void test_times_add_up(void **state)
{
    uint64_t start, times[THREAD_TIMES], sum;

    (void)state;
    start_machine(2);
    fair_set_cap(&group[1], 10);
    start = fake_time;
    add_job(&group[0], 0, 0);
    add_job(&group[1], 0, 0);
    add_job(&group[2], 1 * MS, 1 * MS);
    add_job(&group[3], 0, 0);
    run_machine(1000 * MS);
    for (unsigned i = 0; i < jobs; i++) {
        sum = 0;
        thread_times(&job[i].t, times);
        for (unsigned k = 0; k < THREAD_TIMES; k++)
            sum += times[k];
        assert_int_equal(sum, fake_time - start);
        assert_int_equal(times[THREAD_RAN], job[i].got);
    }
    thread_times(&job[1].t, times);
    assert_near(times[THREAD_CAPPED], 900 * MS, 20);
    thread_times(&job[2].t, times);
    assert_true(times[THREAD_IDLED] > 400 * MS && times[THREAD_CAPPED] == 0);
}

/* Who is woken by an interrupt, and preempts, pays for it from its beginning; a device's time is nobody's. */
static void test_interrupts_are_not_the_guests(void **state)
{
    (void)state;
    start_machine(1);
    add_job(&group[0], 0, 0);
    run_machine(1 * MS);
    fake_hart = 0;
    account_interrupt(&hart[0]);
    fake_time += 100 * US;
    add_job(&group[1], 1 * MS, 1 * MS);
    assert_true(hart[0].resched);
    fake_time += 10 * US;
    sched_resched();
    assert_int_equal(job[0].t.time[THREAD_RAN], 1 * MS);
    assert_ptr_equal(hart[0].current, &job[1].t);
    assert_int_equal(job[1].t.fair.owed, 100 * US);
    fake_time += 40 * US;
    account_device(&hart[0], fake_time - 20 * US);
    fake_switch_ticks = 5 * US;
    thread_yield();
    assert_int_equal(job[1].t.fair.owed, 5 * US); /* it gave the hart up: the switch is its own */
    assert_int_equal(job[1].t.time[THREAD_RAN], 35 * US);
    assert_ptr_equal(hart[0].current, &job[0].t);
    assert_int_equal(job[0].t.since, fake_time);
}

/* One that is woken and has to wait pays all the same, and the interrupted one runs on as if nothing had been. */
static void test_wake_ups_are_paid_by_the_woken(void **state)
{
    uint64_t owed;

    (void)state;
    start_machine(1);
    add_job(&group[0], 0, 0);
    add_job(&group[1], 1 * MS, 1 * MS);
    run_machine(100 * MS);
    while (atomic_load(&job[1].t.state) != THREAD_BLOCKED)
        run_machine(1 * MS);
    job[1].t.fair.tag = job[0].t.fair.tag + fair_us(10000); /* it has had more */
    job[1].t.since = fake_time;
    forget_counts();
    owed = job[0].t.time[THREAD_RAN] + fake_time - job[0].t.since;
    wake_ticks = 30 * US;
    wake_by_interrupt(&job[1]);
    assert_ptr_equal(hart[0].current, &job[0].t);
    assert_int_equal(job[1].t.fair.owed, 30 * US);
    fake_hart = 0;
    hart[0].resched = true;
    sched_resched(); /* charges */
    assert_int_equal(job[0].t.time[THREAD_RAN], owed);
    /* What came after its wake-up is on the next. */
    assert_int_equal(hart[0].wake_tail, 30 * US);
    fake_time += 1 * MS;
    if (hart[0].current == &job[1].t)
        thread_block();
    add_job(&group[2], 0, 0);
    assert_int_equal(job[2].t.fair.owed, 0); /* woken by no interrupt */
}

/* A little earlier is not early enough for a wake-up to take a turn away; the turn's end gives it. */
static void test_wakes_a_little_earlier(void **state)
{
    (void)state;
    start_machine(1);
    add_job(&group[0], 0, 0);
    add_job(&group[1], 1 * MS, 1 * MS);
    run_machine(100 * MS);
    while (atomic_load(&job[1].t.state) != THREAD_BLOCKED)
        run_machine(1 * MS);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t vtime = fair_vtime(&hart[0].runq, fake_time);

        job[1].wake_at = 0;
        job[1].t.fair.tag = vtime - fair_us(i ? FAIR_PREEMPT_US * 2 : FAIR_PREEMPT_US / 2);
        job[1].t.since = fake_time;
        atomic_store(&group[1].tag, vtime);
        wake_by_interrupt(&job[1]);
        run_machine(1);
        assert_ptr_equal(hart[0].current, &job[i].t);
        run_machine(FAIR_SLICE_US * US + 10);
        if (i == 0)
            assert_true(job[1].t.time[THREAD_RAN] > 0);
        while (atomic_load(&job[1].t.state) != THREAD_BLOCKED)
            run_machine(1 * MS);
    }
}

static void test_directed_yield(void **state)
{
    uint64_t tag;

    (void)state;
    start_machine(1);
    for (unsigned i = 0; i < 3; i++)
        add_job(&group[i == 2], 0, 0);
    run_machine(30 * MS);
    while (hart[0].current == &job[2].t)
        run_machine(1 * MS);
    struct thread *from = hart[0].current, *to = from == &job[0].t ? &job[1].t : &job[0].t;
    tag = to->fair.tag;
    fake_hart = 0;
    thread_yield_to(to);
    sched_resched();
    assert_ptr_equal(hart[0].current, to);
    assert_true(!fair_before(from->fair.tag, tag) || !fair_before(tag, from->fair.tag));
    /* To one that is not ready: nothing. */
    hart[0].resched = false;
    thread_yield_to(to);
    assert_false(hart[0].resched);
}

/* Two vCPUs that send each other IPIs all the time: their VM's share is no greater for it. */
static void test_directed_yields_gain_nothing(void **state)
{
    (void)state;
    start_machine(1);
    for (unsigned i = 0; i < 3; i++)
        add_job(&group[i == 2], 0, 0);
    run_machine(30 * MS);
    forget_counts();
    for (unsigned i = 0; i < 20000; i++) {
        struct thread *t = hart[0].current;

        run_machine(50 * US);
        fake_hart = 0;
        if (hart[0].current == t && t != &job[2].t)
            thread_yield_to(t == &job[0].t ? &job[1].t : &job[0].t);
    }
    assert_near(job[2].got, 500 * MS, 20);
}

/* Nor are other harts asked about at each of them. */
static void test_directed_yields_balance_seldom(void **state)
{
    unsigned looks = 0;

    (void)state;
    start_machine(2);
    atomic_store(&group[0].affinity, BIT(0));
    for (unsigned i = 0; i < 2; i++)
        add_job(&group[0], 0, 0);
    run_machine(30 * MS);
    for (unsigned i = 0; i < 1000; i++) {
        struct thread *t = hart[0].current;
        uint64_t balanced_at = hart[0].balanced_at;

        fake_hart = 0;
        thread_yield_to(t == &job[0].t ? &job[1].t : &job[0].t);
        run_machine(20 * US);
        assert_ptr_not_equal(hart[0].current, t);
        looks += hart[0].balanced_at != balanced_at;
    }
    assert_in_range(looks, 4, 10); /* in 20 ms */
}

/* A hart that nobody else wanted for an hour is had at once by who wants it then, and shared from then on: tags have
 * not wrapped. The least weight and many vCPUs move them fastest. */
static void test_alone_for_long(void **state)
{
    (void)state;
    start_machine(1);
    fair_set_weight(&group[0], 1);
    for (unsigned i = 0; i < 31; i++) /* of its vCPUs on other harts */
        fair_group_enter(&group[0]);
    add_job(&group[0], 0, 0);
    run_machine(2 * 3600000ul * MS);
    add_job(&group[1], 0, 0);
    run_machine(1000 * MS);
    assert_true(job[1].got > 980 * MS);
}

/* The least weight beside the greatest has a turn in a long time, but at once when somebody waits for it. */
static void test_hurry(void **state)
{
    uint64_t got;

    (void)state;
    start_machine(1);
    fair_set_weight(&group[0], 1);
    fair_set_weight(&group[1], 10000);
    add_job(&group[0], 0, 0);
    add_job(&group[1], 0, 0);
    run_machine(1000 * MS);
    got = job[0].got;
    run_machine(1000 * MS);
    assert_int_equal(job[0].got, got);
    for (unsigned i = 0; i < 3; i++) { /* asked for more than once, it is one turn */
        thread_hurry(&job[0].t);
        thread_hurry(&job[0].t);
        run_machine(50 * MS);
        assert_true(job[0].got > got && job[0].got < got + 6 * MS);
        got = job[0].got;
    }
    thread_hurry(&job[1].t); /* it runs */
    run_machine(1000 * MS);
    assert_int_equal(job[0].got, got);
}

/* Harts that have nothing in common in what they run drift apart, and find each other again. */
static void test_drift(void **state)
{
    (void)state;
    start_machine(2);
    atomic_store(&group[0].affinity, BIT(0));
    fair_set_weight(&group[0], 1000);
    atomic_store(&group[1].affinity, BIT(1));
    add_job(&group[0], 0, 0);
    add_job(&group[1], 0, 0);
    run_machine(60000 * MS);
    fair_set_weight(&group[0], 100);
    thread_group_changed();
    for (unsigned i = 0; i < 2; i++)
        atomic_store(&group[i].affinity, FAIR_ALL_HARTS);
    add_job(&group[2], 0, 0);
    run_machine(1000 * MS);
    forget_counts();
    run_machine(3000 * MS);
    for (unsigned i = 0; i < 3; i++)
        assert_near(job[i].got, 2000 * MS, 10);
}

/* Jobs that sleep and hogs, on so many harts: what each gets goes to got[]. */
enum { MIXED = 6 };
static void run_mixed(unsigned harts_wanted, bool leaving, uint64_t got[MIXED])
{
    start_machine(harts_wanted);
    leaves = leaving;
    fake_switch_ticks = 2 * US;
    fair_set_weight(&group[3], 200);
    for (unsigned i = 0; i < 4; i++)
        add_job(&group[i], 200 * US + i * 37 * US, 300 * US + i * 101 * US);
    add_job(&group[4], 0, 0);
    add_job(&group[5], 0, 0);
    run_machine(500 * MS);
    forget_counts();
    run_machine(4000 * MS);
    for (unsigned i = 0; i < MIXED; i++)
        got[i] = job[i].got;
}

/* A thread that leaves, and is taken over from, has what it would have had. */
static void test_leaving_changes_no_share(void **state)
{
    uint64_t as_others[MIXED], leaving[MIXED], times[THREAD_TIMES], sum;

    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        run_mixed(n, false, as_others);
        assert_int_equal(take_overs, 0);
        run_mixed(n, true, leaving);
        assert_true(take_overs > 1000);
        for (unsigned i = 0; i < MIXED; i++) {
            assert_near(leaving[i], as_others[i], 60);
            thread_times(&job[i].t, times);
            sum = 0;
            for (unsigned k = 0; k < THREAD_TIMES; k++)
                sum += times[k];
            assert_near(sum, fake_time - 1000, 1); /* the machine began at 1000 */
        }
    }
}

/* Two that yield by turns: each pays for the switch that it asks for; the queue and the alarm are as after any switch. */
static void test_leaver_pays(void **state)
{
    struct thread *t, *other;

    (void)state;
    start_machine(1);
    add_job(&group[0], 0, 0);
    add_job(&group[1], 0, 0);
    run_machine(100 * MS);
    fake_hart = 0;
    fake_switch_ticks = 5 * US;
    thread_leave(LEAVE_YIELDING);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t tag, ran, owed;

        t = hart[0].current;
        other = t == &job[0].t ? &job[1].t : &job[0].t;
        tag = t->fair.tag;
        ran = t->time[THREAD_RAN];
        owed = t->fair.owed;
        fake_time += 30 * US;
        thread_leave(LEAVE_YIELDING);
        assert_ptr_equal(hart[0].current, other);
        assert_int_equal(t->fair.tag, tag + fair_us(30) + owed * (fair_us(1) / US));
        assert_int_equal(t->fair.owed, 5 * US);
        assert_int_equal(t->time[THREAD_RAN], ran + 35 * US);
        assert_int_equal(atomic_load(&t->state), THREAD_READY);
        assert_false(atomic_load(&t->on_hart));
        assert_true(atomic_load(&other->on_hart));
        assert_int_equal(other->since, fake_time);
        assert_int_equal(hart[0].runq.length, 1);
        assert_true(hart[0].runq.first == t->fair.tag);
        assert_ptr_equal(t->fair.queue, &hart[0].runq);
        assert_null(other->fair.queue);
        assert_true(atomic_load(&hart[0].ticks));
        assert_true(hart[0].timer_armed <= hart[0].slice_end);
    }
    assert_true(take_overs >= 9);
    /* Not where a cap, a hart that it may not run on, or another thread's wish has to be seen to. */
    take_overs = 0;
    fair_set_cap(&group[0], 50);
    thread_leave(LEAVE_YIELDING);
    thread_leave(LEAVE_YIELDING);
    fair_set_cap(&group[0], 0);
    thread_yield_to(hart[0].current == &job[0].t ? &job[1].t : &job[0].t);
    thread_leave(LEAVE_YIELDING);
    atomic_store(&group[0].affinity, 1);
    thread_leave(LEAVE_YIELDING);
    assert_int_equal(take_overs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_on_one_hart),
        cmocka_unit_test(test_weights_on_two_harts),
        cmocka_unit_test(test_odd_one_out),
        cmocka_unit_test(test_two_levels),
        cmocka_unit_test(test_more_weight_than_a_hart),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_cap_lifted),
        cmocka_unit_test(test_cap_of_many_vcpus),
        cmocka_unit_test(test_cap_of_a_sleeper),
        cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_waking_preempts_a_hog),
        cmocka_unit_test(test_storm_gains_no_more_than_its_share),
        cmocka_unit_test(test_storm_pays_for_its_switches),
        cmocka_unit_test(test_storm_on_two_harts),
        cmocka_unit_test(test_alone_takes_no_tick),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_idle_hart_sleeps),
        cmocka_unit_test(test_hypervisor_threads_have_one_share),
        cmocka_unit_test(test_idle_hart_takes_what_waits),
        cmocka_unit_test(test_no_needless_ipi),
        cmocka_unit_test(test_times_add_up),
        cmocka_unit_test(test_interrupts_are_not_the_guests),
        cmocka_unit_test(test_wake_ups_are_paid_by_the_woken),
        cmocka_unit_test(test_wakes_a_little_earlier),
        cmocka_unit_test(test_directed_yield),
        cmocka_unit_test(test_directed_yields_gain_nothing),
        cmocka_unit_test(test_directed_yields_balance_seldom),
        cmocka_unit_test(test_alone_for_long),
        cmocka_unit_test(test_hurry),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_leaving_changes_no_share),
        cmocka_unit_test(test_leaver_pays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
