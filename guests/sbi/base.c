// SPDX-License-Identifier: BSD-2-Clause
// BASE (chapter 4): all functions succeed.
#include "sbi/spec.h"

SPEC_CHECK(SBI_BASE, 0, base_spec_version)
{
    struct sbi_ret r = CALL(SBI_BASE, 0);

    check(r.error == SBI_OK, "error %ld", r.error);
    check(!(r.value >> 31), "bits 31 and up must be 0: %lx", r.value);
    check(r.value >> 24 >= 2, "version %lx", r.value);
    if (rt_trapline)
        check_value(r, 0x03000000, "version");
}

SPEC_CHECK(SBI_BASE, 1, base_impl_id)
{
    struct sbi_ret r = CALL(SBI_BASE, 1);

    check(r.error == SBI_OK, "error %ld", r.error);
    if (rt_trapline)
        check_value(r, TRAPLINE_IMPL_ID, "implementation");
    check_value(CALL(SBI_BASE, 1), r.value, "asked again");
}

SPEC_CHECK(SBI_BASE, 2, base_impl_version)
{
    struct sbi_ret r = CALL(SBI_BASE, 2);

    check(r.error == SBI_OK, "error %ld", r.error);
    check_value(CALL(SBI_BASE, 2), r.value, "asked again");
}

/* "1 if it is available unless defined as any other non-zero value by the implementation". That
 * what it finds is there, and nothing else, RULE.unknown_extension and each function's checks say. */
SPEC_CHECK(SBI_BASE, 3, base_probe)
{
    static const uint64_t promised[] = {SBI_BASE, SBI_TIME, SBI_IPI,  SBI_RFENCE,
                                        SBI_HSM,  SBI_SRST, EXT_PMU,  SBI_DBCN,
                                        EXT_SUSP, EXT_SSE,  EXT_FWFT, EXT_STA};

    for (unsigned i = 0; i < ARRAY_LEN(promised) && rt_trapline; i++)
        check_value(CALL(SBI_BASE, 3, promised[i]), 1, "extension %lx", promised[i]);
    for (uint64_t ext = 0; ext <= 8 && rt_trapline; ext++)
        check_value(CALL(SBI_BASE, 3, ext), 1, "legacy extension %lx", ext);
    for (uint64_t ext = 9; ext < 16; ext++)
        check_value(CALL(SBI_BASE, 3, ext), 0, "reserved extension %lx", ext);
    for (unsigned i = 0; i < spec_function_count; i++)
        if (spec_functions[i].ext != EXT_RULE)
            check(CALL(SBI_BASE, 3, spec_functions[i].ext).error == SBI_OK, "extension %lx: error",
                  spec_functions[i].ext);
    /* the parameter is a long: all its bits count */
    check_value(CALL(SBI_BASE, 3, 0x100000000 | SBI_TIME), 0, "upper bits set");
    check_value(CALL(SBI_BASE, 3, 1ul << 63 | SBI_BASE), 0, "the most significant bit set");
}

/* mvendorid is 32 bits wide (privileged architecture, Machine Vendor ID Register). */
SPEC_CHECK(SBI_BASE, 4, base_mvendorid)
{
    struct sbi_ret r = CALL(SBI_BASE, 4);

    check(r.error == SBI_OK, "error %ld", r.error);
    check(!(r.value >> 32), "no value of mvendorid: %lx", r.value);
    check_value(CALL(SBI_BASE, 4), r.value, "asked again");
}

SPEC_CHECK(SBI_BASE, 5, base_marchid)
{
    struct sbi_ret r = CALL(SBI_BASE, 5);

    check(r.error == SBI_OK, "error %ld", r.error);
    check_value(CALL(SBI_BASE, 5), r.value, "asked again");
}

SPEC_CHECK(SBI_BASE, 6, base_mimpid)
{
    struct sbi_ret r = CALL(SBI_BASE, 6);

    check(r.error == SBI_OK, "error %ld", r.error);
    check_value(CALL(SBI_BASE, 6), r.value, "asked again");
}
