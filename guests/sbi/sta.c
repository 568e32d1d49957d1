// SPDX-License-Identifier: BSD-2-Clause
// STA (chapter 16).
#include "sbi/spec.h"

#define ALL (~0ul)

static struct sbi_ret set(uint64_t low, uint64_t high) { return CALL(EXT_STA, 0, low, high, 0); }

static bool is_zero(const uint8_t *at)
{
    for (unsigned i = 0; i < 64; i++)
        if (at[i])
            return false;
    return true;
}

SPEC_CHECK(EXT_STA, 0, sta_set_shmem)
{
    static const struct shmem s = {set, 64, 64, SBI_INVALID_ADDRESS, 0};
    uint64_t ours = (uint64_t)spec_pages;

    check_shmem(&s);
    for (unsigned bit = 0; bit < 64; bit++)
        check_error(CALL(EXT_STA, 0, ours, 0, 1ul << bit), SBI_INVALID_PARAM, "flag bit %u", bit);
    check_error(CALL(EXT_STA, 0, ALL, ALL, 1), SBI_INVALID_PARAM, "off, with a flag");
    memset(spec_pages, 0xff, 128);
    check_value(set(ours, 0), 0, "set");
    check(is_zero(spec_pages), "the first 64 bytes are not zero");
    check(spec_pages[64] == 0xff, "more than 64 bytes are written");
    check_value(set(ALL, ALL), 0, "off");
    check_value(set(ALL, ALL), 0, "off again");
}
