// SPDX-License-Identifier: BSD-2-Clause
// The VS-stage walk over hand-made tables: every mode and page size, then everything that a hostile
// guest may put into them.
// units: vcpu/walk_vs.c stage2/stage2.c stage2/walk.c stage2/map.c stage2/change.c stage2/dirty.c
// units: stage2/flush.c stage2/vmid.c stage2/populate.c stage2/image.c stage2/guest_mem.c hyp/mem/frame.c
// units: hyp/mem/frame_boot.c hyp/mem/frame_ref.c tests/fake/fake_base.c tests/fake/fake_mem.c
// units: tests/fake/fake_xcall.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "fake_mem.h"
#include "vcpu/vcpu.h"

#define RAM 0x80000000ul
#define ROOT (RAM + 0x100000)
#define TABLE(n) (ROOT + 0x1000ul * (n))
#define PPN(a) ((a) >> 12 << 10)
#define POINTER(a) (PPN(a) | PTE_V)
#define LEAF(a) (PPN(a) | PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)
#define SATP(mode, a) ((uint64_t)(mode) << 60 | 7ul << 44 | (a) >> 12)

struct vcpu_features vcpu_features;
static struct stage2 s2;
static struct vs_step steps[5];
static gpa_t out;
static int result;

static int setup(void **state)
{
    (void)state;
    fake_mem_start(MIB(64));
    vmid_init(14);
    stage2_modes = 1 << STAGE2_SV39X4;
    assert_int_equal(stage2_create(&s2, 1, GIB(4)), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(RAM), MIB(16)), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage2_destroy(&s2);
    return 0;
}

static void poke(uint64_t table, unsigned index, uint64_t pte)
{
    assert_int_equal(guest_mem_write(&s2, gpa(table + index * 8ul), &pte, 8), 0);
}

static unsigned walk(uint64_t vsatp, uint64_t va)
{
    memset(steps, 0xEE, sizeof(steps));
    return vcpu_walk_vs(&s2, vsatp, gva(va), steps, &out, &result);
}

static void expect_fault(uint64_t vsatp, uint64_t va, unsigned n)
{
    assert_int_equal(walk(vsatp, va), n);
    assert_int_equal(result, -EFAULT);
    assert_int_equal(out.v, 0);
}

static void test_bare(void **state)
{
    (void)state;
    assert_int_equal(walk(0, 0x12345678), 0);
    assert_int_equal(result, 0);
    assert_int_equal(out.v, 0x12345678);
    assert_int_equal(walk(0, UINT64_MAX), 0);
    assert_int_equal(out.v, UINT64_MAX);
}

/* One path down from the root, index 5 + level at each. */
static uint64_t build(unsigned levels)
{
    uint64_t va = 0xabc;

    for (unsigned level = levels; level-- > 0;) {
        va |= (uint64_t)(5 + level) << (12 + 9 * level);
        poke(TABLE(levels - 1 - level), 5 + level,
             level ? POINTER(TABLE(levels - level)) : LEAF(RAM + 0x7000));
    }
    return va;
}

static void test_modes(void **state)
{
    (void)state;
    for (unsigned mode = 8; mode <= 10; mode++) {
        unsigned levels = mode - 5;
        uint64_t va = build(levels);

        assert_int_equal(walk(SATP(mode, ROOT), va), levels);
        assert_int_equal(result, 0);
        assert_int_equal(out.v, RAM + 0x7abc);
        for (unsigned i = 0; i < levels; i++) {
            assert_int_equal(steps[i].level, levels - 1 - i);
            assert_int_equal(steps[i].table.v, TABLE(i));
            assert_int_equal(steps[i].index, 5 + levels - 1 - i);
        }
        assert_int_equal(steps[levels - 1].pte, LEAF(RAM + 0x7000));
        /* Above the highest bit: all alike. */
        expect_fault(SATP(mode, ROOT), va | 1ul << (12 + 9 * levels), 0);
        expect_fault(SATP(mode, ROOT), va | 1ul << 63, 0);
        expect_fault(SATP(mode, ROOT), va | 1ul << (11 + 9 * levels), 0);
        assert_int_equal(walk(SATP(mode, ROOT), va | ~0ul << (11 + 9 * levels)), 1);
        poke(ROOT, 5 + levels - 1, 0);
    }
    for (unsigned mode = 1; mode < 16; mode++)
        if (mode < 8 || mode > 10)
            expect_fault(SATP(mode, ROOT), 0x1000, 0);
}

static void test_superpages(void **state)
{
    (void)state;
    poke(ROOT, 2, LEAF(0x40000000ul));
    assert_int_equal(walk(SATP(8, ROOT), 0x80000000ul + 0x12345678), 1);
    assert_int_equal(result, 0);
    assert_int_equal(out.v, 0x40000000ul + 0x12345678); /* not RAM: a gpa all the same */
    poke(ROOT, 2, LEAF(0x40000000ul + 0x200000));
    expect_fault(SATP(8, ROOT), 0x80000000ul, 1);
    poke(ROOT, 2, POINTER(TABLE(1)));
    poke(TABLE(1), 511, LEAF(RAM + 0x200000));
    assert_int_equal(walk(SATP(8, ROOT), 0x80000000ul + (511ul << 21) + 0x54321), 2);
    assert_int_equal(out.v, RAM + 0x200000 + 0x54321);
    poke(TABLE(1), 511, LEAF(RAM + 0x201000));
    expect_fault(SATP(8, ROOT), 0x80000000ul + (511ul << 21), 2);
}

static void test_napot(void **state)
{
    uint64_t va = build(3), n = 1ul << 63;

    (void)state;
    poke(TABLE(2), 5, (LEAF(RAM + 0x8000) | n));
    assert_int_equal(walk(SATP(8, ROOT), va), 3);
    assert_int_equal(result, 0);
    assert_int_equal(out.v, RAM + 0x5abc); /* 64 KiB, va bits 15:0 */
    poke(TABLE(2), 5, LEAF(RAM + 0x7000) | n);
    expect_fault(SATP(8, ROOT), va, 3);
    poke(TABLE(1), 6, LEAF(RAM) | n);
    expect_fault(SATP(8, ROOT), va, 2);
}

static void test_bad_entries(void **state)
{
    static const uint64_t bad[] = {
        0,
        ~1ul,
        PTE_R | PTE_W | PTE_X,
        POINTER(TABLE(2)) | PTE_W,
        POINTER(TABLE(2)) | PTE_A,
        POINTER(TABLE(2)) | PTE_D,
        POINTER(TABLE(2)) | PTE_U,
        POINTER(TABLE(2)) | 1ul << 61,
        POINTER(TABLE(2)) | 1ul << 62,
        POINTER(TABLE(2)) | 1ul << 63,
        POINTER(TABLE(2)) | 1ul << 54,
        POINTER(TABLE(2)) | 1ul << 60,
        LEAF(RAM) | 1ul << 54,
        LEAF(RAM) | 1ul << 60,
        PPN(RAM) | PTE_V | PTE_W | PTE_X,
    };
    uint64_t va = build(3);

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        poke(TABLE(1), 6, bad[i]);
        expect_fault(SATP(8, ROOT), va, 2);
        assert_int_equal(steps[1].pte, bad[i]);
    }
    poke(TABLE(1), 6, POINTER(TABLE(2)) | PTE_G | 3 << 8); /* these are allowed */
    assert_int_equal(walk(SATP(8, ROOT), va), 3);
    assert_int_equal(result, 0);
    poke(TABLE(2), 5, LEAF(RAM) | 2ul << 61); /* Svpbmt on a leaf too */
    assert_int_equal(walk(SATP(8, ROOT), va), 3);
    assert_int_equal(result, 0);
    poke(TABLE(2), 5, POINTER(TABLE(3))); /* below the last level */
    expect_fault(SATP(8, ROOT), va, 3);
}

/* Bits 60 and 59 are software's where the host says so; the others stay reserved. */
static void test_software_bits(void **state)
{
    uint64_t va = build(3);

    (void)state;
    poke(TABLE(1), 6, POINTER(TABLE(2)) | 3ul << 59);
    poke(TABLE(2), 5, LEAF(RAM) | 3ul << 59);
    expect_fault(SATP(8, ROOT), va, 2);
    vcpu_features.svrsw60t59b = true;
    assert_int_equal(walk(SATP(8, ROOT), va), 3);
    assert_int_equal(result, 0);
    for (unsigned bit = 54; bit < 59; bit++) {
        poke(TABLE(2), 5, LEAF(RAM) | 1ul << bit);
        expect_fault(SATP(8, ROOT), va, 3);
    }
    vcpu_features.svrsw60t59b = false;
}

static void test_tables_elsewhere(void **state)
{
    static const uint64_t where[] = {
        0, 0x10000000, RAM - 0x1000, RAM + MIB(16), ((1ul << 44) - 1) << 12, 1ul << 55};
    uint64_t va = build(3);

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
        expect_fault(SATP(8, where[i]), va, 1);
        assert_int_equal(steps[0].table.v, where[i]);
        assert_int_equal(steps[0].pte, 0);
        poke(ROOT, 7, POINTER(where[i]));
        expect_fault(SATP(8, ROOT), va, 2);
    }
}

/* A table that is its own child at each level, and noise: always an answer, in bounds. */
static void test_loops_and_noise(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 512; i++)
        poke(ROOT, i, POINTER(ROOT));
    for (unsigned mode = 8; mode <= 10; mode++)
        expect_fault(SATP(mode, ROOT), 0x1234567000, mode - 5);
    srand(1);
    for (int round = 0; round < 20000; round++) {
        uint64_t pte = (uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand();

        if (rand() % 2)
            pte = PPN(TABLE(rand() % 4)) | (pte & 0x3FF) | PTE_V;
        poke(TABLE(rand() % 4), (unsigned)rand() % 512, pte);
        assert_true(walk(SATP(8 + rand() % 3, TABLE(rand() % 4)), (uint64_t)rand() << 8) <= 5);
        if (result)
            assert_int_equal(out.v, 0);
        else
            assert_true(out.v < 1ul << 56);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bare, setup, teardown),
        cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_superpages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_napot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_software_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tables_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loops_and_noise, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
