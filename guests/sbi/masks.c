// SPDX-License-Identifier: BSD-2-Clause
// Hart lists (SBI 3.0 section 3.1), for harts of any ids.
#include "sbi/spec.h"

#define ALL (~0ul)

static bool is_hart(uint64_t id)
{
    for (unsigned i = 0; i < rt_hart_count; i++)
        if (harts[i].id == id)
            return true;
    return false;
}

bool mask_names(uint64_t mask, uint64_t base, uint64_t id)
{
    return base == ALL || (id >= base && id - base < 64 && mask >> (id - base) & 1);
}

bool mask_is_valid(uint64_t mask, uint64_t base)
{
    if (base == ALL)
        return true;
    for (unsigned bit = 0; bit < 64; bit++)
        if (mask >> bit & 1 && (base + bit < base || !is_hart(base + bit)))
            return false;
    return true;
}

/* The harts that a mask with this base can name. */
static uint64_t existing(uint64_t base)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < rt_hart_count; i++)
        if (harts[i].id >= base && harts[i].id - base < 64)
            mask |= 1ul << (harts[i].id - base);
    return mask;
}

static void one(struct sbi_ret (*call)(uint64_t, uint64_t), bool (*nothing)(void), uint64_t mask,
                uint64_t base)
{
    if (mask_is_valid(mask, base)) {
        check_error(call(mask, base), SBI_OK, "mask %lx, base %lx", mask, base);
        return;
    }
    /* "may return the error values listed": OpenSBI leaves such harts out instead */
    struct sbi_ret r = call(mask, base);
    check_errors(r, ERR(SBI_INVALID_PARAM) | natively(ERR(SBI_OK)), "mask %lx, base %lx", mask,
                 base);
    if (r.error)
        check(nothing(), "mask %lx, base %lx: an error, and done all the same", mask, base);
}

/* Bits so far up that base + bit goes past all-ones are left out: what they name is not said. */
static uint64_t below_wrap(uint64_t mask, uint64_t base)
{
    return base > ALL - 63 ? mask & ((1ul << (ALL - base)) - 1) : mask;
}

void check_masks(struct sbi_ret (*call)(uint64_t mask, uint64_t base), bool (*nothing)(void))
{
    uint64_t last = 0;

    for (unsigned i = 0; i < rt_hart_count; i++)
        last = harts[i].id > last ? harts[i].id : last;
    uint64_t bases[] = {0,
                        1,
                        2,
                        last,
                        last + 1,
                        62,
                        63,
                        64,
                        65,
                        4096,
                        1ul << 31,
                        1ul << 32,
                        (1ul << 32) + harts[0].id,
                        1ul << 62,
                        1ul << 63,
                        ALL - 64,
                        ALL - 63,
                        ALL - 2,
                        ALL - 1,
                        ALL};
    for (unsigned b = 0; b < ARRAY_LEN(bases); b++) {
        uint64_t base = bases[b], there = existing(base);
        uint64_t masks[] = {0,
                            there,
                            there & -there,
                            there ^ (there & -there),
                            there | 1ul << 63,
                            there + 1,
                            there << 1 | there,
                            1,
                            2,
                            1ul << 31,
                            1ul << 32,
                            ALL,
                            1ul << 63,
                            0xAAAAAAAAAAAAAAAAul,
                            0x5555555555555555ul & there};
        for (unsigned m = 0; m < ARRAY_LEN(masks); m++)
            one(call, nothing, below_wrap(masks[m], base), base);
    }
}
