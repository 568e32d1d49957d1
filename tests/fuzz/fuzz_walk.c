// SPDX-License-Identifier: BSD-2-Clause
// The VS-stage walk over random tables, beside a walk that is written here from the specification
// (privileged architecture, "Virtual Address Translation Process"; Svnapot), with other means.
// units: vcpu/walk_vs.c tests/fake/fake_base.c tests/fake/fake_guest_mem.c
#include <errno.h>

#include "fake_guest_mem.h"
#include "fuzz.h"
#include "vcpu/vcpu.h"

struct vcpu_features vcpu_features;
const unsigned fuzz_runs = 30000;
const size_t fuzz_max = 512;

enum { TABLES = 8 };

static uint64_t bits(uint64_t v, unsigned high, unsigned low)
{
    return v >> low & (~0ull >> (63 - high + low));
}

static bool read_pte(uint64_t at, uint64_t *pte)
{
    if (at < GM_BASE || at > GM_BASE + GM_SIZE - 8)
        return false;
    fake_gm_get(at, pte, 8);
    return true;
}

/* Returns steps; *ok and *out as the specification has them. */
static unsigned reference(uint64_t satp, uint64_t va, bool *ok, uint64_t *out)
{
    unsigned mode = (unsigned)bits(satp, 63, 60), levels = mode - 5, n = 0;
    uint64_t a = bits(satp, 43, 0) << 12, pte;

    *ok = mode == 0;
    *out = mode == 0 ? va : 0;
    if (mode < 8 || mode > 10)
        return 0;
    for (unsigned b = 12 + 9 * levels; b < 64; b++)
        if (bits(va, b, b) != bits(va, 11 + 9 * levels, 11 + 9 * levels))
            return 0;
    for (int i = (int)levels - 1; i >= 0; i--) {
        unsigned low = 12 + 9 * (unsigned)i;
        bool v, r, w, x;

        n++;
        if (!read_pte(a + bits(va, low + 8, low) * 8, &pte))
            return n;
        v = pte & 1;
        r = pte & 2;
        w = pte & 4;
        x = pte & 8;
        if (!v || bits(pte, vcpu_features.svrsw60t59b ? 58 : 60, 54) || (!r && w))
            return n;
        if (!r && !x) {
            if (bits(pte, 63, 61) || bits(pte, 7, 6) || bits(pte, 4, 4))
                return n;
            a = bits(pte, 53, 10) << 12;
            continue;
        }
        if (i && bits(bits(pte, 53, 10), 9 * (unsigned)i - 1, 0))
            return n;
        if (bits(pte, 63, 63)) {
            if (i || bits(pte, 13, 10) != 8)
                return n;
            *out = bits(pte, 53, 14) << 16 | bits(va, 15, 0);
        } else {
            *out = bits(pte, 53, 10 + 9 * (unsigned)i) << low | bits(va, low - 1, 0);
        }
        *ok = true;
        return n;
    }
    return n;
}

static void put_pte(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in), where = fuzz_u8(in);
    uint64_t pte = fuzz_u16(in);

    if (how & 1) /* to one of the tables */
        pte = (pte & 0x3ff & ~14u) | ((GM_BASE >> 12) + (how >> 1 & (TABLES - 1))) << 10;
    else if (how & 2)
        pte = fuzz_u64(in);
    else if (how & 4) /* 64 KiB, or something like it */
        pte = (pte & 0x3ff) | (uint64_t)(how >> 3) << 10 | 1ull << 63;
    else /* aligned so that large pages are right */
        pte |= (uint64_t)(how >> 5) << (10 + 9 * (how >> 3 & 3));
    fake_gm_put(GM_BASE + (where & (TABLES - 1)) * PAGE_SIZE + (where >> 3) % 4 * 8, &pte, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    static bool started;
    uint8_t zero[32] = {0};

    if (!started)
        fake_gm_start(false);
    started = true;
    for (unsigned t = 0; t < TABLES; t++)
        fake_gm_put(GM_BASE + t * PAGE_SIZE, zero, sizeof(zero));
    while (in.left) {
        uint8_t op = fuzz_u8(&in);
        uint64_t satp, va = 0, out, want;
        struct vs_step steps[5];
        unsigned n, index;
        gpa_t got;
        int result;
        bool ok;

        if (op & 3) {
            put_pte(&in);
            continue;
        }
        satp = (op & 4 ? (uint64_t)fuzz_u8(&in) << 56 : (8ull + (op >> 3) % 3) << 60) |
               (op & 128 ? fuzz_u64(&in) >> 20 : GM_BASE >> 12);
        index = fuzz_u16(&in);
        for (unsigned i = 0; i < 5; i++)
            va |= (uint64_t)(index >> 2 * i & 3) << (12 + 9 * i);
        va ^= op & 64 ? fuzz_u64(&in) : fuzz_u16(&in) & 0xfff;
        n = vcpu_walk_vs(&fake_gm_s2, satp, gva(va), steps, &got, &result);
        assert_int_equal(n, reference(satp, va, &ok, &want));
        assert_int_equal(result, ok ? 0 : -EFAULT);
        out = got.v;
        assert_int_equal(out, want);
    }
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    struct fuzz_out o = {to, 0, max};

    if (n >= 9)
        return 0;
    for (unsigned t = 0; t < 5; t++) { /* table t leads to t + 1, by its entry 1 */
        fuzz_put_u(&o, 1, 1);
        fuzz_put_u(&o, 1 | (t + 1) << 1, 1);
        fuzz_put_u(&o, t | 1 << 3, 1);
        fuzz_put_u(&o, 1, 2);
    }
    for (unsigned t = 0; t < 6; t++) { /* a leaf at entry 2 */
        fuzz_put_u(&o, 1, 1);
        fuzz_put_u(&o, (5 - n / 3) % 4 << 3 | 1 << 5, 1);
        fuzz_put_u(&o, t | 2 << 3, 1);
        fuzz_put_u(&o, 0xcf, 2);
    }
    if (n == 8) {
        fuzz_put_u(&o, 1, 1);
        fuzz_put_u(&o, 4 | 8 << 3, 1);
        fuzz_put_u(&o, 4 | 2 << 3, 1);
        fuzz_put_u(&o, 0xcf, 2);
    }
    fuzz_put_u(&o, n % 3 << 3, 1);
    fuzz_put_u(&o, n / 3 == 0 ? 0x156 : n / 3 == 1 ? 0x159 : 0x2aa, 2);
    fuzz_put_u(&o, 0x123, 2);
    return o.len;
}
