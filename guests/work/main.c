// SPDX-License-Identifier: BSD-2-Clause
// A neighbour that works: all its harts compute for a fixed time of the machine's clock, and the sum of the
// rounds that they did is printed ("work: done N rounds"). Beside other VMs this is the share of the machine that it got.
//   ms=N     how long (1000)
//   wait=N   milliseconds before it begins, in WFI: until the others are at it (300)
//   nap=N    microseconds of WFI after each millisecond of work, as what waits for input or a timer (0)
#include "rt/rt.h"

enum { MIXES = 64 };

static uint64_t begin, end, nap;
static uint64_t rounds[RT_HARTS];
static volatile uint64_t sink;

static void sleep_until(uint64_t when)
{
    sbi_call(SBI_TIME, 0, when, 0, 0, 0, 0);
    csr_set(sie, SIE_STIE);
    while (rdtime() < when)
        __asm__ volatile("wfi");
    sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
    csr_clear(sie, SIE_STIE);
}

static uint64_t mix(uint64_t x)
{
    for (unsigned i = 0; i < MIXES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

static void work(void *arg)
{
    uint64_t x = 88172645463325252, n = 0, since = begin, now;

    sleep_until(begin);
    while ((now = rdtime()) < end) {
        x = mix(x);
        n++;
        if (nap && now - since >= usec(1000)) {
            sleep_until(now + usec(nap));
            since = rdtime();
        }
    }
    sink = x;
    *(uint64_t *)arg = n;
}

void guest_main(void)
{
    uint64_t sum = 0;

    nap = rt_number("nap", 0);
    begin = rdtime() + usec(1000 * rt_number("wait", 300));
    end = begin + usec(1000 * rt_number("ms", 1000));
    for (unsigned i = 1; i < rt_hart_count; i++)
        if (!hart_run(i, work, &rounds[i]))
            printf("work: hart %u does not start\n", i);
    work(&rounds[0]);
    for (unsigned i = 1; i < rt_hart_count; i++)
        hart_wait(i);
    for (unsigned i = 0; i < rt_hart_count; i++)
        sum += rounds[i];
    printf("work: done %lu rounds\n", sum);
}
