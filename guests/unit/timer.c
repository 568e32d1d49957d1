// SPDX-License-Identifier: BSD-2-Clause
// Timers: SBI set_timer, stimecmp where there is Sstc; on one hart and on all.
#include "unit/unit.h"

static void set_by_sbi(uint64_t t) { sbi_call(SBI_TIME, 0, t, 0, 0, 0, 0); }
static void set_by_stimecmp(uint64_t t) { __asm__ volatile("csrw 0x14d, %0" ::"r"(t)); }

static bool pending(void) { return csr_read(sip) & SIE_STIE; }

static void check_timer(void (*set)(uint64_t))
{
    struct hart *h = &harts[0];
    uint64_t at, before = h->irqs[IRQ_TIMER];

    set(~0ul);
    CHECK(!pending(), "pending with the timer off");
    at = rdtime() + usec(2000);
    set(at);
    while (rdtime() + usec(500) < at)
        CHECK(!pending() || rdtime() >= at, "pending before its time");
    csr_set(sie, SIE_STIE);
    csr_set(sstatus, SSTATUS_SIE);
    CHECK(rt_wait(&h->irqs[IRQ_TIMER], before + 1), "no interrupt");
    CHECK(rdtime() >= at, "%lu units early", at - rdtime());
    csr_clear(sstatus, SSTATUS_SIE);
    CHECK(pending(), "not pending any more, though nobody has set it anew");
    set(~0ul);
    CHECK(!pending(), "pending after it was set anew");
    set(0); /* the past: at once */
    at = rt_patience();
    while (!pending())
        CHECK(rdtime() < at, "not pending for a time in the past");
    set(~0ul);
    CHECK(!pending(), "pending at the end");
}

UNIT_CASE(timer_sbi, 0) { check_timer(set_by_sbi); }
UNIT_CASE(timer_stimecmp, UNIT_SSTC) { check_timer(set_by_stimecmp); }

/* Without Sstc in the device tree its register is not there. */
UNIT_CASE(timer_no_sstc, UNIT_TRAPLINE)
{
    if (rt_has("sstc"))
        return;
    trap_begin();
    set_by_stimecmp(~0ul);
    CHECK_EQ(trap_end().cause, CAUSE_ILLEGAL);
}

UNIT_CASE(timer_periodic, 0)
{
    struct hart *h = &harts[0];
    uint64_t before = h->irqs[IRQ_TIMER], start = rdtime();

    h->timer_every = usec(500);
    set_by_sbi(rdtime() + h->timer_every);
    csr_set(sie, SIE_STIE);
    csr_set(sstatus, SSTATUS_SIE);
    CHECK(rt_wait(&h->irqs[IRQ_TIMER], before + 20), "%lu of 20 came", h->irqs[IRQ_TIMER] - before);
    CHECK(rdtime() - start >= 20 * usec(500), "they came early");
}

/* WFI waits for the timer, and goes on although interrupts are masked in sstatus. It may come late when
 * the host is busy, but not each time. */
UNIT_CASE(timer_wakes_wfi, 0)
{
    unsigned late = 0;

    csr_set(sie, SIE_STIE);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t at = rdtime() + usec(1000);

        set_by_sbi(at);
        while (!pending())
            __asm__ volatile("wfi");
        CHECK(rdtime() >= at, "early");
        late += rdtime() > at + usec(200000);
    }
    CHECK(late < 10, "always more than 200 ms late");
}

static void tick(void *arg)
{
    struct hart *h = hart_self();

    h->timer_every = usec(700);
    set_by_sbi(rdtime() + h->timer_every);
    csr_set(sie, SIE_STIE);
    csr_set(sstatus, SSTATUS_SIE);
    rt_wait(&h->irqs[IRQ_TIMER], h->irqs[IRQ_TIMER] + (uint64_t)arg);
    csr_clear(sstatus, SSTATUS_SIE);
    csr_clear(sie, SIE_STIE);
    h->timer_every = 0;
    set_by_sbi(~0ul);
}

UNIT_CASE(timer_every_hart, UNIT_SMP)
{
    uint64_t before[RT_HARTS];

    for (unsigned i = 1; i < rt_hart_count; i++) {
        before[i] = harts[i].irqs[IRQ_TIMER];
        CHECK(hart_run(i, tick, (void *)10), "hart %u did not start", i);
    }
    before[0] = harts[0].irqs[IRQ_TIMER];
    tick((void *)10);
    for (unsigned i = 0; i < rt_hart_count; i++) {
        CHECK(i == 0 || hart_wait(i), "hart %u does not end", i);
        CHECK(harts[i].irqs[IRQ_TIMER] - before[i] >= 10, "hart %u: %lu of 10", i,
              harts[i].irqs[IRQ_TIMER] - before[i]);
    }
}
