// SPDX-License-Identifier: BSD-2-Clause
// The host's counters: what is asked of the firmware, beside a firmware that counts; two vCPUs on two harts.
// units: vcpu/hostpmu.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/hostpmu.h"
#include "vcpu/pmu_abi.h"
#include "vcpu/sbi/sbi.h"

struct vcpu_features vcpu_features;
static struct vcpu a, b;

/* --- the firmware: counters 3 to 6 of each hart, which it calls 13 to 16; 0 and 2 are fixed --- */

enum { FIRST = 3, LAST = 6, SHIFT = 10, HARTS = 2 };
#define MISSES 0x10019u
#define ONLY_ON_HART_0 0x10021u
static struct {
    uint32_t event;
    uint64_t flags;
    bool runs, over;
} counter[HARTS][LAST + 1];
static bool
    marks; /* newer firmware: all that it configures have overflown until they are started */
static unsigned calls;

static bool lcofi(void) { return csr_read(CSR_SIP) & BIT(IRQ_LCOFI); }
static bool guest_lcofi(void) { return csr_read(CSR_HVIP) & HVIP_LCOFIP; }

static void show_overflow(void)
{
    uint64_t set = 0;

    for (unsigned i = FIRST; i <= LAST; i++)
        set |= counter[fake_hart][i].over ? BIT(i) : 0;
    csr_write(CSR_SCOUNTOVF, set);
}

static struct sbi_ret match(uint64_t mask, uint64_t flags, uint32_t event)
{
    if (event != MISSES && event != EVENT_CYCLES && (event != ONLY_ON_HART_0 || fake_hart))
        return (struct sbi_ret){SBI_ERR_NOT_SUPPORTED, 0};
    for (unsigned i = FIRST; i <= LAST; i++) {
        if (mask & BIT(i + SHIFT) && !counter[fake_hart][i].event) {
            counter[fake_hart][i].event = event;
            counter[fake_hart][i].flags = flags;
            counter[fake_hart][i].over = marks;
            return (struct sbi_ret){0, i + SHIFT};
        }
    }
    return event == EVENT_CYCLES ? (struct sbi_ret){0, 0} : (struct sbi_ret){SBI_ERR_FAILED, 0};
}

static struct sbi_ret start_stop(bool start, uint64_t mask, uint64_t flags, uint64_t value)
{
    for (unsigned i = FIRST; i <= LAST; i++) {
        if (!(mask & BIT(i + SHIFT)))
            continue;
        assert_int_not_equal(counter[fake_hart][i].event, 0);
        counter[fake_hart][i].runs = start;
        if (start && flags & START_SET_INIT_VALUE)
            csr_write(CSR_CYCLE + i, value);
        if (start && !lcofi())
            counter[fake_hart][i].over = false;
        if (!start && flags & STOP_RESET)
            counter[fake_hart][i].event = 0, counter[fake_hart][i].over = false;
    }
    assert_int_equal(mask & ~(0xFul << (FIRST + SHIFT)), 0);
    return (struct sbi_ret){0, 0};
}

static struct sbi_ret firmware(unsigned long ext, unsigned long fid, const unsigned long arg[6])
{
    struct sbi_ret r = {0, 0};

    calls++;
    if (ext == SBI_EXT_BASE)
        return (struct sbi_ret){0, 1};
    assert_int_equal(ext, SBI_EXT_PMU);
    switch (fid) {
    case PMU_NUM_COUNTERS:
        return (struct sbi_ret){0, 20};
    case PMU_GET_INFO:
        if (arg[0] == 0 || arg[0] == 2)
            return (struct sbi_ret){0, (long)(63ul << 12 | (CSR_CYCLE + arg[0]))};
        if (arg[0] >= FIRST + SHIFT && arg[0] <= LAST + SHIFT)
            return (struct sbi_ret){0, (long)(47ul << 12 | (CSR_CYCLE + arg[0] - SHIFT))};
        return arg[0] > 16 ? (struct sbi_ret){0, (long)INFO_FIRMWARE}
                           : (struct sbi_ret){SBI_ERR_INVALID_PARAM, 0};
    case PMU_CONFIG_MATCHING:
        r = match(arg[1], arg[2], (uint32_t)arg[3]);
        break;
    case PMU_START:
    case PMU_STOP:
        r = start_stop(fid == PMU_START, arg[1], arg[2], arg[3]);
        break;
    default:
        fail();
    }
    show_overflow();
    return r;
}

/* Counts n events on this hart, as its counters have it. */
static void happen(unsigned i, uint64_t n)
{
    uint64_t value = csr_read(CSR_CYCLE + i);

    if (!counter[fake_hart][i].runs)
        return;
    csr_write(CSR_CYCLE + i, value + n);
    if (value + n < value && !counter[fake_hart][i].over) {
        counter[fake_hart][i].over = true;
        csr_set(CSR_SIP, BIT(IRQ_LCOFI));
        show_overflow();
    }
}

static int setup(void **state)
{
    (void)state;
    fake_arch_reset();
    fake_sbi = firmware;
    fake_hart = 0;
    memset(counter, 0, sizeof(counter));
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    marks = false;
    vcpu_features.sscofpmf = hostpmu_probe(true);
    assert_true(vcpu_features.sscofpmf);
    return 0;
}

static int give(struct vcpu *v, uint32_t event, uint8_t filter)
{
    int i = hostpmu_configure(v, ~v->pmu.used, event, 0, filter);

    if (i >= 0) {
        v->pmu.event[i] = event;
        v->pmu.filter[i] = filter;
        v->pmu.used |= BIT(i);
    }
    return i;
}
static void start(struct vcpu *v, unsigned i, uint64_t value)
{
    v->pmu.value[i] = value;
    hostpmu_start(v, i);
    v->pmu.running |= BIT(i);
}
static void stop(struct vcpu *v, unsigned i)
{
    hostpmu_stop(v, BIT(i));
    v->pmu.running &= ~BIT(i);
}
static void move(struct vcpu *v, unsigned hart)
{
    hostpmu_unload(v);
    fake_hart = hart;
    show_overflow();
    hostpmu_load(v);
}

/* --- tests --- */

static void probe(void **state)
{
    (void)state;
    assert_int_equal(hostpmu_counters(), 0x78);
    assert_int_equal(hostpmu_width(4), 47);
    assert_false(hostpmu_probe(false));
    assert_int_equal(hostpmu_counters(), 0x78); /* without overflow */
    assert_int_equal(csr_read(CSR_HVIP) | csr_read(CSR_HVIEN), 0);
    fake_csr_absent[CSR_HVIEN] = true; /* no AIA */
    assert_false(hostpmu_probe(true));
    fake_csr_absent[CSR_HVIEN] = false;
    fake_csr_absent[CSR_SCOUNTOVF] = true;
    assert_false(hostpmu_probe(true));
    fake_csr_absent[CSR_SCOUNTOVF] = false;
    fake_csr_absent[CSR_CYCLE + 4] = true; /* the firmware offers it and S-mode may not read it */
    assert_true(hostpmu_probe(true));
    assert_int_equal(hostpmu_counters(), 0x68);
}

static void events(void **state)
{
    (void)state;
    assert_int_equal(give(&a, 0x10008, 0), -1); /* not this host's */
    assert_int_equal(give(&a, MISSES, 0), 3);
    assert_int_equal(counter[0][3].flags, CONFIG_SET_MINH | CONFIG_SET_SINH | CONFIG_SET_UINH);
    assert_int_equal(give(&a, MISSES, CONFIG_SET_UINH), 4);
    assert_int_equal(counter[0][4].flags, 0xE0 | CONFIG_SET_VUINH);
    assert_int_equal(give(&a, MISSES, CONFIG_SET_SINH), 5);
    assert_int_equal(counter[0][5].flags, 0xE0 | CONFIG_SET_VSINH);
    assert_int_equal(hostpmu_readable(&a), 0x38);
    assert_int_equal(hostpmu_readable(&b), 0);
    assert_int_equal(hostpmu_configure(&a, 0x40, EVENT_CYCLES, 0, 0), 6);
    hostpmu_release(&a, 0x40);
    a.pmu.used |= 0x40; /* as if: none is free */
    assert_int_equal(hostpmu_configure(&a, 0, EVENT_CYCLES, 0, 0), -1);
    counter[0][6].event = 7;
    assert_int_equal(hostpmu_configure(&a, 0x40, EVENT_CYCLES, 0, 0), -1); /* cycle instead */
}

static void counts(void **state)
{
    (void)state;
    assert_int_equal(give(&a, MISSES, 0), 3);
    start(&a, 3, 1000);
    assert_int_equal(hostpmu_value(&a, 3), 1000);
    happen(3, 5);
    assert_int_equal(hostpmu_value(&a, 3), 1005);
    stop(&a, 3);
    happen(3, 5);
    assert_int_equal(hostpmu_value(&a, 3), 1005);
    start(&a, 3, a.pmu.value[3]);
    happen(3, 1);
    hostpmu_unload(&a);
    happen(3, 100); /* nobody is there */
    assert_int_equal(a.pmu.value[3], 1006);
    calls = 0;
    hostpmu_load(&a);
    assert_int_equal(calls, 1); /* still its own: only started */
    happen(3, 1);
    assert_int_equal(hostpmu_value(&a, 3), 1007);
}

static void two_on_a_hart(void **state)
{
    (void)state;
    give(&a, MISSES, CONFIG_SET_UINH);
    start(&a, 3, 10);
    hostpmu_unload(&a);
    hostpmu_load(&b); /* uses none: leaves them alone */
    assert_int_equal(counter[0][3].event, MISSES);
    assert_false(counter[0][3].runs);
    assert_int_equal(give(&b, EVENT_CYCLES, 0), 3);
    assert_int_equal(hostpmu_readable(&b), 8);
    start(&b, 3, 500);
    happen(3, 1);
    hostpmu_unload(&b);
    hostpmu_load(&a);
    assert_int_equal(counter[0][3].event, MISSES);
    assert_int_equal(counter[0][3].flags, 0xE0 | CONFIG_SET_VUINH);
    happen(3, 2);
    assert_int_equal(hostpmu_value(&a, 3), 12);
    assert_int_equal(hostpmu_value(&b, 3), 501);
    hostpmu_unload(&a);
    a.pmu = (struct vcpu_pmu){0}; /* reset */
    hostpmu_load(&a);
    assert_int_equal(hostpmu_readable(&a), 0);
}

/* Nothing of what one guest has counted is left for the next one. */
static void nothing_left(void **state)
{
    (void)state;
    give(&a, MISSES, 0);
    start(&a, 3, ~0ul - 9999);
    happen(3, 12345);
    stop(&a, 3);
    assert_true(lcofi());
    hostpmu_release(&a, 8);
    a.pmu = (struct vcpu_pmu){0};
    hostpmu_unload(&a);
    hostpmu_load(&b);
    assert_int_equal(give(&b, EVENT_CYCLES, 0), 3);
    assert_int_equal(hostpmu_readable(&b), 8);
    assert_int_equal(csr_read(CSR_CYCLE + 3), 0);
    assert_false(counter[0][3].runs);
    start(&b, 3, 5);
    hostpmu_unload(&b);
    assert_false(guest_lcofi());
    /* Nor where a counter comes back that has overflown, and stands still. */
    marks = true;
    hostpmu_load(&b);
    b.pmu.value[3] = 77;
    stop(&b, 3);
    b.pmu.value[3] = 77;
    b.pmu.overflowed = 8;
    hostpmu_unload(&b);
    give(&a, MISSES, 0);
    start(&a, 3, 4321);
    hostpmu_unload(&a);
    hostpmu_load(&b);
    assert_int_equal(csr_read(CSR_CYCLE + 3), 77);
    assert_int_equal(csr_read(CSR_SCOUNTOVF), 8);
    assert_false(counter[0][3].runs);
}

static void another_hart(void **state)
{
    (void)state;
    give(&a, ONLY_ON_HART_0, 0);
    give(&a, MISSES, 0);
    start(&a, 3, 7);
    start(&a, 4, 70);
    move(&a, 1);
    assert_int_equal(hostpmu_readable(&a), 0x10); /* the other stands still here */
    happen(4, 1);
    assert_int_equal(hostpmu_value(&a, 3), 7);
    assert_int_equal(hostpmu_value(&a, 4), 71);
    stop(&a, 3);
    start(&a, 3, 8);
    move(&a, 0);
    happen(3, 1);
    assert_int_equal(hostpmu_value(&a, 3), 9);
    assert_int_equal(hostpmu_value(&a, 4), 71);
}

static void overflow(void **state)
{
    (void)state;
    give(&a, MISSES, 0);
    assert_int_equal(csr_read(CSR_SIE), 0);
    start(&a, 3, ~0ul);
    assert_int_equal(csr_read(CSR_SIE), BIT(IRQ_LCOFI));
    happen(3, 3);
    assert_true(lcofi());
    hostpmu_overflow(&a); /* the exit */
    assert_false(lcofi());
    assert_true(guest_lcofi());
    assert_int_equal(a.pmu.overflowed, 8);
    hostpmu_unload(&a);
    assert_int_equal(csr_read(CSR_SIE), 0);
    hostpmu_load(&a);
    assert_false(lcofi());
    assert_int_equal(csr_read(CSR_SIE), BIT(IRQ_LCOFI));
    assert_int_equal(csr_read(CSR_SCOUNTOVF), 8); /* not looked at yet */
    stop(&a, 3);
    assert_int_equal(a.pmu.value[3], 2);
    csr_clear(CSR_HVIP, HVIP_LCOFIP);
    start(&a, 3, ~9ul);
    assert_int_equal(a.pmu.overflowed, 0);
    assert_int_equal(csr_read(CSR_SCOUNTOVF), 0);
    happen(3, 1);
    stop(&a, 3);
    assert_int_equal(a.pmu.overflowed, 0);
    /* just before it leaves the hart */
    start(&a, 3, ~0ul);
    happen(3, 1);
    hostpmu_unload(&a);
    assert_false(lcofi());
    assert_true(guest_lcofi());
    hostpmu_load(&a);
    /* released: nothing is left of it */
    stop(&a, 3);
    hostpmu_release(&a, 8);
    assert_int_equal(a.pmu.overflowed, 0);
    assert_int_equal(counter[0][3].event, 0);
    assert_int_equal(csr_read(CSR_SIE), 0);
}

/* An emulator may not have noticed when the counter is stopped. */
static void overflow_unnoticed(void **state)
{
    (void)state;
    give(&a, MISSES, 0);
    start(&a, 3, ~0ul - 4);
    csr_write(CSR_CYCLE + 3, 7);
    hostpmu_unload(&a);
    assert_int_equal(a.pmu.value[3], 7);
    assert_int_equal(a.pmu.overflowed, 8);
    assert_true(guest_lcofi());
    csr_clear(CSR_HVIP, HVIP_LCOFIP);
    hostpmu_load(&a);
    csr_write(CSR_CYCLE + 3, 3); /* again, before the guest has looked: once is enough */
    stop(&a, 3);
    assert_false(guest_lcofi());
    start(&a, 3, 5);
    csr_write(CSR_CYCLE + 3, 5); /* nothing was counted */
    a.pmu.value[3] |= 1ul << 48; /* a bit that the counter does not have */
    stop(&a, 3);
    assert_int_equal(a.pmu.overflowed, 0);
    assert_false(guest_lcofi());
}

/* Between overflow and the guest's look at scountovf it is moved, and the firmware marks. */
static void overflow_moved(void **state)
{
    (void)state;
    marks = true;
    give(&a, MISSES, 0);
    give(&a, EVENT_CYCLES, 0);
    give(&a, MISSES, 0);
    start(&a, 3, ~0ul);
    start(&a, 4, 5);
    happen(3, 1);
    move(&a, 1);
    assert_true(guest_lcofi());
    assert_int_equal(csr_read(CSR_SCOUNTOVF), 8); /* and neither 4 nor 5, which has never run */
    assert_true(counter[1][3].runs && counter[1][4].runs);
    assert_false(counter[1][5].runs);
    stop(&a, 3);
    stop(&a, 4);
    assert_int_equal(a.pmu.overflowed, 8);
    move(&a, 0);
    assert_int_equal(csr_read(CSR_SCOUNTOVF), 8);
    assert_int_equal(a.pmu.value[4], 5);
}

/* The same, where the hart's own bit has to be made: it is seen all the same. */
static void overflow_unnoticed_is_shown(void **state)
{
    (void)state;
    marks = true;
    give(&a, MISSES, CONFIG_SET_UINH);
    give(&a, MISSES, 0);
    start(&a, 3, ~0ul - 4);
    start(&a, 4, 5);
    csr_write(CSR_CYCLE + 3, 7);
    move(&a, 0);
    assert_int_equal(csr_read(CSR_SCOUNTOVF), 8);
    assert_int_equal(counter[0][3].event, MISSES);
    assert_true(counter[0][3].flags & CONFIG_SET_VUINH);
    assert_true(counter[0][3].runs && counter[0][4].runs);
    assert_int_equal(hostpmu_value(&a, 3), 7);
    assert_false(lcofi());
    start(&a, 3, 1);
    assert_int_equal(csr_read(CSR_SCOUNTOVF), 0);
}

/* A value that is given to a stopped counter is the hart's, too, where the guest reads it. */
static void value_while_stopped(void **state)
{
    (void)state;
    give(&a, MISSES, 0);
    start(&a, 3, 7);
    happen(3, 2);
    stop(&a, 3);
    assert_int_equal(csr_read(CSR_CYCLE + 3), 9);
    a.pmu.value[3] = 0;
    hostpmu_set(&a, 3);
    assert_int_equal(csr_read(CSR_CYCLE + 3), 0);
    assert_false(counter[0][3].runs);
    calls = 0;
    hostpmu_set(&b, 3); /* not here: when it comes */
    assert_int_equal(calls, 0);
}

static void no_sscofpmf(void **state)
{
    (void)state;
    vcpu_features.sscofpmf = hostpmu_probe(false);
    give(&a, MISSES, CONFIG_SET_UINH);
    assert_int_equal(counter[0][3].flags, 0);
    start(&a, 3, ~0ul);
    csr_set(CSR_SIP, BIT(IRQ_LCOFI)); /* whatever it is, it is not for guests */
    hostpmu_unload(&a);
    assert_false(guest_lcofi());
    assert_int_equal(csr_read(CSR_SIE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(probe, setup),
        cmocka_unit_test_setup(events, setup),
        cmocka_unit_test_setup(counts, setup),
        cmocka_unit_test_setup(two_on_a_hart, setup),
        cmocka_unit_test_setup(nothing_left, setup),
        cmocka_unit_test_setup(another_hart, setup),
        cmocka_unit_test_setup(overflow, setup),
        cmocka_unit_test_setup(overflow_unnoticed, setup),
        cmocka_unit_test_setup(overflow_moved, setup),
        cmocka_unit_test_setup(overflow_unnoticed_is_shown, setup),
        cmocka_unit_test_setup(value_while_stopped, setup),
        cmocka_unit_test_setup(no_sscofpmf, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
