// SPDX-License-Identifier: BSD-2-Clause
// CPPC (chapter 14): register ids are 32 bits wide.
#include "sbi/spec.h"

enum { PROBE, READ, READ_HI, WRITE };
enum { REGISTERS = 0x15, FIRST_READ_WRITE = 5 };
#define TRANSITION_LATENCY 0x80000000ul
#define HIGH (1ul << 63 | 1ul << 32)

static void check_reserved(uint64_t fid)
{
    static const uint64_t ids[] = {REGISTERS,  0x7FFFFFFF,       0x80000001,
                                   0xFFFFFFFF, HIGH | REGISTERS, ~0ul};

    for (unsigned i = 0; i < ARRAY_LEN(ids); i++)
        check_error(CALL(EXT_CPPC, fid, ids[i], 0), SBI_INVALID_PARAM, "register %lx", ids[i]);
}

static bool there(uint64_t id) { return CALL(EXT_CPPC, PROBE, id).value != 0; }

SPEC_CHECK(EXT_CPPC, PROBE, cppc_probe)
{
    check_reserved(PROBE);
    for (uint64_t id = 0; id <= REGISTERS; id++) {
        uint64_t reg = id == REGISTERS ? TRANSITION_LATENCY : id;
        struct sbi_ret r = CALL(EXT_CPPC, PROBE, reg);

        check(r.error == SBI_OK && (!r.value || r.value == 32 || r.value == 64),
              "register %lx: error %ld, width %lx", reg, r.error, r.value);
        check_value(CALL(EXT_CPPC, PROBE, reg | HIGH), r.value, "register %lx, upper bits set",
                    reg);
    }
}

static void check_read(uint64_t fid)
{
    check_reserved(fid);
    for (uint64_t id = 0; id < REGISTERS; id++) {
        struct sbi_ret r = CALL(EXT_CPPC, fid, id);

        check_errors(r, there(id) ? ERR(SBI_OK) | ERR(SBI_DENIED) : ERR(SBI_NOT_SUPPORTED),
                     "register %lx", id);
        check(fid != READ_HI || r.error || !r.value, "register %lx: high bits %lx", id, r.value);
    }
}

SPEC_CHECK(EXT_CPPC, READ, cppc_read) { check_read(READ); }
SPEC_CHECK(EXT_CPPC, READ_HI, cppc_read_hi) { check_read(READ_HI); }

SPEC_CHECK(EXT_CPPC, WRITE, cppc_write)
{
    check_reserved(WRITE);
    for (uint64_t id = 0; id < FIRST_READ_WRITE; id++)
        check_error(CALL(EXT_CPPC, WRITE, id, 1), there(id) ? SBI_DENIED : SBI_NOT_SUPPORTED,
                    "read-only register %lx", id);
}
