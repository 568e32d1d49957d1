// SPDX-License-Identifier: BSD-2-Clause
// SRST (chapter 10): what is refused. What is not, does not return: end=off, msb, reboot, warm.
#include "sbi/spec.h"

#define HIGH (1ul << 63 | 1ul << 32)

static void bad(uint64_t type, uint64_t reason)
{
    check_error(CALL(SBI_SRST, 0, type, reason), SBI_INVALID_PARAM, "type %lx, reason %lx", type,
                reason);
}

SPEC_CHECK(SBI_SRST, 0, srst_types)
{
    static const uint64_t types[] = {3,          4,          0x7FFFFFFF, 0x80000000, 0xDFFFFFFF,
                                     0xE0000000, 0xEFFFFFFF, 0xF0000000, 0xFFFFFFFF};

    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        bad(types[i], 0);
        bad(types[i], 1);
        bad(types[i] | HIGH, 0);
        bad(types[i], 0xE0000000);
    }
}

/* Reserved reasons, and those of implementations and vendors that Trapline does not know. OpenSBI takes
 * any reason, which would end this. */
SPEC_CHECK(SBI_SRST, 0, srst_reasons)
{
    static const uint64_t reasons[] = {2,          0x7FFFFFFF, 0x80000000, 0xDFFFFFFF,
                                       0xE0000000, 0xEFFFFFFF, 0xF0000000, 0xFFFFFFFF};

    for (unsigned i = 0; i < ARRAY_LEN(reasons) && rt_trapline; i++)
        for (uint64_t type = 0; type < 3; type++) {
            bad(type, reasons[i]);
            bad(type | HIGH, reasons[i] | HIGH);
        }
}
