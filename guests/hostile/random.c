// SPDX-License-Identifier: BSD-2-Clause
// What the attacks share: numbers, addresses, an alarm, code made at run time.
#include "hostile/hostile.h"

uint64_t nasty(struct worker *w)
{
    static const uint64_t edges[] = {
        0,
        1,
        2,
        63,
        64,
        65,
        0x7ffffffful,
        0x80000000ul,
        0xfffffffful,
        0x100000000ul,
        1ul << 63,
        ~0ul,
        ~0ul - 1,
        ~0ul << 12,
        (1ul << 63) - 1,
        0xfff,
        0x1000,
        1ul << 40,
        1ul << 55,
        1ul << 56,
        0xffffffff00000000ul,
    };

    switch (random_below(w, 6)) {
    case 0:
        return random_next(w);
    case 1:
        return random_below(w, 16);
    case 2:
        return 1ul << random_below(w, 64);
    case 3:
        return (uint64_t)(uint32_t)random_next(w);
    case 4:
        return random_below(w, 16) | 1ul << 63 | 1ul << 32;
    default:
        return edges[random_below(w, ARRAY_LEN(edges))];
    }
}

bool is_ram(uint64_t address) { return address - rt_ram_base < rt_ram_size; }

uint64_t arena_address(struct worker *w)
{
    uint64_t a = arena + random_below(w, arena_size);

    return one_in(w, 4) ? a : a & ~15ul;
}

uint64_t nasty_address(struct worker *w)
{
    uint64_t a;

    switch (random_below(w, 8)) {
    case 0:
        a = rt_ram_base + rt_ram_size - random_below(w, 64); /* over the end */
        return a;
    case 1:
        return rt_ram_base - 1 - random_below(w, 64);
    case 2:
        return (one_in(w, 2) ? UART : PLIC) + random_below(w, 0x3000);
    case 3:
        a = nasty(w);
        return is_ram(a) ? arena_address(w) : a;
    default:
        return arena_address(w);
    }
}

void alarm_in(uint64_t microseconds)
{
    sbi_call(SBI_TIME, 0, rdtime() + usec(microseconds), 0, 0, 0, 0);
    csr_set(sie, SIE_STIE);
}

void fill_arena(void)
{
    static const char line[] = "hostile noise. hostile noise. hostile noise. hostile noise. .. \n";
    const uint64_t *words = (const uint64_t *)line;

    for (uint64_t at = 0; at < arena_size && at < 1ul << 20; at += 8)
        *(volatile uint64_t *)(arena + at) = words[at / 8 % 8];
}

/* As long as two instructions, a return, and what it takes back from user mode. */
static uint32_t code[RT_HARTS][8] __attribute__((aligned(64)));

void run_code(struct worker *w, uint32_t first, uint32_t second, uint64_t a, uint64_t b, bool user)
{
    volatile uint32_t *at = code[w->index];

    at[0] = first;
    at[1] = second ? second : 0x13; /* nop */
    at[2] = user ? 0x73 : 0x8067; /* ecall; ret */
    __asm__ volatile("fence.i" ::: "memory");
    if (user)
        rt_run_user((uint64_t)at, a);
    else
        ((uint64_t (*)(uint64_t, uint64_t))(uintptr_t)at)(a, b);
}
