// SPDX-License-Identifier: BSD-2-Clause
// System suspend (SBI SUSP): to RAM and back, and its errors. OpenSBI has it only where the platform
// can do it, so most of this is for Trapline.
#include "unit/unit.h"

#define SBI_SUSP 0x53555350u

static struct sbi_ret suspend(uint64_t type, uint64_t address, uint64_t opaque)
{
    return sbi_call(SBI_SUSP, 0, type, address, opaque, 0, 0);
}

UNIT_CASE(susp_errors, UNIT_TRAPLINE)
{
    CHECK(sbi_call(SBI_BASE, 3, SBI_SUSP, 0, 0, 0, 0).value, "is missing");
    CHECK_SBI(sbi_call(SBI_SUSP, 1, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(suspend(1, (uint64_t)image_start, 0), SBI_INVALID_PARAM);
    CHECK_SBI(suspend(0x80000000, (uint64_t)image_start, 0), SBI_INVALID_PARAM);
    CHECK_SBI(suspend(0, 0x10000000, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(suspend(0, (uint64_t)image_start + 1, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(suspend(0, rt_ram_base + rt_ram_size, 0), SBI_INVALID_ADDRESS);
}

static void spin(void *arg)
{
    while (!*(volatile uint64_t *)arg)
        ;
}

UNIT_CASE(susp_others_run, UNIT_TRAPLINE | UNIT_SMP)
{
    uint64_t stop = 0;

    CHECK(hart_run(1, spin, &stop), "hart did not start");
    long error = suspend(0, (uint64_t)image_start, 0).error;
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    CHECK(hart_wait(1), "hart does not end");
    CHECK_EQ(error, SBI_DENIED);
}

static void stop_self(void *arg)
{
    struct hart *h = hart_self();

    (void)arg;
    __atomic_store_n(&h->run, NULL, __ATOMIC_RELEASE);
    sbi_call(SBI_HSM, 1, 0, 0, 0, 0, 0);
}

UNIT_CASE(susp_to_ram, UNIT_TRAPLINE)
{
    uint64_t end = rdtime() + usec(5000000);

    for (unsigned i = 1; i < rt_hart_count; i++) {
        CHECK(hart_run(i, stop_self, NULL), "hart %u did not start", i);
        while (sbi_call(SBI_HSM, 2, harts[i].id, 0, 0, 0, 0).value != 1)
            CHECK(rdtime() < end, "hart %u does not stop", i);
    }
    unit_check_suspend(SBI_SUSP, 0, 0);
}
