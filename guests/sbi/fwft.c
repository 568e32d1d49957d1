// SPDX-License-Identifier: BSD-2-Clause
// FWFT (chapter 18).
#include "sbi/spec.h"

enum { SET, GET };
enum { MISALIGNED, LANDING_PAD, SHADOW_STACK, DOUBLE_TRAP, AD, PMLEN, FEATURES };
enum { LOCK = 1 };
#define HIGH (1ul << 63 | 1ul << 32)

static struct sbi_ret set(uint64_t feature, uint64_t value, uint64_t flags)
{
    return CALL(EXT_FWFT, SET, feature, value, flags);
}
static struct sbi_ret get(uint64_t feature) { return CALL(EXT_FWFT, GET, feature); }
static bool there(uint64_t feature) { return get(feature).error == SBI_OK; }

/* Reserved and platforms' own, local and global; the id is 32 bits wide. */
static const uint64_t reserved[] = {
    FEATURES,   0x20000000, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF,
    0x80000000, 0xBFFFFFFF, 0xC0000000, 0xFFFFFFFF, HIGH | FEATURES,
};

SPEC_CHECK(EXT_FWFT, GET, fwft_get)
{
    for (unsigned i = 0; i < ARRAY_LEN(reserved); i++)
        check_error(get(reserved[i]), SBI_DENIED, "feature %lx", reserved[i]);
    for (uint64_t f = 0; f < FEATURES; f++) {
        struct sbi_ret r = get(f);

        check_errors(r, ERR(SBI_OK) | ERR(SBI_NOT_SUPPORTED), "feature %lx", f);
        check(r.error || r.value <= (f == PMLEN ? 16 : 1), "feature %lx is %lx", f, r.value);
        check(!r.error || !r.value, "feature %lx: error, and the value is %lx", f, r.value);
        if (r.error)
            check_error(get(f | HIGH), r.error, "feature %lx with upper bits set", f);
        else
            check_value(get(f | HIGH), r.value, "feature %lx with upper bits set", f);
    }
}

static void check_values(uint64_t f)
{
    static const uint64_t wrong[] = {17, 57, 64, 1ul << 31, 1ul << 32, 1ul << 63, ~0ul, ~0ul - 1};
    uint64_t was = get(f).value;

    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
        check_error(set(f, wrong[i], 0), SBI_INVALID_PARAM, "feature %lx, value %lx", f, wrong[i]);
    for (uint64_t v = 2; v < 17 && f != PMLEN; v++)
        check_error(set(f, v, 0), SBI_INVALID_PARAM, "feature %lx, value %lx", f, v);
    check_value(get(f), was, "feature %lx after bad values", f);
}

static void check_flags(uint64_t f)
{
    uint64_t was = get(f).value;

    for (unsigned bit = 1; bit < 64; bit++) {
        check_error(set(f, 0, 1ul << bit), SBI_INVALID_PARAM, "feature %lx, flag bit %u", f, bit);
        check_error(set(f, 1, 1ul << bit | LOCK), SBI_INVALID_PARAM, "feature %lx, flag bit %u", f,
                    bit);
    }
    check_value(get(f), was, "feature %lx after bad flags", f);
    check_error(set(f, was, 0), SBI_OK, "feature %lx is locked by bad flags", f);
}

static void check_good(uint64_t f)
{
    uint64_t was = get(f).value;

    for (uint64_t v = 0; v <= (f == PMLEN ? 16 : 1); v++) {
        struct sbi_ret r = set(f | (v & 1 ? HIGH : 0), v, 0);

        /* no PMLEN so long: "PMLEN >= N", and the hart may lack it */
        check_errors(r, ERR(SBI_OK) | (f == PMLEN && v ? ERR(SBI_INVALID_PARAM) : 0),
                     "feature %lx, value %lx", f, v);
        uint64_t now = get(f).value;
        check(r.error || (f == PMLEN && v ? now >= v : now == v), "feature %lx: %lx set, %lx got",
              f, v, now);
    }
    check_error(set(f, was, 0), SBI_OK, "feature %lx back to %lx", f, was);
}

SPEC_CHECK(EXT_FWFT, SET, fwft_set)
{
    for (unsigned i = 0; i < ARRAY_LEN(reserved); i++) {
        check_error(set(reserved[i], 0, 0), SBI_DENIED, "feature %lx", reserved[i]);
        check_error(set(reserved[i], 1, LOCK), SBI_DENIED, "feature %lx, locked", reserved[i]);
    }
    for (uint64_t f = 0; f < FEATURES; f++) {
        if (there(f)) {
            check_values(f);
            check_flags(f);
            check_good(f);
        } else {
            check_error(set(f, 0, 0), SBI_NOT_SUPPORTED, "feature %lx", f);
            check_error(set(f | HIGH, 1, LOCK), SBI_NOT_SUPPORTED, "feature %lx", f);
        }
    }
}

/* On a hart of its own, which is then started anew: a hart's reset ends its locks. */
static volatile long locked[FEATURES][4];

static void lock_all(void *arg)
{
    (void)arg;
    for (uint64_t f = 0; f < FEATURES; f++) {
        struct sbi_ret r = sbi_call(EXT_FWFT, GET, f, 0, 0, 0, 0);

        locked[f][0] = r.error;
        if (r.error)
            continue;
        locked[f][1] = sbi_call(EXT_FWFT, SET, f, r.value, LOCK, 0, 0).error;
        locked[f][2] = sbi_call(EXT_FWFT, SET, f, r.value ? 0 : 1, 0, 0, 0).error;
        locked[f][3] = sbi_call(EXT_FWFT, GET, f, 0, 0, 0, 0).value != r.value;
    }
}

SPEC_CHECK(EXT_FWFT, SET, fwft_lock)
{
    for (unsigned round = 0; round < 2 && rt_hart_count > 1; round++) {
        check(hart_stopped(1) && hart_run(1, lock_all, NULL) && hart_wait(1),
              "hart 1 does not run");
        for (uint64_t f = 0; f < FEATURES; f++) {
            if (locked[f][0])
                continue;
            check(locked[f][1] == SBI_OK, "round %u: lock of %lx: %ld", round, f, locked[f][1]);
            check(locked[f][2] == SBI_DENIED_LOCKED, "set of %lx, locked: %ld", f, locked[f][2]);
            check(!locked[f][3], "feature %lx, locked, has changed", f);
            check_error(set(f, get(f).value, 0), SBI_OK, "our own %lx is locked too", f);
        }
        check(hart_stopped(1), "hart 1 does not stop");
    }
}

/* "During non-retentive suspend, feature values are retained and restored by the SBI" */
SPEC_CHECK(EXT_FWFT, GET, fwft_suspend)
{
    for (uint64_t f = 0; f < FEATURES; f++) {
        uint64_t was = get(f).value, now = f == PMLEN ? 7 : 1;

        if (!there(f) || set(f, now, 0).error)
            continue;
        now = get(f).value;
        csr_set(sie, SIE_STIE);
        sbi_call(SBI_TIME, 0, rdtime() + usec(2000), 0, 0, 0, 0);
        check(spec_suspend(SBI_HSM, 3, 0x80000000, 0) == 1, "no suspend");
        check_value(get(f), now, "feature %lx after a suspend", f);
        csr_clear(sie, SIE_STIE);
        set(f, was, 0);
    }
}
