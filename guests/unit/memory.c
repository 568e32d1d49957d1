// SPDX-License-Identifier: BSD-2-Clause
// RAM as the guest finds it: zero where nothing was put, all of it usable, atomics included.
#include "unit/unit.h"

/* Between the image (whatever lies after it within 32 MiB) and the end, where initrd and device tree
 * are, nothing was put. */
UNIT_CASE(ram_is_zeroed, UNIT_TRAPLINE)
{
    uint64_t from = (uint64_t)_end + (4ul << 20), to = rt_ram_base + rt_ram_size / 2;

    for (uint64_t a = from; a < to; a += 65536 + 8)
        CHECK(*(volatile uint64_t *)(a & ~7ul) == 0, "at %lx: %lx", a, *(uint64_t *)(a & ~7ul));
}

UNIT_CASE(ram_edges, 0)
{
    volatile uint64_t *last = (volatile uint64_t *)(rt_ram_base + rt_ram_size - 8);
    uint64_t was = *last;

    *last = 0x0123456789abcdef;
    CHECK_EQ(*last, 0x0123456789abcdef);
    *last = was;
}

static volatile uint64_t shared;

static void add(void *arg)
{
    for (uint64_t i = 0; i < (uint64_t)arg; i++)
        __atomic_add_fetch(&shared, 1, __ATOMIC_RELAXED);
}

UNIT_CASE(atomics_across_harts, UNIT_SMP)
{
    shared = 0;
    for (unsigned i = 1; i < rt_hart_count; i++)
        CHECK(hart_run(i, add, (void *)20000), "hart %u did not start", i);
    add((void *)20000);
    for (unsigned i = 1; i < rt_hart_count; i++)
        CHECK(hart_wait(i), "hart %u does not end", i);
    CHECK_EQ(shared, 20000 * rt_hart_count);
}
