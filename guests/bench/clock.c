// SPDX-License-Identifier: BSD-2-Clause
// What an exit costs by the clock, for a guest that uses so many pages between two exits: the emulator empties its TLB at every
// change between guest and hypervisor, so that the guest looks up each of them anew.
//
// Prints "clock <what> <pages> <nanoseconds>" for a round of the loop; the least of many short samples, which is what an idle
// machine would show on a busy one too.
#include "bench/clock.h"

#include "rt/paging.h"

enum { ROUNDS = 20, SAMPLES = 300, PAGES = 400 };

static void do_nothing(void) {}

static void call_firmware(void)
{
    register uint64_t a6 __asm__("a6") = 0, a7 __asm__("a7") = SBI_BASE;
    register uint64_t a0 __asm__("a0"), a1 __asm__("a1");

    __asm__ volatile("ecall" : "=r"(a0), "=r"(a1) : "r"(a6), "r"(a7) : "memory");
}

static void write_device(void) { *(volatile uint32_t *)0x10001064ul = 0; } /* InterruptACK */

static void flush(void) { __asm__ volatile("sfence.vma" ::: "memory"); }

static void touch(unsigned pages)
{
    for (unsigned i = 0; i < pages; i++)
        (void)*(volatile uint64_t *)(window_va(i) + (i & 63) * 64);
}

static uint64_t least(void (*what)(void), unsigned pages)
{
    uint64_t best = UINT64_MAX;

    for (unsigned s = 0; s < SAMPLES; s++) {
        uint64_t took = rdtime();

        for (unsigned r = 0; r < ROUNDS; r++) {
            what();
            touch(pages);
        }
        took = rdtime() - took;
        best = took < best ? took : best;
    }
    return best * (1000000000 / rt_timebase) / ROUNDS;
}

void measure_clock(void)
{
    static const struct {
        const char *name;
        void (*what)(void);
    } row[] = {{"nothing", do_nothing},
               {"SBI-call", call_firmware},
               {"device", write_device},
               {"sfence.vma", flush}};
    static const unsigned pages[] = {0, 50, 100, 200, PAGES};
    static char room[(PAGES + 1) * 4096];
    uint64_t first = ((uint64_t)room + 4095) & ~4095ul;

    for (unsigned i = 0; i < PAGES; i++)
        window_map(i, first + i * 4096ul, PTE_RWX);
    paging_on();
    for (unsigned i = 0; i < ARRAY_LEN(row); i++)
        for (unsigned k = 0; k < ARRAY_LEN(pages); k++)
            printf("clock %s %u %lu\n", row[i].name, pages[k], least(row[i].what, pages[k]));
    paging_off();
}
