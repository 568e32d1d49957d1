// SPDX-License-Identifier: BSD-2-Clause
// Remote fences (SBI RFENCE): they fence, for any range and mask; and their errors.
#include "unit/unit.h"

static uint64_t page_a[512] __attribute__((aligned(4096)));
static uint64_t page_b[512] __attribute__((aligned(4096)));

enum { FENCE_I, SFENCE_VMA, SFENCE_VMA_ASID };

static struct sbi_ret fence(unsigned fid, uint64_t mask, uint64_t base, uint64_t start,
                            uint64_t size)
{
    return sbi_call(SBI_RFENCE, fid, mask, base, start, size, 0);
}

/* Every range and mask that means something; the last ones mean everything, or wrap. */
UNIT_CASE(rfence_accepts, 0)
{
    static const uint64_t range[][2] = {
        {0, 0},
        {0, ~0ul},
        {0x1000, 0x1000},
        {0x1001, 1},
        {WINDOW_VA, 1 << 30},
        {0xfffffffffffff000, 0x1000},
        {0xfffffffffffff000, 0x2000},
        {0x8000000000, 1ul << 62},
    };

    for (unsigned i = 0; i < ARRAY_LEN(range); i++) {
        for (unsigned fid = FENCE_I; fid <= SFENCE_VMA_ASID; fid++) {
            CHECK_SBI(fence(fid, 1, harts[0].id, range[i][0], range[i][1]), SBI_OK);
            CHECK_SBI(fence(fid, 0, ~0ul, range[i][0], range[i][1]), SBI_OK);
        }
    }
}

UNIT_CASE(rfence_bad_mask, UNIT_TRAPLINE)
{
    for (unsigned fid = FENCE_I; fid <= SFENCE_VMA_ASID; fid++) {
        CHECK_SBI(fence(fid, 1, 4000, 0, 0), SBI_INVALID_PARAM);
        CHECK_SBI(fence(fid, ~0ul, 0, 0, 0), SBI_INVALID_PARAM);
        CHECK_SBI(fence(fid, 2, ~0ul - 1, 0, 0), SBI_INVALID_PARAM);
    }
}

/* The hypervisor extension's fences are for guests that have it. */
UNIT_CASE(rfence_no_hfence, UNIT_TRAPLINE)
{
    for (unsigned fid = 3; fid <= 8; fid++)
        CHECK_SBI(fence(fid, 1, 0, 0, 0), SBI_NOT_SUPPORTED);
}

static void check_self(uint64_t start, uint64_t size)
{
    volatile uint64_t *seen = (volatile uint64_t *)window_va(0);

    page_a[0] = 0xa;
    page_b[0] = 0xb;
    window_map(0, (uint64_t)page_a, PTE_RWX);
    paging_on();
    CHECK_EQ(*seen, 0xa);
    window_map(0, (uint64_t)page_b, PTE_RWX);
    CHECK_SBI(fence(SFENCE_VMA, 1, harts[0].id, start, size), SBI_OK);
    CHECK_EQ(*seen, 0xb);
    window_map(0, (uint64_t)page_a, PTE_RWX);
    CHECK_SBI(sbi_call(SBI_RFENCE, SFENCE_VMA_ASID, 1, harts[0].id, start, size, 0), SBI_OK);
    CHECK_EQ(*seen, 0xa);
    paging_off();
}

UNIT_CASE(rfence_self, 0)
{
    check_self(0, 0);
    check_self(0, ~0ul);
    check_self(WINDOW_VA, 4096);
    check_self(WINDOW_VA + 8, 1);
    check_self(WINDOW_VA - 4096, 3 * 4096);
    check_self(WINDOW_VA, 1ul << 30);
    check_self(4096, ~0ul - 100); /* wraps */
}

/* The other hart reads through the window and says what it saw, round by round. */
static volatile uint64_t ask, answer;

static void look(void *arg)
{
    uint64_t rounds = (uint64_t)arg;

    paging_on();
    for (uint64_t i = 1; i <= rounds; i++) {
        while (ask < i)
            ;
        answer = i << 8 | *(volatile uint64_t *)window_va(0);
    }
    paging_off();
}

UNIT_CASE(rfence_remote, UNIT_SMP)
{
    enum { ROUNDS = 40 };

    page_a[0] = 0xa;
    page_b[0] = 0xb;
    ask = answer = 0;
    window_map(0, (uint64_t)page_a, PTE_RWX);
    CHECK(hart_run(1, look, (void *)ROUNDS), "hart did not start");
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        uint64_t end = rt_patience();
        bool b = i & 1;

        window_map(0, (uint64_t)(b ? page_b : page_a), PTE_RWX);
        CHECK_SBI(fence(SFENCE_VMA, i & 2 ? 1 : 0, i & 2 ? harts[1].id : ~0ul,
                        i & 4 ? WINDOW_VA : 0, i & 4 ? 4096 : ~0ul),
                  SBI_OK);
        ask = i;
        while (answer >> 8 != i)
            CHECK(rdtime() < end, "hart 1 stopped at round %lu", answer >> 8);
        CHECK(answer == (i << 8 | (b ? 0xb : 0xa)), "round %lu: hart 1 saw %lx", i, answer & 255);
    }
    CHECK(hart_wait(1), "hart does not end");
}

/* Code changed here, fenced there, runs as changed. */
static uint32_t code[2];

static void call_code(void *arg)
{
    for (uint64_t i = 1; i <= (uint64_t)arg; i++) {
        while (ask < i)
            ;
        answer = i << 8 | ((uint64_t (*)(void))code)();
    }
}

UNIT_CASE(rfence_i_remote, UNIT_SMP)
{
    volatile uint32_t *c = code;

    ask = answer = 0;
    c[1] = 0x00008067; /* ret */
    CHECK(hart_run(1, call_code, (void *)20), "hart did not start");
    for (uint32_t i = 1; i <= 20; i++) {
        uint64_t end = rt_patience();

        c[0] = i << 20 | 0x513; /* li a0, i */
        __asm__ volatile("fence rw, rw" ::: "memory");
        CHECK_SBI(fence(FENCE_I, 0, ~0ul, 0, 0), SBI_OK);
        ask = i;
        while (answer >> 8 != i)
            CHECK(rdtime() < end, "hart 1 stopped at round %lu", answer >> 8);
        CHECK_EQ(answer & 255, i);
    }
    CHECK(hart_wait(1), "hart does not end");
}
