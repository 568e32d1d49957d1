// SPDX-License-Identifier: BSD-2-Clause
// The host's AIA: its APLIC with wires and with messages, sources that the firmware kept, levels that still ask.
// units: hyp/drv/aplic.c hyp/drv/host_irq.c tests/fake/fake_base.c
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

#define BASE 0xd000000ul
enum {
    DOMAINCFG = 0,
    SOURCECFG = 0,
    CLRIE = 0x1F00,
    SETIENUM = 0x1EDC,
    SETIPNUM = 0x2000,
    TARGET = 0x3000
};
enum { IDC = 0x4000, LEVEL_HIGH = 4u << PLATFORM_IRQ_TYPE, RISING = 1u << PLATFORM_IRQ_TYPE };
enum { KEPT = 7 }; /* the firmware's own source */

static struct platform p;
static struct hart boot;
struct hart *harts[HART_MAX] = {&boot};
static uint32_t reg[0x5000 / 4];
static uint32_t enabled[8], pended[8], claims[8];
static unsigned enables, pends, claim_at, calls;
static bool no_messages;

const struct irqchip *plic_probe(const struct platform *platform_)
{
    (void)platform_;
    return NULL;
}

void *hostmap_device(pa_t at, uint64_t size)
{
    assert_true(at.v >= BASE && at.v + size <= BASE + p.aplic.regs.size);
    return (char *)reg + (at.v - BASE);
}

static size_t offset_of(const volatile void *at)
{
    return (size_t)((const volatile char *)at - (char *)reg);
}

static uint64_t on_read(const volatile void *at, unsigned width)
{
    assert_int_equal(width, 4);
    if (offset_of(at) == IDC + 32 + 0x1C)
        return claim_at < 8 ? claims[claim_at++] << 16 | 1 : 0;
    return *(const volatile uint32_t *)at;
}

static void on_write(volatile void *at, uint64_t v, unsigned width)
{
    size_t offset = offset_of(at);

    assert_int_equal(width, 4);
    assert_true(offset < sizeof(reg));
    if (offset == SETIENUM)
        enabled[enables++] = (uint32_t)v;
    else if (offset == SETIPNUM)
        pended[pends++] = (uint32_t)v;
    else if (offset == DOMAINCFG && no_messages)
        reg[0] = (uint32_t)v & ~4u;
    else if (offset != SOURCECFG + 4 * KEPT)
        *(volatile uint32_t *)at = (uint32_t)v;
}

static int start(bool msi)
{
    fake_arch_reset();
    memset(&p, 0, sizeof(p));
    memset(reg, 0, sizeof(reg));
    memset(claims, 0, sizeof(claims));
    enables = pends = claim_at = calls = 0;
    p.aplic.regs = (struct platform_range){BASE, 0x8000};
    p.aplic.sources = 96;
    p.aplic.msi = msi;
    p.aplic.imsic_ids = msi ? 63 : 0;
    p.hart_count = 2;
    p.hart[0] = (struct platform_hart){.hartid = 4, .usable = true, .irq_context = 0};
    p.hart[1] = (struct platform_hart){.hartid = 5, .usable = true, .irq_context = 1};
    boot.hartid = 5;
    fake_mmio_read = on_read;
    fake_mmio_write = on_write;
    return host_irq_init(&p);
}

static void on_irq(void *arg) { calls += *(const unsigned *)arg; }

static void test_wires(void **state)
{
    static unsigned one = 1, hundred = 100;

    (void)state;
    assert_int_equal(start(false), 0);
    assert_string_equal(host_irq_name(), "APLIC");
    assert_int_equal(reg[0], 1 << 8);
    assert_int_equal(reg[CLRIE / 4 + 3], UINT32_MAX);
    assert_int_equal(reg[(IDC + 32) / 4], 1); /* delivery, no threshold */
    assert_int_equal(reg[(IDC + 32 + 8) / 4], 0);
    assert_int_equal(reg[IDC / 4], 0); /* another hart's */
    assert_int_equal(host_irq_register(10 | LEVEL_HIGH, on_irq, &one), 0);
    assert_int_equal(host_irq_register(96 | RISING, on_irq, &hundred), 0);
    assert_int_equal(host_irq_register(10, on_irq, &one), -EEXIST);
    assert_int_equal(host_irq_register(0, on_irq, &one), -EINVAL);
    assert_int_equal(host_irq_register(97, on_irq, &one), -EINVAL);
    assert_int_equal(host_irq_register(KEPT, on_irq, &one), -EINVAL);
    assert_int_equal(reg[(SOURCECFG + 4 * 10) / 4], 6);
    assert_int_equal(reg[(SOURCECFG + 4 * 96) / 4], 4);
    assert_int_equal(reg[(TARGET + 4 * 10) / 4], 1 << 18 | 1); /* a priority of 0 would be none */
    assert_int_equal(enables, 2);
    assert_int_equal(enabled[1], 96);
    claims[0] = 96;
    claims[1] = 10;
    host_irq_handle();
    assert_int_equal(calls, 101);
    assert_int_equal(claim_at, 3);
    assert_int_equal(pends, 0);
}

static void test_messages(void **state)
{
    static unsigned one = 1;

    (void)state;
    assert_int_equal(start(true), 0);
    assert_string_equal(host_irq_name(), "IMSIC");
    assert_int_equal(reg[0], 1 << 8 | 4);
    assert_int_equal(fake_csr[CSR_SISELECT], 0x70); /* delivery, last */
    assert_int_equal(fake_csr[CSR_SIREG], 1);
    assert_int_equal(host_irq_register(20 | RISING, on_irq, &one), 0);
    assert_int_equal(host_irq_register(21 | LEVEL_HIGH, on_irq, &one), 0);
    assert_int_equal(host_irq_register(64, on_irq, &one), -EINVAL); /* no identity for it */
    assert_int_equal(reg[(TARGET + 4 * 21) / 4], 1 << 18 | 21);
    fake_csr[CSR_STOPEI] = 20 << 16 | 20;
    host_irq_handle();
    assert_int_equal(calls, 1);
    assert_int_equal(fake_csr[CSR_STOPEI], 0);
    assert_int_equal(pends, 0); /* an edge is over */
    fake_csr[CSR_STOPEI] = 21 << 16 | 21;
    host_irq_handle();
    assert_int_equal(calls, 2);
    assert_int_equal(pends, 1);
    assert_int_equal(pended[0], 21);
}

static void test_not_there(void **state)
{
    (void)state;
    no_messages = true;
    assert_int_equal(start(true), -ENODEV);
    no_messages = false;
    assert_int_equal(start(true), 0);
    fake_csr_absent[CSR_SISELECT] = true;
    assert_int_equal(host_irq_init(&p), -ENODEV);
    assert_int_equal(host_irq_register(1, on_irq, NULL), -ENODEV);
    assert_string_equal(host_irq_name(), "none");
    assert_int_equal(start(false), 0);
    p.aplic.regs.size = IDC + 63; /* ends within our hart's registers */
    assert_int_equal(host_irq_init(&p), -ENODEV);
    boot.hartid = 6;
    assert_int_equal(host_irq_init(&p), -ENODEV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wires),
                                       cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_not_there)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
