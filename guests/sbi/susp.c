// SPDX-License-Identifier: BSD-2-Clause
// SUSP (chapter 13): suspend to RAM.
#include "sbi/spec.h"

#define TO_RAM 0ul

static struct sbi_ret suspend(uint64_t type, uint64_t address)
{
    return CALL(EXT_SUSP, 0, type, address, 0);
}

static void linger(void *arg)
{
    while (!*(volatile uint64_t *)arg)
        ;
}

SPEC_CHECK(EXT_SUSP, 0, susp_types)
{
    static const uint64_t types[] = {1,          2,          0x7FFFFFFF,    0x80000000,
                                     0x80000001, 0xFFFFFFFF, 1ul << 32 | 1, 1ul << 63 | 0x80000000};

    others_stop();
    for (unsigned i = 0; i < ARRAY_LEN(types); i++)
        check_error(suspend(types[i], (uint64_t)spec_started), SBI_INVALID_PARAM, "type %lx",
                    types[i]);
}

SPEC_CHECK(EXT_SUSP, 0, susp_addresses)
{
    if (!rt_trapline)
        return;
    others_stop();
    for (unsigned i = 0; i < spec_no_code_count; i++)
        check_error(suspend(TO_RAM, spec_no_code[i]), SBI_INVALID_ADDRESS, "address %lx",
                    spec_no_code[i]);
    check_error(suspend(TO_RAM, ram_end()), SBI_INVALID_ADDRESS, "RAM's end");
    check_error(suspend(TO_RAM, (uint64_t)spec_started + 1), SBI_INVALID_ADDRESS, "odd");
}

/* "requires all but the calling hart be in the HSM STOPPED state" */
SPEC_CHECK(EXT_SUSP, 0, susp_others_run)
{
    for (unsigned n = 1; n < rt_hart_count; n++) {
        volatile uint64_t end = 0;

        others_stop();
        check(hart_run(n, linger, (void *)&end), "hart %u does not start", n);
        check(hart_status_becomes(n, 0), "hart %u does not start", n);
        check_error(suspend(TO_RAM, (uint64_t)spec_started), SBI_DENIED, "hart %u runs", n);
        end = 1;
        check(hart_wait(n), "hart %u does not end", n);
    }
}

SPEC_CHECK(EXT_SUSP, 0, susp_to_ram)
{
    static const uint64_t types[] = {TO_RAM, 1ul << 32, 1ul << 63};
    static const uint64_t opaques[] = {0, 0x123456789ABCDEF0, ~0ul};

    if (!rt_trapline) /* on QEMU, OpenSBI's own test of it wakes up by its own timer */
        return;
    others_stop();
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        uint64_t at = rdtime() + usec(2000);
        long came;

        csr_set(sie, SIE_STIE);
        sbi_call(SBI_TIME, 0, at, 0, 0, 0, 0);
        came = spec_suspend(EXT_SUSP, 0, types[i], opaques[i]);
        check(came == 1, "type %lx: error %ld", types[i], came);
        check(rdtime() >= at, "woke early");
        check_arrival(harts[0].id, opaques[i]);
    }
}
