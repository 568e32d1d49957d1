// SPDX-License-Identifier: BSD-2-Clause
// SBI to guests: the dispatcher, BASE, TIME, IPI, SRST. Names are those of the specification, 3.0.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/act.c vcpu/sbi/base.c vcpu/sbi/dbcn.c vcpu/sbi/fwft.c vcpu/sbi/hsm.c vcpu/sbi/ipi.c vcpu/sbi/legacy.c vcpu/sbi/pmu.c vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/rfence.c vcpu/sbi/sbi.c vcpu/sbi/srst.c vcpu/sbi/sta.c vcpu/sta.c vcpu/sbi/sse.c vcpu/sse.c vcpu/sbi/susp.c vcpu/sbi/time.c
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sbi.h"
#include "vcpu/sbi/extensions.h"

#define ALL_ONES (~0ul)

static int setup(void **state)
{
    (void)state;
    fake_sbi_reset(4);
    return 0;
}

static const struct sbi_extension *const all[] = {
    &sbi_ext_base, &sbi_ext_time, &sbi_ext_ipi,    &sbi_ext_rfence, &sbi_ext_hsm,
    &sbi_ext_srst, &sbi_ext_dbcn, &sbi_ext_susp,   &sbi_ext_fwft,   &sbi_ext_pmu,
    &sbi_ext_sse,  &sbi_ext_sta,  &sbi_ext_legacy,
};

static const unsigned long unimplemented[] = {
    0x09,
    0x0A,
    0x0B,
    0x0C,
    0x0D,
    0x0E,
    0x0F,
    0x11,
    0x1F,
    0x20,
    0x30,
    0x50,
    0x43505043,
    0x4E41434C,
    0x44425452,
    0x4D505859, /* CPPC to MPXY */
    0x08000000,
    0x08FFFFFF,
    0x09000000,
    0x09FFFFFF,
    0x0A000000,
    0x0AFFFFFF, /* experimental ... */
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    ALL_ONES,
    0x8000000000000000ul,
    /* the high half counts: these look like BASE, TIME, legacy to who ignores it */
    0x100000010ul,
    0xFFFFFFFF00000010ul,
    0x8000000000000010ul,
    0x154494D45ul,
    0x100000000ul,
    0x8000000000000001ul,
};

static void each_extension_is_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        assert_non_null(all[i]->name);
        assert_true(all[i]->first <= all[i]->last);
        assert_int_equal(!all[i]->answer, !!all[i]->call); /* exactly one */
        assert_true(!all[i]->legacy || all[i]->call);
        for (unsigned long id = all[i]->first; id <= all[i]->last; id++)
            assert_ptr_equal(sbi_find(id), all[i]);
    }
    assert_int_equal(sbi_ext_legacy.first, 0);
    assert_int_equal(sbi_ext_legacy.last, 8);
    assert_true(sbi_ext_legacy.legacy);
}

static void unknown_extensions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(unimplemented); i++) {
        assert_null(sbi_find(unimplemented[i]));
        struct fake_result r = fake_ecall(unimplemented[i], 0, 1, 2, 3, 4, 5);
        fake_expect(r, SBI_ERR_NOT_SUPPORTED, 0);
        assert_false(r.slow);
        fake_vcpus[0].gpr[17] = unimplemented[i];
        fake_vcpus[0].pc = FAKE_ECALL_PC;
        assert_int_equal(sbi_dispatch_slow(&fake_vcpus[0]), EXIT_RESUME);
        assert_int_equal(fake_vcpus[0].gpr[10], SBI_ERR_NOT_SUPPORTED);
        assert_int_equal(fake_vcpus[0].pc, FAKE_ECALL_PC + 4);
    }
}

/* Every id near the known ones, and many others, are either found or not supported. */
static void no_id_is_found_by_accident(void **state)
{
    unsigned found = 0;

    (void)state;
    for (unsigned long id = 0; id < 0x10000; id++)
        found += sbi_find(id) != NULL;
    assert_int_equal(found, 9 + 1); /* legacy and BASE: the others are further up */
    for (unsigned i = 0; i < ARRAY_LEN(all) - 1; i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            unsigned long id = all[i]->first ^ BIT(bit);
            if (id > 8)
                assert_null(sbi_find(id));
        }
    }
}

static void unknown_functions(void **state)
{
    static const struct {
        unsigned long ext, functions;
    } known[] = {
        {SBI_EXT_BASE, 7}, {SBI_EXT_TIME, 1}, {SBI_EXT_IPI, 1},  {SBI_EXT_RFENCE, 3},
        {SBI_EXT_HSM, 4},  {SBI_EXT_SRST, 1}, {SBI_EXT_DBCN, 3}, {SBI_EXT_SUSP, 1},
        {SBI_EXT_FWFT, 2}, {SBI_EXT_PMU, 9},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        unsigned long n = known[i].functions;
        unsigned long fids[] = {n,          n + 1,         n + 2,
                                n + 3,      100,           0x80000000,
                                0xFFFFFFFF, 0x100000000ul, 0x8000000000000000ul,
                                ALL_ONES};
        for (unsigned f = 0; f < ARRAY_LEN(fids); f++)
            fake_expect(fake_ecall(known[i].ext, fids[f], 1, 0, 0, 0, 0), SBI_ERR_NOT_SUPPORTED, 0);
    }
    assert_int_equal(fake_events + fake_starts + fake_fences + fake_xcall_runs, 0);
    assert_int_equal(csr_read(CSR_HVIP), 0);
    assert_int_equal(csr_read(CSR_VSTIMECMP), 0);
}

static void hot_calls_are_fast(void **state)
{
    (void)state;
    assert_false(fake_ecall(SBI_EXT_BASE, 0, 0, 0, 0, 0, 0).slow);
    assert_false(fake_ecall(SBI_EXT_TIME, 0, 0, 0, 0, 0, 0).slow);
    assert_false(fake_ecall(SBI_EXT_IPI, 0, 1, 0, 0, 0, 0).slow);
    assert_false(fake_ecall(SBI_EXT_RFENCE, 1, 1, 0, 0, 0, 0).slow);
    assert_true(fake_ecall(SBI_EXT_HSM, 2, 0, 0, 0, 0, 0).slow);
    /* the slow path answers them just as well */
    struct vcpu *v = &fake_vcpus[0];
    v->gpr[17] = SBI_EXT_BASE;
    v->gpr[16] = 0;
    v->pc = FAKE_ECALL_PC;
    assert_int_equal(sbi_dispatch_slow(v), EXIT_RESUME);
    assert_int_equal(v->gpr[10], 0);
    assert_int_equal(v->gpr[11], 0x03000000);
    assert_int_equal(v->pc, FAKE_ECALL_PC + 4);
}

/* --- BASE --- */

static unsigned firmware_calls;
static struct sbi_ret firmware(unsigned long ext, unsigned long fid, const unsigned long a[6])
{
    (void)a;
    firmware_calls++;
    assert_int_equal(ext, 0x10);
    switch (fid) {
    case 4:
        return (struct sbi_ret){0, 0x489};
    case 5:
        return (struct sbi_ret){0, (long)0x8000000000000007ul};
    case 6:
        return (struct sbi_ret){-2, 0x1234};
    default:
        fail_msg("BASE function %lu was asked of the firmware", fid);
    }
    return (struct sbi_ret){0};
}

static void base_versions(void **state)
{
    (void)state;
    fake_expect(fake_ecall(0x10, 0, 9, 9, 9, 9, 9), 0, 0x03000000);
    fake_expect(fake_ecall(0x10, 1, 9, 9, 9, 9, 9), 0, SBI_IMPL_TRAPLINE);
    fake_expect(fake_ecall(0x10, 2, 9, 9, 9, 9, 9), 0, SBI_IMPL_VERSION);
    assert_true(SBI_IMPL_TRAPLINE > 11); /* not one that is taken */
}

static void base_machine_ids(void **state)
{
    (void)state;
    fake_sbi = firmware;
    firmware_calls = 0;
    sbi_base_init();
    assert_int_equal(firmware_calls, 3);
    fake_expect(fake_ecall(0x10, 4, 0, 0, 0, 0, 0), 0, 0x489);
    fake_expect(fake_ecall(0x10, 5, 0, 0, 0, 0, 0), 0, 0x8000000000000007ul);
    fake_expect(fake_ecall(0x10, 6, 0, 0, 0, 0, 0), 0, 0); /* it failed: 0 is legal */
    assert_int_equal(firmware_calls, 3); /* guests do not reach it */
    base_versions(state);
}

static void base_probe(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        for (unsigned long id = all[i]->first; id <= all[i]->last; id++)
            fake_expect(fake_ecall(0x10, 3, id, 9, 9, 9, 9), 0, 1);
    }
    for (unsigned i = 0; i < ARRAY_LEN(unimplemented); i++)
        fake_expect(fake_ecall(0x10, 3, unimplemented[i], 9, 9, 9, 9), 0, 0);
}

/* --- TIME --- */

static void set_timer_with_sstc(void **state)
{
    static const uint64_t times[] = {0, 1, 0x123456789ABCDEFul, 0x8000000000000000ul, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(times); i++) {
        fake_expect(fake_ecall(SBI_EXT_TIME, 0, times[i], 9, 9, 9, 9), 0, 0);
        assert_int_equal(csr_read(CSR_VSTIMECMP), times[i]);
    }
    assert_int_equal(fake_timers, 0);
}

static void set_timer_without_sstc(void **state)
{
    (void)state;
    fake_guest.sstc = false;
    csr_write(CSR_VSTIMECMP, 77);
    fake_expect(fake_ecall(SBI_EXT_TIME, 0, ALL_ONES, 9, 9, 9, 9), 0, 0);
    assert_int_equal(fake_timers, 1);
    assert_int_equal(fake_timer, ALL_ONES);
    assert_int_equal(csr_read(CSR_VSTIMECMP), 77); /* which would trap there */
}

/* --- hart masks, and IPI --- */

static uint64_t signalled(void)
{
    uint64_t set = csr_read(CSR_HVIP) & HVIP_VSSIP ? BIT(fake_caller) : 0;

    for (unsigned i = 0; i < GUEST_MAX_VCPUS; i++)
        set |= fake_ssip[i] ? BIT(i) : 0;
    return set;
}

static void ipi_masks(void **state)
{
    static const struct {
        unsigned count;
        uint64_t mask, base;
        long error;
        uint64_t to;
    } c[] = {
        {4, 0x1, 0, 0, 0x1},
        {4, 0xF, 0, 0, 0xF},
        {4, 0xE, 0, 0, 0xE},
        {4, 0x5, 1, 0, 0xA},
        {4, 0x1, 3, 0, 0x8},
        /* -1: all, the mask is ignored */
        {4, 0, ALL_ONES, 0, 0xF},
        {4, ALL_ONES, ALL_ONES, 0, 0xF},
        {1, 0x10, ALL_ONES, 0, 0x1},
        {32, 0, ALL_ONES, 0, 0xFFFFFFFF},
        /* nobody, and the base need not be a hart then */
        {4, 0, 0, 0, 0},
        {4, 0, 3, 0, 0},
        {4, 0, 4, 0, 0},
        {4, 0, 64, 0, 0},
        {4, 0, 1000, 0, 0},
        {4, 0, 0x8000000000000000ul, 0, 0},
        {4, 0, ALL_ONES - 1, 0, 0},
        /* at the end and past it: an error, and nobody gets any */
        {4, 0x10, 0, -3, 0},
        {4, 0x1F, 0, -3, 0},
        {4, 0x8000000000000000ul, 0, -3, 0},
        {4, ALL_ONES, 0, -3, 0},
        {4, 0x1, 4, -3, 0},
        {4, 0x3, 3, -3, 0},
        {4, 0x9, 1, -3, 0},
        {1, 0x2, 0, -3, 0},
        {1, 0x1, 1, -3, 0},
        {32, 0x100000000ul, 0, -3, 0},
        {32, 0x80000000ul, 0, 0, 0x80000000},
        {32, 0x1, 31, 0, 0x80000000},
        {32, 0x3, 31, -3, 0},
        {32, 0x1, 32, -3, 0},
        {4, 0x1, 63, -3, 0},
        {4, 0x1, 64, -3, 0},
        {4, 0x1, 128, -3, 0},
        {4, 0x1, ALL_ONES - 1, -3, 0},
        {4, 0x4, ALL_ONES - 1, -3, 0},
        {4, ALL_ONES, 64, -3, 0},
        {4, 0x1, 0x100000000ul, -3, 0},
        {4, 0x1, 0x8000000000000000ul, -3, 0},
        /* bits that shifting would lose */
        {4, 0x8000000000000001ul, 1, -3, 0},
        {4, 0xC000000000000000ul, 2, -3, 0},
        {4, 0x4000000000000000ul, 3, -3, 0},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        fake_sbi_reset(c[i].count);
        fake_expect(fake_ecall(SBI_EXT_IPI, 0, c[i].mask, c[i].base, 9, 9, 9), c[i].error, 0);
        assert_int_equal(signalled(), c[i].to);
        assert_int_equal(fake_ssip[0], 0); /* its own: at once */
    }
}

static void ipi_from_another(void **state)
{
    (void)state;
    fake_caller = 2;
    csr_write(CSR_HVIP, HVIP_VSEIP);
    fake_expect(fake_ecall(SBI_EXT_IPI, 0, 0x7, 0, 9, 9, 9), 0, 0);
    assert_int_equal(signalled(), 0x7);
    assert_int_equal(fake_ssip[2], 0);
    assert_int_equal(csr_read(CSR_HVIP), HVIP_VSEIP | HVIP_VSSIP);
    assert_int_equal(fake_xcall_runs, 0);
}

static void ipi_not_to_the_stopped(void **state)
{
    (void)state;
    atomic_store(&fake_vcpus[1].hsm, HSM_STOPPED);
    atomic_store(&fake_vcpus[2].hsm, HSM_SUSPENDED);
    atomic_store(&fake_vcpus[3].hsm, HSM_START_PENDING);
    fake_expect(fake_ecall(SBI_EXT_IPI, 0, 0xE, 0, 9, 9, 9), 0, 0);
    assert_int_equal(signalled(), 0xC);
}

/* It gets the hart in the sender's place; the sender waits for its answer anyhow. */
static void ipi_to_one_that_waits_for_the_hart(void **state)
{
    (void)state;
    fake_yielded_to = NULL;
    fake_ready = &fake_vcpus[2].thread;
    fake_expect(fake_ecall(SBI_EXT_IPI, 0, 0xA, 0, 9, 9, 9), 0, 0);
    assert_null(fake_yielded_to);
    fake_expect(fake_ecall(SBI_EXT_IPI, 0, 0x4, 0, 9, 9, 9), 0, 0);
    assert_ptr_equal(fake_yielded_to, &fake_vcpus[2].thread);
    fake_ready = NULL;
}

static void hart_mask_leaves_the_set_alone_on_error(void **state)
{
    uint64_t set = 42;

    (void)state;
    assert_int_equal(sbi_hart_mask(&fake_guest, 0x10, 0, &set), SBI_ERR_INVALID_PARAM);
    assert_int_equal(set, 42);
    assert_int_equal(sbi_hart_mask(&fake_guest, 0x2, 1, &set), SBI_OK);
    assert_int_equal(set, 4);
}

/* --- SRST --- */

static void srst_types(void **state)
{
    static const struct {
        unsigned long type, reason;
        enum guest_event event;
    } good[] = {
        {0, 0, GUEST_SHUTDOWN},
        {1, 0, GUEST_REBOOT_COLD},
        {2, 0, GUEST_REBOOT_WARM},
        {0, 1, GUEST_SHUTDOWN},
        {1, 1, GUEST_REBOOT_COLD},
        /* both are 32 bits wide: the rest is not looked at */
        {0xFFFFFFFF00000001ul, 0x8000000000000001ul, GUEST_REBOOT_COLD},
    };
    static const struct {
        unsigned long type, reason;
    } bad[] = {
        {3, 0},          {4, 0},          {0x7FFFFFFF, 0},    {0x80000000, 0},    {0xEFFFFFFF, 0},
        {0xF0000000, 0}, {0xFFFFFFFF, 0}, {ALL_ONES, 0},      {0x100000003ul, 0}, {0, 2},
        {0, 0x7FFFFFFF}, {0, 0xDFFFFFFF}, {0, 0xE0000000},    {0, 0xEFFFFFFF},    {0, 0xF0000000},
        {0, 0xFFFFFFFF}, {1, ALL_ONES},   {2, 0x100000002ul},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        fake_sbi_reset(2);
        struct fake_result r = fake_ecall(SBI_EXT_SRST, 0, good[i].type, good[i].reason, 0, 0, 0);
        assert_int_equal(r.verdict, EXIT_STOP);
        assert_int_equal(fake_events, 1);
        assert_int_equal(fake_event, good[i].event);
        assert_int_equal(fake_reason, good[i].reason & 0xFFFFFFFF);
    }
    fake_sbi_reset(2);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        fake_expect(fake_ecall(SBI_EXT_SRST, 0, bad[i].type, bad[i].reason, 0, 0, 0),
                    SBI_ERR_INVALID_PARAM, 0);
    assert_int_equal(fake_events, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_extension_is_found, setup),
        cmocka_unit_test_setup(unknown_extensions, setup),
        cmocka_unit_test_setup(no_id_is_found_by_accident, setup),
        cmocka_unit_test_setup(unknown_functions, setup),
        cmocka_unit_test_setup(hot_calls_are_fast, setup),
        cmocka_unit_test_setup(base_versions, setup),
        cmocka_unit_test_setup(base_machine_ids, setup),
        cmocka_unit_test_setup(base_probe, setup),
        cmocka_unit_test_setup(set_timer_with_sstc, setup),
        cmocka_unit_test_setup(set_timer_without_sstc, setup),
        cmocka_unit_test_setup(ipi_masks, setup),
        cmocka_unit_test_setup(ipi_from_another, setup),
        cmocka_unit_test_setup(ipi_not_to_the_stopped, setup),
        cmocka_unit_test_setup(ipi_to_one_that_waits_for_the_hart, setup),
        cmocka_unit_test_setup(hart_mask_leaves_the_set_alone_on_error, setup),
        cmocka_unit_test_setup(srst_types, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
