// SPDX-License-Identifier: BSD-2-Clause
// Chapter 3, Binary Encoding: ids that are none, and registers.
#include "sbi/spec.h"

static uint64_t random_state = 0x9E3779B97F4A7C15;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static bool is_listed(uint64_t ext)
{
    for (unsigned i = 0; i < spec_function_count; i++)
        if (spec_functions[i].ext == ext && ext != EXT_RULE)
            return true;
    return false;
}

/* Arguments with which no call of a listed extension would do harm, should an id be taken for one. */
static void check_none(uint64_t ext)
{
    if (is_listed(ext))
        return;
    check_error(CALL(ext, 0, 3, 0, 0), SBI_NOT_SUPPORTED, "extension %lx", ext);
    check_value(CALL(SBI_BASE, 3, ext), 0, "probe of extension %lx", ext);
}

/* Ids are 32 bits wide, sign-extended as the calling convention has it: with other upper halves, and
 * one bit off, they are not those of an extension. */
static void check_near(uint64_t ext)
{
    for (unsigned bit = 0; bit < 64; bit++)
        check_none(ext ^ 1ul << bit);
    check_none(ext | 0xFFFFFFFF00000000);
    check_none(ext + 1);
    check_none(ext - 1);
}

/* Chapters 21 to 23: experimental, vendor's (the low 24 bits are mvendorid's), the
 * implementation's (its id's). Trapline has none; what OpenSBI's platform has is not looked at. */
static void check_own_ranges(void)
{
    uint64_t vendor = CALL(SBI_BASE, 4).value & 0xFFFFFF, impl = CALL(SBI_BASE, 1).value & 0xFFFFFF;
    uint64_t ids[] = {0x08000000, 0x08FFFFFF, 0x09000000,        0x09000000 | vendor,
                      0x09FFFFFF, 0x0A000000, 0x0A000000 | impl, 0x0AFFFFFF};

    for (unsigned i = 0; i < ARRAY_LEN(ids); i++)
        check_none(ids[i]);
}

SPEC_CHECK(EXT_RULE, RULE_UNKNOWN_EXTENSION, unknown_extension)
{
    uint64_t last = EXT_RULE;

    for (uint64_t ext = 9; ext < 0x100; ext++) /* 9 to 15 are reserved legacy ids */
        check_none(ext);
    for (unsigned i = 0; i < spec_function_count; i++) {
        if (spec_functions[i].ext != last && spec_functions[i].ext != EXT_RULE)
            check_near(spec_functions[i].ext);
        last = spec_functions[i].ext;
    }
    for (unsigned i = 0; i < 1000; i++)
        check_none(i & 1 ? random_next() : random_next() >> 32);
    check_none(0x7FFFFFFF);
    check_none(0x80000000);
    check_none(0xFFFFFFFF80000000);
    check_none(0xFFFFFFFF);
    check_none(~0ul);
    if (rt_trapline)
        check_own_ranges();
}

static uint64_t functions_of(uint64_t ext)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < spec_function_count; i++)
        n += spec_functions[i].ext == ext;
    return n;
}

static void check_functions_past(uint64_t ext, uint64_t n)
{
    const uint64_t fids[] = {n,
                             n + 1,
                             n + 2,
                             31,
                             32,
                             63,
                             64,
                             255,
                             256,
                             0x7FFFFFFF,
                             0x80000000,
                             0xFFFFFFFF,
                             1ul << 32,
                             1ul << 63,
                             0xFFFFFFFF00000000,
                             ~0ul,
                             1ul << 40 | 1,
                             1ul << 32 | (n - 1)};

    for (unsigned i = 0; i < ARRAY_LEN(fids); i++)
        check_error(CALL(ext, fids[i], 3, 0, 0), SBI_NOT_SUPPORTED, "extension %lx, function %lx",
                    ext, fids[i]);
    for (unsigned i = 0; i < 50; i++) {
        uint64_t fid = random_next() | 0x10000;

        check_error(CALL(ext, fid, 3, 0, 0), SBI_NOT_SUPPORTED, "extension %lx, function %lx", ext,
                    fid);
    }
}

SPEC_CHECK(EXT_RULE, RULE_UNKNOWN_FUNCTION, unknown_function)
{
    uint64_t last = EXT_RULE;

    for (unsigned i = 0; i < spec_function_count; i++) {
        uint64_t ext = spec_functions[i].ext;

        if (ext != last && ext != EXT_RULE && ext > 8) /* legacy ids have no functions */
            check_functions_past(ext, functions_of(ext));
        last = ext;
    }
}

static void read_csrs(uint64_t *to)
{
    to[0] = csr_read(sstatus);
    to[1] = csr_read(sie);
    to[2] = csr_read(stvec);
    to[3] = csr_read(sscratch);
    to[4] = csr_read(sepc);
    to[5] = csr_read(scause);
    to[6] = csr_read(stval);
    to[7] = csr_read(satp);
    to[8] = csr_read(scounteren);
    to[9] = csr_read(fcsr);
}

/* Some of each sort: f8, f18, f27 are callee-saved in C, f0 and f28 temporary, f10 and f17 arguments. */
#define FLOATS(DO) DO(0) DO(8) DO(10) DO(17) DO(18) DO(27) DO(28) DO(31)

static void write_floats(uint64_t seed)
{
#define WRITE(n) __asm__ volatile("fmv.d.x f" #n ", %0" ::"r"(seed + n) : "f" #n);
    FLOATS(WRITE)
    __asm__ volatile("fsflags %0" ::"r"(seed & 31));
}

static uint64_t floats_changed(uint64_t seed)
{
    uint64_t sum = 0, f;

#define READ(n) \
    __asm__ volatile("fmv.x.d %0, f" #n : "=r"(f)); \
    sum |= f ^ (seed + n);
    FLOATS(READ)
    return sum;
}

/* One call of each kind: fast, slow, with memory, with an error, unknown. */
static void call_kind(unsigned kind)
{
    switch (kind) {
    case 0:
        CALL(SBI_BASE, 0);
        break;
    case 1:
        CALL(SBI_HSM, 2, harts[0].id);
        break;
    case 2:
        CALL(SBI_DBCN, 1, 8, (uint64_t)spec_pages, 0);
        break;
    case 3:
        CALL(SBI_HSM, 2, ~0ul);
        break;
    case 4:
        CALL(SBI_RFENCE, 1, 0, ~0ul, 0, 0);
        break;
    case 5:
        CALL(SBI_TIME, 0, ~0ul);
        break;
    default:
        CALL(0x12345678, 9);
    }
}

/* General registers are looked at in each call of all checks (call.c). */
SPEC_CHECK(EXT_RULE, RULE_REGISTERS, registers)
{
    uint64_t before[10], after[10];

    for (unsigned kind = 0; kind < 7; kind++) {
        write_floats(0x4010203040506070 + (kind << 20));
        csr_write(sepc, 0x123456 + kind * 2);
        csr_write(stval, 77 + kind);
        csr_write(scause, 5 + kind);
        read_csrs(before);
        call_kind(kind);
        uint64_t changed = floats_changed(0x4010203040506070 + (kind << 20));
        read_csrs(after);
        check(!changed, "floating-point registers after call %u: %lx", kind, changed);
        for (unsigned i = 0; i < ARRAY_LEN(before); i++)
            check(before[i] == after[i], "CSR %u after call %u: %lx, was %lx", i, kind, after[i],
                  before[i]);
    }
}
