// SPDX-License-Identifier: BSD-2-Clause
// Steal time (SBI STA): told while another vCPU has the hart. "stolen" in the command line: there are more
// busy vCPUs than harts, so some must be.
#include "unit/unit.h"

#define SBI_STA 0x535441

static volatile struct {
    uint32_t sequence, flags;
    uint64_t steal;
    uint8_t preempted, pad[47];
} area __attribute__((aligned(64)));

static volatile bool over;

static void spin(void *arg)
{
    (void)arg;
    while (!over)
        ;
}

static uint64_t read_steal(void)
{
    for (;;) {
        uint32_t before = area.sequence;

        __asm__ volatile("fence r, r" ::: "memory");
        uint64_t steal = area.steal;
        __asm__ volatile("fence r, r" ::: "memory");
        if (!(before & 1) && area.sequence == before)
            return steal;
    }
}

UNIT_CASE(steal_time, UNIT_TRAPLINE | UNIT_SMP)
{
    uint64_t start, last = 0, steal, passed;

    area.steal = ~0ul;
    area.pad[46] = 1;
    start = rdtime();
    CHECK_SBI(sbi_call(SBI_STA, 0, (uint64_t)&area, 0, 0, 0, 0), 0);
    // The call clears the area, but another may have had the hart since.
    steal = read_steal();
    passed = (rdtime() - start) * (1000000000 / rt_timebase);
    CHECK(steal <= passed, "%lu ns stolen in the first %lu", steal, passed);
    CHECK_EQ(area.pad[46], 0);
    over = false;
    for (unsigned i = 1; i < rt_hart_count; i++)
        CHECK(hart_run(i, spin, NULL), "hart %u does not start", i);
    start = rdtime();
    while (rdtime() - start < usec(100000)) {
        steal = read_steal();
        if (steal < last)
            over = true;
        CHECK(steal >= last, "steal went back from %lu to %lu", last, steal);
        last = steal;
        if (area.preempted)
            over = true;
        CHECK(!area.preempted, "told to be preempted while it runs");
    }
    over = true;
    passed = (rdtime() - start) * (1000000000 / rt_timebase);
    CHECK(last <= passed, "%lu ns stolen of %lu", last, passed);
    if (strstr(rt_bootargs, "stolen"))
        CHECK(last > passed / 5, "only %lu ns stolen of %lu", last, passed);
    CHECK_EQ(area.flags, 0);
    CHECK_SBI(sbi_call(SBI_STA, 0, ~0ul, ~0ul, 0, 0, 0), 0);
}
