// SPDX-License-Identifier: BSD-2-Clause
// HSM: start, stop, status, suspend; every error of SBI 3.0 chapter 9.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/act.c vcpu/sbi/base.c vcpu/sbi/dbcn.c vcpu/sbi/fwft.c vcpu/sbi/hsm.c vcpu/sbi/ipi.c vcpu/sbi/legacy.c vcpu/sbi/pmu.c vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/rfence.c vcpu/sbi/sbi.c vcpu/sbi/srst.c vcpu/sbi/sta.c vcpu/sta.c vcpu/sbi/sse.c vcpu/sse.c vcpu/sbi/susp.c vcpu/sbi/time.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sbi.h"

#include "vcpu/sbi/hsm.h"

#define ALL_ONES (~0ul)
#define HSM(fid, a0, a1, a2) fake_ecall(SBI_EXT_HSM, fid, a0, a1, a2, 9, 9)

static int setup(void **state)
{
    (void)state;
    fake_sbi_reset(4);
    for (unsigned i = 1; i < 4; i++)
        atomic_store(&fake_vcpus[i].hsm, HSM_STOPPED);
    csr_write(CSR_VSATP, 0x8000000000081234ul);
    csr_write(CSR_VSSTATUS, SSTATUS_SIE | SSTATUS_SUM);
    csr_write(CSR_VSIE, 0x222);
    return 0;
}

static void start(void **state)
{
    (void)state;
    fake_expect(HSM(0, 2, FAKE_RAM + 0x100, 0xFEDCBA9876543210ul), 0, 0);
    assert_int_equal(fake_starts, 1);
    assert_ptr_equal(fake_started, &fake_vcpus[2]);
    assert_int_equal(fake_start_pc, FAKE_RAM + 0x100);
    assert_int_equal(fake_start_arg, 0xFEDCBA9876543210ul);
    /* again, while it is being started */
    fake_expect(HSM(0, 2, FAKE_RAM + 0x100, 0), SBI_ERR_ALREADY_AVAILABLE, 0);
    assert_int_equal(fake_starts, 1);
}

static void start_in_each_state(void **state)
{
    (void)state;
    for (uint32_t s = HSM_STARTED; s <= HSM_RESUME_PENDING; s++) {
        atomic_store(&fake_vcpus[1].hsm, s);
        fake_expect(HSM(0, 1, FAKE_RAM, 0), s == HSM_STOPPED ? 0 : SBI_ERR_ALREADY_AVAILABLE, 0);
    }
    assert_int_equal(fake_starts, 1);
    fake_expect(HSM(0, 0, FAKE_RAM, 0), SBI_ERR_ALREADY_AVAILABLE, 0); /* itself */
}

/* A vCPU that crashed stays as it is: its VM is about to be stopped. */
static void start_of_crashed(void **state)
{
    (void)state;
    fake_vcpus[1].stop_reason = "a load that nothing handles";
    fake_expect(HSM(0, 1, FAKE_RAM, 0), SBI_ERR_FAILED, 0);
    assert_int_equal(fake_starts, 0);
    fake_vcpus[1].stop_reason = NULL;
}

static void start_of_no_hart(void **state)
{
    static const uint64_t bad[] = {
        4, 5, 31, 32, 64, 0x80000001, 0x100000001ul, 0x8000000000000001ul, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        fake_expect(HSM(0, bad[i], FAKE_RAM, 0), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(HSM(2, bad[i], 0, 0), SBI_ERR_INVALID_PARAM, 0);
    }
    assert_int_equal(fake_starts, 0);
}

static const uint64_t bad_addresses[] = {
    0,
    1,
    0x1000,
    0x10000000 /* a device */,
    FAKE_RAM - 2,
    FAKE_RAM + 1,
    FAKE_RAM + 0x101,
    FAKE_RAM + FAKE_RAM_SIZE - 1,
    FAKE_RAM + FAKE_RAM_SIZE,
    FAKE_RAM + 0x100000000ul,
    FAKE_RAM | 0x8000000000000000ul,
    0xFFFFFFFF00000000ul | FAKE_RAM,
    ALL_ONES - 1,
    ALL_ONES,
};
static const uint64_t good_addresses[] = {
    FAKE_RAM,
    FAKE_RAM + 2,
    FAKE_RAM + 0xFFE,
    FAKE_RAM + FAKE_RAM_SIZE - 2,
};

static void start_addresses(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad_addresses); i++)
        fake_expect(HSM(0, 1, bad_addresses[i], 0), SBI_ERR_INVALID_ADDRESS, 0);
    assert_int_equal(fake_starts, 0);
    for (unsigned i = 0; i < ARRAY_LEN(good_addresses); i++) {
        atomic_store(&fake_vcpus[1].hsm, HSM_STOPPED);
        fake_expect(HSM(0, 1, good_addresses[i], 0), 0, 0);
        assert_int_equal(fake_start_pc, good_addresses[i]);
    }
}

static void start_that_fails(void **state)
{
    (void)state;
    fake_start_result = -ENOMEM;
    fake_expect(HSM(0, 1, FAKE_RAM, 0), SBI_ERR_FAILED, 0);
}

static void status(void **state)
{
    (void)state;
    for (uint32_t s = HSM_STARTED; s <= HSM_RESUME_PENDING; s++) {
        atomic_store(&fake_vcpus[3].hsm, s);
        fake_expect(HSM(2, 3, 0, 0), 0, s);
    }
    fake_expect(HSM(2, 0, 0, 0), 0, HSM_STARTED);
}

static void stop(void **state)
{
    (void)state;
    atomic_store(&fake_vcpus[3].hsm, HSM_STARTED);
    struct fake_result r = HSM(1, 9, 9, 9);
    assert_int_equal(r.verdict, EXIT_BLOCK);
    assert_int_equal(atomic_load(&fake_vcpus[0].hsm), HSM_STOPPED);
    assert_int_equal(fake_events, 0);
    assert_false(fake_vcpus[0].in_wfi); /* an interrupt is no reason to go on */
    assert_false(hsm_resume(&fake_vcpus[0]));
    assert_int_equal(atomic_load(&fake_vcpus[0].hsm), HSM_STOPPED);
}

static void stop_of_the_last(void **state)
{
    (void)state;
    struct fake_result r = HSM(1, 9, 9, 9);
    assert_int_equal(r.verdict, EXIT_STOP);
    assert_int_equal(fake_events, 1);
    assert_int_equal(fake_event, GUEST_SHUTDOWN);
    assert_int_equal(fake_reason, 0);
}

/* Any state but STOPPED is somebody who may still start others. */
static void stop_while_another_is_in_between(void **state)
{
    (void)state;
    for (uint32_t s = HSM_STARTED; s <= HSM_RESUME_PENDING; s++) {
        atomic_store(&fake_vcpus[0].hsm, HSM_STARTED);
        atomic_store(&fake_vcpus[3].hsm, s);
        struct fake_result r = HSM(1, 0, 0, 0);
        assert_int_equal(r.verdict, s == HSM_STOPPED ? EXIT_STOP : EXIT_BLOCK);
    }
}

static void check_waits(struct fake_result r)
{
    struct vcpu *v = &fake_vcpus[0];

    assert_int_equal(r.verdict, EXIT_BLOCK);
    assert_int_equal(atomic_load(&v->hsm), HSM_SUSPENDED);
    assert_true(v->in_wfi);
    uint64_t pc = v->pc;
    assert_true(hsm_resume(v));
    assert_int_equal(atomic_load(&v->hsm), HSM_STARTED);
    assert_false(v->in_wfi);
    assert_false(hsm_resume(v)); /* once */
    assert_int_equal(v->pc, pc);
    assert_int_equal(v->gpr[10], r.error);
    assert_int_equal(v->gpr[11], r.value);
    assert_int_equal(csr_read(CSR_VSIE), 0x222);
}

static void suspend_retentive(void **state)
{
    /* resume_addr is unused; the type is 32 bits wide */
    static const uint64_t types[] = {0, 0x100000000ul, 0xFFFFFFFF00000000ul};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        struct fake_result r = HSM(3, types[i], 1, 0x77);
        assert_int_equal(r.error, 0);
        assert_int_equal(r.value, 0);
        assert_int_equal(fake_vcpus[0].pc, FAKE_ECALL_PC + 4);
        check_waits(r);
        assert_int_equal(csr_read(CSR_VSATP), 0x8000000000081234ul);
        assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SIE | SSTATUS_SUM);
    }
}

static void suspend_non_retentive(void **state)
{
    static const uint64_t types[] = {0x80000000ul, 0xFFFFFFFF80000000ul, 0x180000000ul};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        setup(state);
        fake_caller = 3;
        fake_sbi_load(0, -1);
        fake_sbi_load(3, 0);
        atomic_store(&fake_vcpus[3].hsm, HSM_STARTED);
        struct fake_result r = HSM(3, types[i], FAKE_RAM + 0x200, 0xABCDEF0123456789ul);
        assert_int_equal(r.verdict, EXIT_BLOCK);
        assert_int_equal(r.error, 3); /* a0: the hart id */
        assert_int_equal(r.value, 0xABCDEF0123456789ul);
        assert_int_equal(fake_vcpus[3].pc, FAKE_RAM + 0x200);
        assert_int_equal(csr_read(CSR_VSATP), 0);
        assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SUM);
        assert_int_equal(csr_read(CSR_VSIE), 0x222); /* says what resumes it */
        assert_int_equal(atomic_load(&fake_vcpus[3].hsm), HSM_SUSPENDED);
        assert_true(hsm_resume(&fake_vcpus[3]));
        assert_int_equal(fake_vcpus[3].pc, FAKE_RAM + 0x200);
    }
}

static void check_goes_on(void)
{
    assert_int_equal(atomic_load(&fake_vcpus[0].hsm), HSM_STARTED);
    assert_false(fake_vcpus[0].in_wfi);
    assert_int_equal(csr_read(CSR_VSATP), 0x8000000000081234ul);
    assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SIE | SSTATUS_SUM);
}

/* Reserved, and platforms' own that nobody implements. */
static void suspend_types(void **state)
{
    static const uint64_t bad[] = {1,          2,          0x0FFFFFFF,   0x10000000,
                                   0x7FFFFFFF, 0x80000001, 0x8FFFFFFF,   0x90000000,
                                   0xFFFFFFFF, ALL_ONES,   0x100000001ul};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        fake_expect(HSM(3, bad[i], FAKE_RAM, 0), SBI_ERR_INVALID_PARAM, 0);
    check_goes_on();
}

static void suspend_addresses(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad_addresses); i++)
        fake_expect(HSM(3, 0x80000000, bad_addresses[i], 0), SBI_ERR_INVALID_ADDRESS, 0);
    check_goes_on();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(start, setup),
        cmocka_unit_test_setup(start_in_each_state, setup),
        cmocka_unit_test_setup(start_of_crashed, setup),
        cmocka_unit_test_setup(start_of_no_hart, setup),
        cmocka_unit_test_setup(start_addresses, setup),
        cmocka_unit_test_setup(start_that_fails, setup),
        cmocka_unit_test_setup(status, setup),
        cmocka_unit_test_setup(stop, setup),
        cmocka_unit_test_setup(stop_of_the_last, setup),
        cmocka_unit_test_setup(stop_while_another_is_in_between, setup),
        cmocka_unit_test_setup(suspend_retentive, setup),
        cmocka_unit_test_setup(suspend_non_retentive, setup),
        cmocka_unit_test_setup(suspend_types, setup),
        cmocka_unit_test_setup(suspend_addresses, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
