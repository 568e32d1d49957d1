// SPDX-License-Identifier: BSD-2-Clause
// The host's PLIC, with any number of contexts a hart (those of tests/unit/dts): which registers are ours, and no others.
// units: hyp/drv/plic.c hyp/drv/host_irq.c tests/fake/fake_base.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "drv/irqchip.h"
#include "mem/hostmap.h"
#include "sched/hart.h"

#define BASE 0x9000000ul

static struct platform p;
static struct hart boot;
struct hart *harts[HART_MAX] = {&boot};
static struct {
    uint64_t pa;
    char data[0x1000];
} window[8];
static unsigned windows;
static uint32_t claims[4], completed[4];
static unsigned claim_at, complete_count;
static uint64_t claim_pa;

const struct irqchip *aplic_probe(const struct platform *platform_)
{
    (void)platform_;
    return NULL;
}

void *hostmap_device(pa_t at, uint64_t size)
{
    assert_true(windows < 8 && size <= 0x1000);
    assert_true(at.v >= BASE && at.v + size <= BASE + p.plic.regs.size);
    window[windows].pa = at.v;
    return window[windows++].data;
}

static uint64_t pa_of(const volatile void *at)
{
    for (unsigned i = 0; i < windows; i++)
        if ((const volatile char *)at >= window[i].data &&
            (const volatile char *)at < window[i].data + 0x1000)
            return window[i].pa + (uint64_t)((const volatile char *)at - window[i].data);
    fail_msg("an access outside of what was mapped");
    return 0;
}

static uint64_t on_read(const volatile void *at, unsigned width)
{
    assert_int_equal(width, 4);
    if (pa_of(at) == claim_pa)
        return claim_at < 4 ? claims[claim_at++] : 0;
    return *(const volatile uint32_t *)at;
}

static void on_write(volatile void *at, uint64_t v, unsigned width)
{
    assert_int_equal(width, 4);
    if (pa_of(at) == claim_pa)
        completed[complete_count++] = (uint32_t)v;
    else
        *(volatile uint32_t *)at = (uint32_t)v;
}

static uint32_t word(uint64_t pa)
{
    for (unsigned i = 0; i < windows; i++)
        if (pa >= window[i].pa && pa + 4 <= window[i].pa + 0x1000)
            return *(uint32_t *)(window[i].data + (pa - window[i].pa));
    fail_msg("0x%lx is not mapped", pa);
    return 0;
}

/* A Titan: harts from 0x10, three contexts each; the hart that boots is the second. */
static int start(uint32_t context)
{
    memset(&p, 0, sizeof(p));
    memset(window, 0xFF, sizeof(window));
    windows = claim_at = complete_count = 0;
    p.plic.regs = (struct platform_range){BASE, 0x4000000};
    p.plic.sources = 160;
    p.hart_count = 2;
    p.hart[0] = (struct platform_hart){.hartid = 0x10, .usable = true, .irq_context = 1};
    p.hart[1] = (struct platform_hart){.hartid = 0x11, .usable = true, .irq_context = context};
    boot.hartid = 0x11;
    claim_pa = BASE + 0x200004 + context * 0x1000ul;
    fake_mmio_read = on_read;
    fake_mmio_write = on_write;
    return host_irq_init(&p);
}

static unsigned calls;
static void on_irq(void *arg) { calls += *(unsigned *)arg; }

static void test_contexts(void **state)
{
    static unsigned one = 1, hundred = 100;

    (void)state;
    assert_int_equal(start(4), 0);
    assert_int_equal(word(BASE + 0x204000), 0); /* threshold */
    for (unsigned i = 0; i <= 160 / 32; i++)
        assert_int_equal(word(BASE + 0x2000 + 4 * 0x80 + 4 * i), 0);
    assert_int_equal(host_irq_register(17, on_irq, &one), 0);
    assert_int_equal(host_irq_register(160, on_irq, &hundred), 0);
    assert_int_equal(host_irq_register(17, on_irq, &one), -EEXIST);
    assert_int_equal(host_irq_register(0, on_irq, &one), -EINVAL);
    assert_int_equal(host_irq_register(161, on_irq, &one), -EINVAL);
    assert_int_equal(word(BASE + 4 * 17), 1);
    assert_int_equal(word(BASE + 0x2000 + 4 * 0x80), 1u << 17);
    assert_int_equal(word(BASE + 0x2000 + 4 * 0x80 + 20), 1u);
    claims[0] = 160;
    claims[1] = 17;
    claims[2] = 17;
    host_irq_handle();
    assert_int_equal(calls, 102);
    assert_int_equal(complete_count, 3);
    assert_int_equal(completed[0], 160);
    assert_int_equal(completed[2], 17);
    /* Others leave it alone. */
    fake_hart = 1;
    claim_at = 0;
    host_irq_handle();
    assert_int_equal(claim_at, 0);
    host_irq_hart_init();
    assert_int_equal(fake_csr_get(CSR_SIE) & BIT(IRQ_SEI), 0);
    fake_hart = 0;
    host_irq_hart_init();
    assert_int_equal(fake_csr_get(CSR_SIE) & BIT(IRQ_SEI), BIT(IRQ_SEI));
}

static void test_none(void **state)
{
    (void)state;
    assert_int_equal(start(UINT32_MAX), -ENODEV);
    assert_int_equal(start(0x3e00), -ENODEV); /* behind the window's end */
    assert_int_equal(start(4), 0);
    boot.hartid = 0x12; /* not in the tree */
    assert_int_equal(host_irq_init(&p), -ENODEV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_contexts),
                                       cmocka_unit_test(test_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
