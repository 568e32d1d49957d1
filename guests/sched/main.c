// SPDX-License-Identifier: BSD-2-Clause
// What the scheduler does, measured from inside, by the word in the command line:
//   hog    computes (tick: see compute_until); prints how much it did from second 1 to second 1 + seconds=N of its own time
//   wake   waits for a timer 200 times; prints how late it was woken, in ns
//   yield  gives its hart up by WRS.NTO 2000 times; prints the instructions (time, under icount) of each
// A hog goes on for another second, so that those that began later have the same neighbours to their end.
#include "rt/rt.h"

enum { TICK_US = 50, WAKES = 200, YIELDS = 2000, WARM_UP = 100 };

static uint64_t number_after(const char *word, uint64_t otherwise)
{
    const char *at = strstr(rt_bootargs, word);
    uint64_t n = 0;

    if (!at)
        return otherwise;
    for (at += strlen(word); *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    return n;
}

static uint64_t ns(uint64_t ticks) { return ticks * (1000000000 / rt_timebase); }

/* Rounds of the same loop until a time. With `tick`, a timer is set all the time, of which nothing comes: the emulator gives
 * harts their turns at such times, and one that computes without would have the machine to itself. */
static uint64_t compute_until(uint64_t end)
{
    uint64_t rounds = 0, tick = strstr(rt_bootargs, "tick") ? usec(TICK_US) : 0, next = 0, now;

    for (; (now = rdtime()) < end; rounds++) {
        uint64_t n = 100;

        if (tick && now >= next) {
            next = now + tick;
            __asm__ volatile("csrw 0x14d, %0" ::"r"(next)); /* stimecmp */
        }
        __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+r"(n));
    }
    return rounds;
}

static void hog(void)
{
    uint64_t start = usec(1000000), end = start + usec(number_after("seconds=", 1) * 1000000);
    uint64_t rounds;

    compute_until(start);
    rounds = compute_until(end);
    printf("sched hog %lu\n", rounds);
    compute_until(end + usec(1000000));
}

static void wake(void)
{
    uint64_t sum = 0, worst = 0;

    csr_set(sie, SIE_STIE);
    for (unsigned i = 0; i < WARM_UP + WAKES; i++) {
        uint64_t at = rdtime() + usec(5000 + i * 37 % 1000), late;

        sbi_call(SBI_TIME, 0, at, 0, 0, 0, 0);
        while (!(csr_read(sip) & SIE_STIE))
            __asm__ volatile("wfi");
        late = rdtime() - at;
        if (i < WARM_UP)
            continue;
        sum += late;
        worst = late > worst ? late : worst;
    }
    sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
    printf("sched wake %lu %lu\n", ns(sum) / WAKES, ns(worst));
}

static void yield_rounds(unsigned n)
{
    while (n--)
        __asm__ volatile(".word 0x00d00073" ::: "memory"); /* wrs.nto */
}

static void yield(void)
{
    uint64_t start;

    while (rdtime() < usec(500000)) /* until the other is there, too */
        yield_rounds(WARM_UP);
    start = rdtime();
    yield_rounds(YIELDS);
    start = rdtime() - start;
    printf("sched yield %lu\n", ns(start) / YIELDS);
    start = rdtime();
    while (rdtime() - start < usec(500000)) /* for the other, which began later */
        yield_rounds(WARM_UP);
}

void guest_main(void)
{
    if (strstr(rt_bootargs, "hog"))
        hog();
    else if (strstr(rt_bootargs, "wake"))
        wake();
    else if (strstr(rt_bootargs, "yield"))
        yield();
    printf("sched guest: end\n");
}
