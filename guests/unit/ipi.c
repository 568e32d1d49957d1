// SPDX-License-Identifier: BSD-2-Clause
// Interprocessor interrupts (SBI IPI, and legacy).
#include "unit/unit.h"

static void open_soft(void)
{
    csr_set(sie, SIE_SSIE);
    csr_set(sstatus, SSTATUS_SIE);
}

static struct sbi_ret send(uint64_t mask, uint64_t base)
{
    return sbi_call(SBI_IPI, 0, mask, base, 0, 0, 0);
}

UNIT_CASE(ipi_self, 0)
{
    struct hart *h = &harts[0];
    uint64_t before = h->irqs[IRQ_SOFT];

    open_soft();
    for (unsigned i = 1; i <= 10; i++) {
        CHECK_SBI(send(1, h->id), SBI_OK);
        CHECK(rt_wait(&h->irqs[IRQ_SOFT], before + i), "IPI %u did not come", i);
    }
    CHECK_EQ(h->irqs[IRQ_SOFT], before + 10);
    CHECK_EQ(csr_read(sip) & SIE_SSIE, 0);
}

UNIT_CASE(ipi_set_by_sip, 0)
{
    csr_set(sip, SIE_SSIE);
    CHECK_EQ(csr_read(sip) & SIE_SSIE, SIE_SSIE);
    csr_clear(sip, SIE_SSIE);
    CHECK_EQ(csr_read(sip) & SIE_SSIE, 0);
}

/* Masked, it stays pending. */
UNIT_CASE(ipi_pending, 0)
{
    uint64_t end = rt_patience();

    CHECK_SBI(send(1, harts[0].id), SBI_OK);
    while (!(csr_read(sip) & SIE_SSIE))
        CHECK(rdtime() < end, "not pending");
}

UNIT_CASE(ipi_empty_mask, 0)
{
    CHECK_SBI(send(0, harts[0].id), SBI_OK);
    CHECK_EQ(csr_read(sip) & SIE_SSIE, 0);
}

UNIT_CASE(ipi_bad_mask, UNIT_TRAPLINE)
{
    CHECK_SBI(send(1, 64), SBI_INVALID_PARAM);
    CHECK_SBI(send(1ul << 63, 0), SBI_INVALID_PARAM);
    CHECK_SBI(send(3, rt_hart_count - 1), SBI_INVALID_PARAM);
    CHECK_SBI(send(1, ~0ul - 1), SBI_INVALID_PARAM);
    CHECK_EQ(csr_read(sip) & SIE_SSIE, 0); /* nothing done */
}

static void wait_soft(void *arg)
{
    struct hart *h = hart_self();

    open_soft();
    rt_wait(&h->irqs[IRQ_SOFT], (uint64_t)arg);
    csr_clear(sstatus, SSTATUS_SIE);
}

static void wait_in_wfi(void *arg)
{
    struct hart *h = hart_self();

    csr_set(sie, SIE_SSIE);
    while (!(csr_read(sip) & SIE_SSIE))
        __asm__ volatile("wfi");
    csr_clear(sip, SIE_SSIE);
    csr_clear(sie, SIE_SSIE);
    h->irqs[0] = (uint64_t)arg;
}

static bool send_until(unsigned n, uint64_t mask, uint64_t base)
{
    uint64_t end = rt_patience();

    while (__atomic_load_n(&harts[n].run, __ATOMIC_ACQUIRE) && rdtime() < end) {
        uint64_t pause = rdtime() + usec(500);

        if (send(mask, base).error)
            return false;
        while (rdtime() < pause)
            ;
    }
    return hart_wait(n);
}

UNIT_CASE(ipi_other, UNIT_SMP)
{
    CHECK(hart_run(1, wait_soft, (void *)(harts[1].irqs[IRQ_SOFT] + 3)), "hart did not start");
    CHECK(send_until(1, 1, harts[1].id), "no IPIs there");
}

UNIT_CASE(ipi_all, UNIT_SMP)
{
    uint64_t before = harts[0].irqs[IRQ_SOFT];

    CHECK(hart_run(1, wait_soft, (void *)(harts[1].irqs[IRQ_SOFT] + 3)), "hart did not start");
    open_soft();
    CHECK(send_until(1, 0, ~0ul), "base -1 did not reach hart 1");
    CHECK(harts[0].irqs[IRQ_SOFT] > before, "base -1 did not reach the sender");
}

UNIT_CASE(ipi_wakes_wfi, UNIT_SMP)
{
    for (uint64_t i = 1; i <= 20; i++) {
        CHECK(hart_run(1, wait_in_wfi, (void *)i), "hart did not start");
        CHECK(send_until(1, 1, harts[1].id), "round %lu: still in WFI", i);
        CHECK_EQ(harts[1].irqs[0], i);
    }
}
