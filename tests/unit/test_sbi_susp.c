// SPDX-License-Identifier: BSD-2-Clause
// SUSP: suspend to RAM, and each of its errors.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/act.c vcpu/sbi/base.c vcpu/sbi/dbcn.c vcpu/sbi/fwft.c vcpu/sbi/hsm.c vcpu/sbi/ipi.c vcpu/sbi/legacy.c vcpu/sbi/pmu.c vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/rfence.c vcpu/sbi/sbi.c vcpu/sbi/srst.c vcpu/sbi/sta.c vcpu/sta.c vcpu/sbi/sse.c vcpu/sse.c vcpu/sbi/susp.c vcpu/sbi/time.c
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sbi.h"
#include "vcpu/sbi/hsm.h"

#define ALL_ONES (~0ul)
#define SUSPEND(type, address, opaque) fake_ecall(SBI_EXT_SUSP, 0, type, address, opaque, 9, 9)

static int setup(void **state)
{
    (void)state;
    fake_sbi_reset(3);
    atomic_store(&fake_vcpus[1].hsm, HSM_STOPPED);
    atomic_store(&fake_vcpus[2].hsm, HSM_STOPPED);
    csr_write(CSR_VSATP, 0x8000000000081234ul);
    csr_write(CSR_VSSTATUS, SSTATUS_SIE | SSTATUS_SUM);
    csr_write(CSR_VSIE, 0x222);
    return 0;
}

static void awake(void)
{
    assert_int_equal(atomic_load(&fake_vcpus[fake_caller].hsm), HSM_STARTED);
    assert_false(fake_vcpus[fake_caller].in_wfi);
    assert_int_equal(csr_read(CSR_VSATP), 0x8000000000081234ul);
    assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SIE | SSTATUS_SUM);
}

static void sleeps_and_wakes(void **state)
{
    (void)state;
    struct fake_result r = SUSPEND(0, FAKE_RAM + 0x102, 0xFEDCBA9876543210ul);
    assert_int_equal(r.verdict, EXIT_BLOCK);
    assert_int_equal(atomic_load(&fake_vcpus[0].hsm), HSM_SUSPENDED);
    assert_true(fake_vcpus[0].in_wfi);
    assert_int_equal(r.error, 0); /* a0: the hart's id */
    assert_int_equal(r.value, 0xFEDCBA9876543210ul);
    assert_int_equal(fake_vcpus[0].pc, FAKE_RAM + 0x102);
    assert_int_equal(csr_read(CSR_VSATP), 0);
    assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SUM);
    assert_int_equal(csr_read(CSR_VSIE), 0x222); /* what may wake it */
    assert_int_equal(fake_events, 0);
    assert_true(hsm_resume(&fake_vcpus[0]));
    assert_int_equal(atomic_load(&fake_vcpus[0].hsm), HSM_STARTED);
    assert_false(fake_vcpus[0].in_wfi);
}

static void any_hart_may(void **state)
{
    (void)state;
    atomic_store(&fake_vcpus[0].hsm, HSM_STOPPED);
    atomic_store(&fake_vcpus[2].hsm, HSM_STARTED);
    fake_caller = 2;
    struct fake_result r = SUSPEND(0x8000000000000000ul, FAKE_RAM, 7); /* the type has 32 bits */
    assert_int_equal(r.verdict, EXIT_BLOCK);
    assert_int_equal(r.error, 2);
    assert_int_equal(r.value, 7);
}

static void others_must_be_stopped(void **state)
{
    (void)state;
    for (uint32_t s = HSM_STARTED; s <= HSM_RESUME_PENDING; s++) {
        if (s == HSM_STOPPED)
            continue;
        atomic_store(&fake_vcpus[2].hsm, s);
        fake_expect(SUSPEND(0, FAKE_RAM, 0), SBI_ERR_DENIED, 0);
        awake();
    }
}

static void types(void **state)
{
    static const unsigned long bad[] = {1,          2,          0x7FFFFFFF,    0x80000000,
                                        0x80000001, 0xFFFFFFFF, 0x100000001ul, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        fake_expect(SUSPEND(bad[i], FAKE_RAM, 0), SBI_ERR_INVALID_PARAM, 0);
    awake();
}

static void addresses(void **state)
{
    static const unsigned long bad[] = {
        0,
        1,
        0x10000000,
        FAKE_RAM - 2,
        FAKE_RAM + 1,
        FAKE_RAM + FAKE_RAM_SIZE,
        FAKE_RAM | 0x8000000000000000ul,
        ALL_ONES - 1,
        ALL_ONES,
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        fake_expect(SUSPEND(0, bad[i], 0), SBI_ERR_INVALID_ADDRESS, 0);
    awake();
}

static void functions(void **state)
{
    static const unsigned long fids[] = {1, 2, 0x80000000, 0x100000000ul, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(fids); i++)
        fake_expect(fake_ecall(SBI_EXT_SUSP, fids[i], 0, FAKE_RAM, 0, 9, 9), SBI_ERR_NOT_SUPPORTED,
                    0);
    awake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sleeps_and_wakes, setup),
        cmocka_unit_test_setup(any_hart_may, setup),
        cmocka_unit_test_setup(others_must_be_stopped, setup),
        cmocka_unit_test_setup(types, setup),
        cmocka_unit_test_setup(addresses, setup),
        cmocka_unit_test_setup(functions, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
