// SPDX-License-Identifier: BSD-2-Clause
// RFENCE: ranges, targets, and vCPUs that come and go while others fence them.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/act.c vcpu/sbi/base.c vcpu/sbi/dbcn.c vcpu/sbi/fwft.c vcpu/sbi/hsm.c vcpu/sbi/ipi.c vcpu/sbi/legacy.c vcpu/sbi/pmu.c vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/rfence.c vcpu/sbi/sbi.c vcpu/sbi/srst.c vcpu/sbi/sta.c vcpu/sta.c vcpu/sbi/sse.c vcpu/sse.c vcpu/sbi/susp.c vcpu/sbi/time.c
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sbi.h"

#define ALL_ONES (~0ul)
#define FENCE(fid, mask, base, start, size, asid) \
    fake_ecall(SBI_EXT_RFENCE, fid, mask, base, start, size, asid)

static int setup(void **state)
{
    (void)state;
    fake_sbi_reset(4);
    return 0;
}

/* What was fenced on a hart: -1 is nothing, an address of page 0 and asid 0 is everything. */
static unsigned fences_of(unsigned hart, uint64_t *first, uint64_t *last, unsigned asid)
{
    unsigned n = 0;

    assert_true(fake_fences <= FAKE_FENCES);
    for (unsigned i = 0; i < fake_fences; i++) {
        if (fake_fence[i].hart != hart || fake_fence[i].kind != FENCE_VVMA)
            continue;
        assert_int_equal(fake_fence[i].vmid, asid);
        if (n)
            assert_int_equal(fake_fence[i].gpa, *last + PAGE_SIZE);
        else
            *first = fake_fence[i].gpa;
        *last = fake_fence[i].gpa;
        n++;
    }
    return n;
}

static void ranges(void **state)
{
    static const struct {
        uint64_t start, size, first;
        unsigned pages;
    } c[] = {
        {0x1000, 1, 0x1000, 1},
        {0x1000, 0x1000, 0x1000, 1},
        {0x1FFF, 1, 0x1000, 1},
        {0x1FFF, 2, 0x1000, 2},
        {0x1001, 0x1000, 0x1000, 2},
        {0x1000, 0x1001, 0x1000, 2},
        {0x5000, 64 * 0x1000, 0x5000, 64},
        {0x5FFF, 64 * 0x1000, 0x5000, 65},
        {0xFFFFFFC000001234ul, 0x3000, 0xFFFFFFC000001000ul, 4},
        /* up to the last byte, which does not wrap */
        {0xFFFFFFFFFFFFF000ul, 0x1000, 0xFFFFFFFFFFFFF000ul, 1},
        {0xFFFFFFFFFFFFE800ul, 0x1800, 0xFFFFFFFFFFFFE000ul, 2},
        {ALL_ONES, 1, 0xFFFFFFFFFFFFF000ul, 1},
        /* everything */
        {0, 0, 0, 1},
        {0, ALL_ONES, 0, 1},
        {0x1000, ALL_ONES, 0, 1},
        {0x5000, 0, 0, 1},
        {0x5000, 64 * 0x1000 + 1, 0, 1},
        {0x5000, 0x8000000000000000ul, 0, 1},
        {0x5000, ALL_ONES - 1, 0, 1},
        {ALL_ONES, ALL_ONES, 0, 1},
        /* wraps */
        {0xFFFFFFFFFFFFF000ul, 0x1001, 0, 1},
        {ALL_ONES, 2, 0, 1},
        {0xFFFFFFFFFFFFF000ul, 0x3000, 0, 1},
        {0x8000000000000000ul, 0x8000000000000001ul, 0, 1},
    };
    uint64_t first = 7, last = 7;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        for (unsigned asid = 0; asid < 2; asid++) {
            fake_sbi_reset(4);
            fake_expect(FENCE(1 + asid, 1, 0, c[i].start, c[i].size, asid ? 0xFFFF : 5), 0, 0);
            assert_int_equal(fences_of(0, &first, &last, asid ? 0xFFFF : 0), c[i].pages);
            assert_int_equal(first, c[i].first);
            assert_int_equal(fake_fences, c[i].pages);
            assert_int_equal(fake_xcall_runs, 0);
            assert_int_equal(atomic_load(&fake_vcpus[0].requests), 0);
        }
    }
}

static void asids(void **state)
{
    static const uint64_t bad[] = {
        0x10000, 0x10005, 0xFFFFFFFF, 0x100000005ul, 0x8000000000000005ul, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        fake_expect(FENCE(2, 0xF, 0, 0x1000, 0x1000, bad[i]), SBI_ERR_INVALID_PARAM, 0);
    assert_int_equal(fake_fences, 0);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), 0);
    /* where it is no parameter it is not looked at */
    fake_expect(FENCE(1, 1, 0, 0x1000, 0x1000, ALL_ONES), 0, 0);
    fake_expect(FENCE(0, 1, 0, 0x1000, 0x1000, ALL_ONES), 0, 0);
    assert_int_equal(fake_fences, 2);
}

static void fence_i_for_oneself(void **state)
{
    (void)state;
    fake_expect(FENCE(0, 1, 0, ALL_ONES, ALL_ONES, ALL_ONES), 0, 0);
    assert_int_equal(fake_fences, 1);
    assert_int_equal(fake_fence_count(FENCE_I, 0), 1);
}

static void bad_masks_do_nothing(void **state)
{
    static const struct {
        uint64_t mask, base;
    } bad[] = {
        {0x10, 0}, {0x11, 0}, {ALL_ONES, 0},     {1, 4},
        {3, 3},    {1, 64},   {1, ALL_ONES - 1}, {0x8000000000000001ul, 1},
    };

    (void)state;
    for (unsigned i = 1; i < 4; i++)
        fake_sbi_load(i, (int)i);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        for (unsigned fid = 0; fid < 3; fid++)
            fake_expect(FENCE(fid, bad[i].mask, bad[i].base, 0, 0, 0), SBI_ERR_INVALID_PARAM, 0);
    }
    assert_int_equal(fake_fences + fake_xcall_runs, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(atomic_load(&fake_vcpus[i].requests), 0);
}

static void nobody(void **state)
{
    (void)state;
    fake_expect(FENCE(1, 0, 0, 0, 0, 0), 0, 0);
    fake_expect(FENCE(0, 0, 1000, 0, 0, 0), 0, 0);
    assert_int_equal(fake_fences + fake_xcall_runs, 0);
}

static void hypervisor_functions(void **state)
{
    (void)state;
    for (unsigned fid = 3; fid <= 6; fid++)
        fake_expect(FENCE(fid, 1, 0, 0, 0, 0), SBI_ERR_NOT_SUPPORTED, 0);
    assert_int_equal(fake_fences, 0);
}

/* vCPUs on no hart look for themselves before they run: no waiting. */
static void not_loaded(void **state)
{
    (void)state;
    fake_expect(FENCE(1, 0, ALL_ONES, 0x1000, 0x1000, 0), 0, 0);
    assert_int_equal(fake_fence_count(FENCE_VVMA, 0), 1);
    assert_int_equal(fake_fences, 1);
    assert_int_equal(fake_xcall_runs, 0);
    assert_int_equal(atomic_load(&fake_vcpus[0].requests), 0);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(atomic_load(&fake_vcpus[i].requests), VCPU_REQ_FENCE);
    fake_expect(FENCE(0, 0x2, 0, 0, 0, 0), 0, 0);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), VCPU_REQ_FENCE | VCPU_REQ_FENCE_I);
    assert_int_equal(atomic_load(&fake_vcpus[2].requests), VCPU_REQ_FENCE);
    assert_int_equal(fake_fences, 1);
}

/* Loaded ones are fenced where they are, by the range, without being asked for more. */
static void loaded_elsewhere(void **state)
{
    uint64_t first, last;

    (void)state;
    fake_sbi_load(1, 3);
    fake_sbi_load(2, 5);
    fake_expect(FENCE(2, 0x6, 0, 0x4000, 0x2000, 9), 0, 0);
    assert_int_equal(fake_xcall_runs, 1);
    assert_int_equal(fake_xcall_mask, BIT(3) | BIT(5));
    assert_int_equal(fences_of(3, &first, &last, 9), 2);
    assert_int_equal(first, 0x4000);
    assert_int_equal(fences_of(5, &first, &last, 9), 2);
    assert_int_equal(fake_fences, 4); /* not here: the caller is not in the mask */
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(atomic_load(&fake_vcpus[i].requests), 0);

    fake_expect(FENCE(0, 0xF, 0, 0, 0, 0), 0, 0);
    assert_int_equal(fake_fence_count(FENCE_I, 0), 1);
    assert_int_equal(fake_fence_count(FENCE_I, 3), 1);
    assert_int_equal(fake_fence_count(FENCE_I, 5), 1);
    assert_int_equal(atomic_load(&fake_vcpus[3].requests), VCPU_REQ_FENCE_I);
}

/* --- between our look at loaded_hart and the xcall --- */

static void leaves_its_hart(void)
{
    fake_sbi_load(1, -1);
    fake_before_xcall = NULL;
}

static void one_that_left(void **state)
{
    (void)state;
    fake_sbi_load(1, 3);
    fake_before_xcall = leaves_its_hart;
    fake_expect(FENCE(1, 0x2, 0, 0x1000, 0x1000, 0), 0, 0);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), VCPU_REQ_FENCE);
    assert_int_equal(fake_xcall_runs, 1);
}

static void another_guest_comes(void)
{
    leaves_its_hart();
    fake_hgatp[3] = 9ul << HGATP_MODE_SHIFT | 3ul << HGATP_VMID_SHIFT | 0x99999;
}

static void another_guest_is_not_fenced(void **state)
{
    (void)state;
    fake_sbi_load(1, 3);
    fake_before_xcall = another_guest_comes;
    fake_expect(FENCE(1, 0x2, 0, 0, 0, 0), 0, 0);
    assert_int_equal(fake_fences, 0);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), VCPU_REQ_FENCE);
}

static void moves_to_another_hart(void)
{
    leaves_its_hart();
    fake_sbi_load(1, 4);
}

static void one_that_moved(void **state)
{
    (void)state;
    fake_sbi_load(1, 3);
    fake_before_xcall = moves_to_another_hart;
    fake_expect(FENCE(1, 0x2, 0, 0x1000, 0x1000, 0), 0, 0);
    assert_int_equal(fake_xcall_runs, 2);
    assert_int_equal(fake_xcall_mask, BIT(4));
    assert_int_equal(fake_fence_count(FENCE_VVMA, 4), 1);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), VCPU_REQ_FENCE);
}

/* loaded_hart is set, hgatp not yet: not done by the xcall, so it is asked. */
static void half_loaded(void)
{
    fake_hgatp[3] = 9ul << HGATP_MODE_SHIFT | 0x99999;
    fake_before_xcall = NULL;
}

static void one_that_is_being_loaded(void **state)
{
    (void)state;
    fake_sbi_load(1, 3);
    fake_before_xcall = half_loaded;
    fake_expect(FENCE(1, 0x2, 0, 0, 0, 0), 0, 0);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), VCPU_REQ_FENCE);
}

/* It is loaded just as it is asked: it may have looked at its requests too early. */
static void gets_loaded(struct vcpu *v) { fake_sbi_load(v->index, 6); }

static void one_that_came(void **state)
{
    (void)state;
    fake_on_request = gets_loaded;
    fake_expect(FENCE(1, 0x2, 0, 0, 0, 0), 0, 0);
    assert_int_equal(fake_xcall_mask, BIT(6));
    assert_int_equal(fake_fence_count(FENCE_VVMA, 6), 1);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), VCPU_REQ_FENCE);
}

/* Only what was meant moves: a sibling on the same hart is no reason to be done. */
static void sibling_takes_the_hart(void)
{
    leaves_its_hart();
    fake_sbi_load(2, 3);
}

static void sibling_does_not_count(void **state)
{
    (void)state;
    fake_sbi_load(1, 3);
    fake_before_xcall = sibling_takes_the_hart;
    fake_expect(FENCE(1, 0x2, 0, 0, 0, 0), 0, 0);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), VCPU_REQ_FENCE);
    assert_int_equal(atomic_load(&fake_vcpus[2].requests), 0);
}

/* A machine with different VMID layouts: only the root says whose hgatp it is. */
static void vmid_does_not_matter(void **state)
{
    (void)state;
    fake_sbi_load(1, 3);
    fake_hgatp[3] = 8ul << HGATP_MODE_SHIFT | 0x3FFFul << HGATP_VMID_SHIFT | FAKE_ROOT >> 12;
    fake_expect(FENCE(1, 0x2, 0, 0, 0, 0), 0, 0);
    assert_int_equal(fake_fence_count(FENCE_VVMA, 3), 1);
    assert_int_equal(atomic_load(&fake_vcpus[1].requests), 0);
}

static void most_vcpus(void **state)
{
    (void)state;
    fake_sbi_reset(GUEST_MAX_VCPUS);
    fake_caller = 31;
    fake_sbi_load(0, -1);
    fake_sbi_load(31, 0);
    fake_sbi_load(30, 7);
    fake_expect(FENCE(1, 0, ALL_ONES, 0, 0, 0), 0, 0);
    assert_int_equal(fake_fences, 2);
    assert_int_equal(fake_xcall_mask, BIT(7));
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(atomic_load(&fake_vcpus[i].requests), VCPU_REQ_FENCE);
    assert_int_equal(atomic_load(&fake_vcpus[30].requests), 0);
    assert_int_equal(atomic_load(&fake_vcpus[31].requests), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ranges, setup),
        cmocka_unit_test_setup(asids, setup),
        cmocka_unit_test_setup(fence_i_for_oneself, setup),
        cmocka_unit_test_setup(bad_masks_do_nothing, setup),
        cmocka_unit_test_setup(nobody, setup),
        cmocka_unit_test_setup(hypervisor_functions, setup),
        cmocka_unit_test_setup(not_loaded, setup),
        cmocka_unit_test_setup(loaded_elsewhere, setup),
        cmocka_unit_test_setup(one_that_left, setup),
        cmocka_unit_test_setup(another_guest_is_not_fenced, setup),
        cmocka_unit_test_setup(one_that_moved, setup),
        cmocka_unit_test_setup(one_that_is_being_loaded, setup),
        cmocka_unit_test_setup(one_that_came, setup),
        cmocka_unit_test_setup(sibling_does_not_count, setup),
        cmocka_unit_test_setup(vmid_does_not_matter, setup),
        cmocka_unit_test_setup(most_vcpus, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
