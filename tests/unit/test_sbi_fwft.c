// SPDX-License-Identifier: BSD-2-Clause
// FWFT: each feature, value, flag and error of SBI 3.0 "Firmware Features"; what reaches the hart.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/act.c vcpu/sbi/base.c vcpu/sbi/dbcn.c vcpu/sbi/fwft.c vcpu/sbi/hsm.c vcpu/sbi/ipi.c vcpu/sbi/legacy.c vcpu/sbi/pmu.c vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/rfence.c vcpu/sbi/sbi.c vcpu/sbi/srst.c vcpu/sbi/sta.c vcpu/sta.c vcpu/sbi/sse.c vcpu/sse.c vcpu/sbi/susp.c vcpu/sbi/time.c
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sbi.h"
#include "vcpu/sbi/fwft.h"

enum { MISALIGNED, LANDING_PAD, SHADOW_STACK, DOUBLE_TRAP, AD, PMLEN };
#define ALL_ONES (~0ul)
#define PMM(n) ((uint64_t)(n) << HENVCFG_PMM_SHIFT)
#define SET(feature, value, flags) fake_ecall(SBI_EXT_FWFT, 0, feature, value, flags, 9, 9)
#define GET(feature) fake_ecall(SBI_EXT_FWFT, 1, feature, 9, 9, 9, 9)

static unsigned calls;
static uint64_t delegated;
static long firmware_error;
static uint64_t firmware_default;

static struct sbi_ret firmware(unsigned long ext, unsigned long fid, const unsigned long a[6])
{
    calls++;
    assert_int_equal(ext, SBI_EXT_FWFT);
    if (firmware_error)
        return (struct sbi_ret){firmware_error, 0};
    if (fid == 1)
        return (struct sbi_ret){0, (long)firmware_default};
    assert_int_equal(fid, 0);
    assert_int_equal(a[2], 0);
    if (a[0] == MISALIGNED)
        delegated = a[1];
    return (struct sbi_ret){0};
}

static int setup(void **state)
{
    (void)state;
    fake_sbi_reset(2);
    fake_sbi = firmware;
    firmware_error = 0;
    firmware_default = 0;
    fake_guest.henvcfg = HENVCFG_STCE;
    vcpu_features.misaligned_deleg = vcpu_features.svadu = true;
    vcpu_features.pmlen7 = vcpu_features.pmlen16 = true;
    /* The hart's firmware as a vCPU that wants no delegation leaves it. */
    fwft_reset(&fake_vcpus[0]);
    fwft_load(&fake_vcpus[0]);
    calls = 0;
    delegated = 0;
    return 0;
}

static void nothing_changed(void)
{
    assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE);
    assert_int_equal(calls, 0);
    assert_int_equal(fake_vcpus[0].fwft.locked, 0);
}

static void functions(void **state)
{
    static const unsigned long fids[] = {2, 3, 0x80000000, 0x100000000ul, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(fids); i++)
        fake_expect(fake_ecall(SBI_EXT_FWFT, fids[i], AD, 1, 0, 9, 9), SBI_ERR_NOT_SUPPORTED, 0);
    nothing_changed();
}

static void reset_values(void **state)
{
    (void)state;
    fake_expect(GET(MISALIGNED), 0, 0);
    fake_expect(GET(AD), 0, 0);
    fake_expect(GET(PMLEN), 0, 0);
}

static void features_that_no_guest_has(void **state)
{
    (void)state;
    for (unsigned f = LANDING_PAD; f <= DOUBLE_TRAP; f++) {
        fake_expect(SET(f, 1, 0), SBI_ERR_NOT_SUPPORTED, 0);
        fake_expect(GET(f), SBI_ERR_NOT_SUPPORTED, 0);
    }
    memset(&vcpu_features, 0, sizeof(vcpu_features));
    for (unsigned f = MISALIGNED; f <= PMLEN; f++) {
        fake_expect(SET(f, 0, 0), SBI_ERR_NOT_SUPPORTED, 0);
        fake_expect(SET(f, 1, ALL_ONES), SBI_ERR_NOT_SUPPORTED, 0);
        fake_expect(GET(f), SBI_ERR_NOT_SUPPORTED, 0);
    }
    nothing_changed();
}

static void reserved_features(void **state)
{
    static const unsigned long ids[] = {6,          7,          0x3FFFFFFF, 0x40000000, 0x7FFFFFFF,
                                        0x80000000, 0xBFFFFFFF, 0xC0000000, 0xFFFFFFFF, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
        fake_expect(SET(ids[i], 0, 0), SBI_ERR_DENIED, 0);
        fake_expect(GET(ids[i]), SBI_ERR_DENIED, 0);
    }
    nothing_changed();
}

/* The feature is 32 bits wide: the high half is not looked at. */
static void high_half_of_the_feature(void **state)
{
    (void)state;
    fake_expect(SET(0xFFFFFFFF00000004ul, 1, 0), 0, 0);
    fake_expect(GET(0x8000000000000004ul), 0, 1);
}

static void ad_updating(void **state)
{
    (void)state;
    fake_expect(SET(AD, 1, 0), 0, 0);
    assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE | HENVCFG_ADUE);
    assert_int_equal(fake_fence_count(FENCE_VVMA, 0), 1);
    fake_expect(GET(AD), 0, 1);
    fake_expect(SET(AD, 0, 0), 0, 0);
    assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE);
    assert_int_equal(fake_fence_count(FENCE_VVMA, 0), 2);
    fake_expect(GET(AD), 0, 0);
    assert_int_equal(calls, 0);
}

static void misaligned_delegation(void **state)
{
    (void)state;
    fake_expect(SET(MISALIGNED, 1, 0), 0, 0);
    assert_int_equal(delegated, 1);
    assert_int_equal(calls, 1);
    fake_expect(SET(MISALIGNED, 1, 0), 0, 0);
    assert_int_equal(calls, 1); /* it is so already */
    fake_expect(GET(MISALIGNED), 0, 1);
    /* a vCPU that has it off comes to the hart, and goes */
    fwft_load(&fake_vcpus[1]);
    assert_int_equal(delegated, 0);
    fwft_load(&fake_vcpus[0]);
    assert_int_equal(delegated, 1);
    assert_int_equal(calls, 3);
    fake_expect(SET(MISALIGNED, 0, 0), 0, 0);
    assert_int_equal(delegated, 0);
}

static void pointer_masking(void **state)
{
    static const struct {
        unsigned long asked;
        bool have7, have16;
        long error;
        unsigned long got;
        uint64_t pmm;
    } c[] = {
        {0, true, true, 0, 0, 0},
        {1, true, true, 0, 7, 2},
        {7, true, true, 0, 7, 2},
        {8, true, true, 0, 16, 3},
        {16, true, true, 0, 16, 3},
        {7, false, true, 0, 16, 3},
        {0, false, true, 0, 0, 0},
        {7, true, false, 0, 7, 2},
        {8, true, false, -3, 0, 0},
        {16, true, false, -3, 0, 0},
        {17, true, true, -3, 0, 0},
        {63, true, true, -3, 0, 0},
        {64, true, true, -3, 0, 0},
        {0x100000007ul, true, true, -3, 0, 0},
        {0x8000000000000000ul, true, true, -3, 0, 0},
        {ALL_ONES, true, true, -3, 0, 0},
    };

    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        setup(state);
        vcpu_features.pmlen7 = c[i].have7;
        vcpu_features.pmlen16 = c[i].have16;
        fake_expect(SET(PMLEN, c[i].asked, 0), c[i].error, 0);
        fake_expect(GET(PMLEN), 0, c[i].got);
        assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE | PMM(c[i].pmm));
    }
}

static void features_are_apart(void **state)
{
    (void)state;
    fake_expect(SET(PMLEN, 16, 0), 0, 0);
    fake_expect(SET(AD, 1, 0), 0, 0);
    assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE | HENVCFG_ADUE | PMM(3));
    fake_expect(SET(PMLEN, 7, 0), 0, 0);
    assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE | HENVCFG_ADUE | PMM(2));
    fake_expect(SET(AD, 0, 0), 0, 0);
    assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE | PMM(2));
    fake_expect(GET(PMLEN), 0, 7);
    fake_expect(GET(MISALIGNED), 0, 0);
}

static void bad_values_and_flags(void **state)
{
    static const unsigned long values[] = {2, 3, 0x100000001ul, 0x8000000000000001ul, ALL_ONES};
    static const unsigned long flags[] = {2, 3, 4, 0x100000000ul, 0x8000000000000000ul, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
        fake_expect(SET(AD, values[i], 0), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(SET(AD, values[i], 1), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(SET(MISALIGNED, values[i], 0), SBI_ERR_INVALID_PARAM, 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
        fake_expect(SET(AD, 1, flags[i]), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(SET(MISALIGNED, 1, flags[i]), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(SET(PMLEN, 7, flags[i]), SBI_ERR_INVALID_PARAM, 0);
    }
    nothing_changed();
}

static void locks(void **state)
{
    (void)state;
    fake_expect(SET(AD, 1, 1), 0, 0);
    fake_expect(SET(AD, 0, 0), SBI_ERR_DENIED_LOCKED, 0);
    fake_expect(SET(AD, 1, 0), SBI_ERR_DENIED_LOCKED, 0);
    fake_expect(SET(AD, 0, 1), SBI_ERR_DENIED_LOCKED, 0);
    fake_expect(GET(AD), 0, 1);
    fake_expect(SET(PMLEN, 7, 0), 0, 0); /* another feature */
    fake_caller = 1; /* another vCPU */
    fake_expect(GET(AD), 0, 0);
    fake_expect(SET(AD, 1, 0), 0, 0);
    fake_caller = 0;
    /* the hart's reset */
    fwft_reset(&fake_vcpus[0]);
    fwft_load(&fake_vcpus[0]);
    assert_int_equal(csr_read(CSR_HENVCFG), HENVCFG_STCE);
    fake_expect(GET(AD), 0, 0);
    fake_expect(SET(AD, 1, 0), 0, 0);
}

static void probe_on_a_host_with_all(void **state)
{
    (void)state;
    memset(&vcpu_features, 0, sizeof(vcpu_features));
    fwft_probe(true);
    assert_true(vcpu_features.misaligned_deleg);
    assert_int_equal(delegated, 0); /* as it was */
    assert_true(vcpu_features.svadu);
    assert_true(vcpu_features.pmlen7 && vcpu_features.pmlen16);
    assert_int_equal(csr_read(CSR_HENVCFG), 0);
}

static void probe_on_a_host_with_none(void **state)
{
    (void)state;
    firmware_error = SBI_ERR_NOT_SUPPORTED;
    fake_csr_absent[CSR_HENVCFG] = true;
    fwft_probe(true);
    assert_false(vcpu_features.misaligned_deleg);
    assert_false(vcpu_features.svadu);
    assert_false(vcpu_features.pmlen7 || vcpu_features.pmlen16);
    /* Delegated for good, or by somebody else's wish: not ours to switch. */
    firmware_error = 0;
    firmware_default = 1;
    fwft_probe(false);
    assert_false(vcpu_features.misaligned_deleg);
    assert_int_equal(delegated, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(functions, setup),
        cmocka_unit_test_setup(reset_values, setup),
        cmocka_unit_test_setup(features_that_no_guest_has, setup),
        cmocka_unit_test_setup(reserved_features, setup),
        cmocka_unit_test_setup(high_half_of_the_feature, setup),
        cmocka_unit_test_setup(ad_updating, setup),
        cmocka_unit_test_setup(misaligned_delegation, setup),
        cmocka_unit_test_setup(pointer_masking, setup),
        cmocka_unit_test_setup(features_are_apart, setup),
        cmocka_unit_test_setup(bad_values_and_flags, setup),
        cmocka_unit_test_setup(locks, setup),
        cmocka_unit_test_setup(probe_on_a_host_with_all, setup),
        cmocka_unit_test_setup(probe_on_a_host_with_none, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
