// SPDX-License-Identifier: BSD-2-Clause
// Fences, IPIs, timers, WFI, device interrupts, output: as many as all harts can.
#include "hostile/hostile.h"

static void set_timer(struct worker *w, uint64_t when)
{
    if (rt_has("sstc") && one_in(w, 2))
        __asm__ volatile("csrw 0x14d, %0" ::"r"(when));
    else
        sbi_call(SBI_TIME, 0, when, 0, 0, 0, 0);
}

static uint64_t time_of(struct worker *w)
{
    switch (random_below(w, 6)) {
    case 0:
        return nasty(w);
    case 1:
        return ~0ul - random_below(w, 1ul << random_below(w, 40)); /* what may wrap */
    case 2:
        return 0;
    default:
        return rdtime() + random_below(w, usec(50));
    }
}

/* A WFI that must end; the comparator may hold a time that never comes. An interrupt that comes before the
 * WFI sets the next (timer_every). */
static void wait(struct worker *w)
{
    csr_set(sie, one_in(w, 2) ? SIE_STIE | SIE_SSIE | SIE_SEIE : SIE_STIE);
    if (!one_in(w, 8))
        alarm_in(random_below(w, 50));
    else
        set_timer(w, one_in(w, 2) ? 0 : rdtime() + usec(20));
    __asm__ volatile("wfi");
}

/* The UART's "transmitter empty" through the PLIC, at whatever context. */
static void device_interrupt(struct worker *w)
{
    uint64_t context = random_below(w, rt_hart_count + 1),
             claim = PLIC + 0x200004 + 0x1000 * context;

    *(volatile uint32_t *)(PLIC + 40) = (uint32_t)random_below(w, 8);
    *(volatile uint32_t *)(PLIC + 0x2000 + 0x80 * context) = one_in(w, 4) ? 0 : 1u << 10;
    *(volatile uint8_t *)(UART + 1) = one_in(w, 2) ? 2 : 0;
    (void)*(volatile uint8_t *)(UART + 2);
    *(volatile uint32_t *)claim = one_in(w, 2) ? *(volatile uint32_t *)claim : 10;
}

static void fence(struct worker *w)
{
    uint64_t size = one_in(w, 2) ? nasty(w) : 4096 * random_below(w, 64);

    switch (random_below(w, 4)) {
    case 0:
        sbi_call(SBI_RFENCE, 0, 0, ~0ul, 0, 0, 0);
        break;
    case 1:
        sbi_call(SBI_RFENCE, 1, random_next(w), random_below(w, 4), nasty(w), size, 0);
        break;
    case 2:
        sbi_call(SBI_RFENCE, 2, 0, ~0ul, nasty(w), size, random_below(w, 4));
        break;
    default:
        __asm__ volatile("sfence.vma\n fence.i\n fence" ::: "memory");
    }
}

static void send_ipi(struct worker *w)
{
    (void)w;
    sbi_call(SBI_IPI, 0, 0, ~0ul, 0, 0, 0);
}

static void timer(struct worker *w) { set_timer(w, time_of(w)); }

static void suspend(struct worker *w) /* retentive: as WFI */
{
    alarm_in(random_below(w, 50));
    sbi_call(SBI_HSM, 3, 0, 0, 0, 0, 0);
}

static void any(struct worker *w)
{
    static void (*const kinds[])(struct worker *) = {fence, send_ipi,         timer,
                                                     wait,  device_interrupt, suspend};

    kinds[random_below(w, ARRAY_LEN(kinds))](w);
}

static void storm(struct worker *w, void (*act)(struct worker *))
{
    harts[w->index].timer_every = usec(100);
    csr_set(sie, SIE_SSIE);
    csr_set(sstatus, SSTATUS_SIE);
    for (uint64_t i = 0; i < w->ops; i++) {
        act(w);
        csr_set(sie, SIE_SSIE | SIE_STIE);
        w->done++;
    }
    csr_write(sie, 0);
    harts[w->index].timer_every = 0;
    set_timer(w, ~0ul);
}

void attack_storm(struct worker *w) { storm(w, any); }
void storm_fence(struct worker *w) { storm(w, fence); }
void storm_ipi(struct worker *w) { storm(w, send_ipi); }
void storm_timer(struct worker *w) { storm(w, timer); }
void storm_wfi(struct worker *w) { storm(w, wait); }
void storm_irq(struct worker *w) { storm(w, device_interrupt); }

/* Computes for that long, without an exit of its own. */
static void compute(uint64_t microseconds)
{
    for (uint64_t until = rdtime() + usec(microseconds); rdtime() < until;)
        for (unsigned i = 0; i < 4096; i++)
            __asm__ volatile("");
}

/* Much work, then a moment's sleep before the slice ends: who sleeps is preferred when it wakes. */
void storm_nap(struct worker *w)
{
    csr_clear(sstatus, SSTATUS_SIE);
    for (uint64_t i = 0; i < w->ops; i++) {
        compute(100 + random_below(w, 4000));
        alarm_in(10 + random_below(w, 100));
        __asm__ volatile("wfi");
        w->done++;
    }
}

void storm_hog(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++)
        compute(1000);
}
