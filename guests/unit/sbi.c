// SPDX-License-Identifier: BSD-2-Clause
// SBI BASE, unknown extensions and functions, legacy calls, the debug console.
#include "unit/unit.h"

static struct sbi_ret base(uint64_t fid, uint64_t arg)
{
    return sbi_call(SBI_BASE, fid, arg, 0, 0, 0, 0);
}

UNIT_CASE(sbi_base, 0)
{
    for (unsigned fid = 0; fid <= 6; fid++)
        CHECK_SBI(base(fid, SBI_TIME), SBI_OK);
    CHECK(base(0, 0).value >= 0x01000000, "specification version %lx", base(0, 0).value);
    CHECK_SBI(base(7, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(base(~0ul, 0), SBI_NOT_SUPPORTED);
}

UNIT_CASE(sbi_probe, 0)
{
    static const uint64_t there[] = {SBI_BASE, SBI_TIME, SBI_IPI, SBI_RFENCE,
                                     SBI_HSM,  SBI_SRST, SBI_DBCN};
    static const uint64_t not_there[] = {0x0a000000, 0x08ffffff, 0x12345678, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_LEN(there); i++)
        CHECK(base(3, there[i]).value != 0, "%lx is missing", there[i]);
    for (unsigned i = 0; i < ARRAY_LEN(not_there); i++)
        CHECK(base(3, not_there[i]).value == 0, "%lx is there", not_there[i]);
}

UNIT_CASE(sbi_unknown, 0)
{
    static const uint64_t ext[] = {0x11, 0x0fffffff, 0x12345678, 0x7fffffff, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_LEN(ext); i++)
        CHECK(sbi_call(ext[i], 0, 0, 0, 0, 0, 0).error == SBI_NOT_SUPPORTED, "%lx", ext[i]);
    CHECK_SBI(sbi_call(SBI_TIME, 1, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(sbi_call(SBI_IPI, 1, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(sbi_call(SBI_RFENCE, 99, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(sbi_call(SBI_HSM, 99, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(sbi_call(SBI_SRST, 1, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(sbi_call(SBI_DBCN, 99, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
}

/* The registers that a call does not return in are kept. */
UNIT_CASE(sbi_keeps_registers, 0)
{
    uint64_t bad;

    __asm__ volatile("li a7, 0x10\n li a6, 0\n li a2, 12\n li a3, 13\n li a4, 14\n li a5, 15\n"
                     "li t0, 25\n li t1, 26\n li t2, 27\n li t3, 28\n li t4, 29\n li t5, 30\n"
                     "li t6, 31\n ecall\n"
                     "xori a2, a2, 12\n xori a3, a3, 13\n xori a4, a4, 14\n xori a5, a5, 15\n"
                     "xori t0, t0, 25\n xori t1, t1, 26\n xori t2, t2, 27\n xori t3, t3, 28\n"
                     "xori t4, t4, 29\n xori t5, t5, 30\n xori t6, t6, 31\n xori a7, a7, 0x10\n"
                     "or %0, a2, a3\n or %0, %0, a4\n or %0, %0, a5\n or %0, %0, t0\n"
                     "or %0, %0, t1\n or %0, %0, t2\n or %0, %0, t3\n or %0, %0, t4\n"
                     "or %0, %0, t5\n or %0, %0, t6\n or %0, %0, a6\n or %0, %0, a7\n"
                     : "=&r"(bad)
                     :
                     : "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4",
                       "t5", "t6", "memory");
    CHECK_EQ(bad, 0);
}

UNIT_CASE(sbi_srst_bad, 0)
{
    CHECK_SBI(sbi_call(SBI_SRST, 0, 3, 0, 0, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(sbi_call(SBI_SRST, 0, 0xdfffffff, 0, 0, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(sbi_call(SBI_SRST, 0, 0, 2, 0, 0, 0), SBI_INVALID_PARAM);
}

UNIT_CASE(sbi_legacy, UNIT_TRAPLINE)
{
    uint64_t mask = 1, end = rt_patience();

    CHECK_EQ(sbi_call(1, 0, '\n', 0, 0, 0, 0).error, 0); /* putchar */
    CHECK_EQ(sbi_call(2, 0, 0, 0, 0, 0, 0).error, -1);   /* getchar: nothing there */
    CHECK_EQ(sbi_call(3, 0, 0, 0, 0, 0, 0).error, 0);    /* clear_ipi */
    CHECK_EQ(sbi_call(4, 0, (uint64_t)&mask, 0, 0, 0, 0).error, 0); /* send_ipi: to hart 0 */
    while (!(csr_read(sip) & SIE_SSIE))
        CHECK(rdtime() < end, "no IPI");
    CHECK_EQ(sbi_call(5, 0, (uint64_t)&mask, 0, 0, 0, 0).error, 0); /* remote_fence_i */
    CHECK_EQ(sbi_call(6, 0, (uint64_t)&mask, 0, 0x1000, 0, 0).error, 0);
    CHECK_EQ(sbi_call(0, 0, 0, 0, 0, 0, 0).error, 0); /* set_timer: the past */
    while (!(csr_read(sip) & SIE_STIE))
        CHECK(rdtime() < end, "no timer");
}

/* The mask is in the caller's memory, read as the caller would: a bad address ends in an error or, as
 * OpenSBI does it, in the access's own fault. */
UNIT_CASE(sbi_legacy_bad_mask_address, UNIT_TRAPLINE)
{
    static const uint64_t where[] = {1, ~0ul, 0x10000000};

    for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
        trap_begin();
        long error = sbi_call(4, 0, where[i], 0, 0, 0, 0).error;
        struct trap_record t = trap_end();

        CHECK(t.count ? t.cause == CAUSE_LOAD_ACCESS && t.tval - where[i] < 8 : error != 0,
              "%lx: error %ld, %u traps, cause %lu, stval %lx", where[i], error, t.count, t.cause,
              t.tval);
    }
    CHECK_EQ(csr_read(sip) & SIE_SSIE, 0);
}

UNIT_CASE(dbcn_write, 0)
{
    static const char text[] = "dbcn: hello\n";
    uint64_t left = sizeof(text) - 1, at = (uint64_t)text;

    while (left) {
        struct sbi_ret r = sbi_call(SBI_DBCN, 0, left, at, 0, 0, 0);

        CHECK_EQ(r.error, 0);
        CHECK(r.value <= left, "wrote %lu of %lu", r.value, left);
        left -= r.value;
        at += r.value;
    }
    CHECK_SBI(sbi_call(SBI_DBCN, 0, 0, (uint64_t)text, 0, 0, 0), SBI_OK);
    CHECK_SBI(sbi_call(SBI_DBCN, 2, '\n', 0, 0, 0, 0), SBI_OK);
}

UNIT_CASE(dbcn_read, 0)
{
    char buffer[8];
    struct sbi_ret r = sbi_call(SBI_DBCN, 1, sizeof(buffer), (uint64_t)buffer, 0, 0, 0);

    CHECK_EQ(r.error, 0);
    CHECK(r.value <= sizeof(buffer), "read %lu", r.value);
}

UNIT_CASE(dbcn_bad, UNIT_TRAPLINE)
{
    uint64_t end = rt_ram_base + rt_ram_size;

    for (unsigned fid = 0; fid < 2; fid++) {
        CHECK_SBI(sbi_call(SBI_DBCN, fid, 8, 0x10000000, 0, 0, 0), SBI_INVALID_PARAM);
        CHECK_SBI(sbi_call(SBI_DBCN, fid, 8, end, 0, 0, 0), SBI_INVALID_PARAM);
        CHECK_SBI(sbi_call(SBI_DBCN, fid, 8, end - 4, 0, 0, 0), SBI_INVALID_PARAM);
        CHECK_SBI(sbi_call(SBI_DBCN, fid, ~0ul, rt_ram_base, 0, 0, 0), SBI_INVALID_PARAM);
        CHECK_SBI(sbi_call(SBI_DBCN, fid, 8, rt_ram_base, 1, 0, 0), SBI_INVALID_PARAM);
    }
}
