// SPDX-License-Identifier: BSD-2-Clause
// NACL (chapter 15): what can be checked without running a guest of one's own.
#include "sbi/spec.h"

enum { PROBE, SET_SHMEM, SYNC_CSR, SYNC_HFENCE, SYNC_SRET };
enum { FEATURE_CSR, FEATURE_HFENCE, FEATURE_SRET, FEATURE_AUTOSWAP, FEATURES };
#define ALL (~0ul)
#define HIGH (1ul << 63 | 1ul << 32)

static bool has(uint64_t feature) { return CALL(EXT_NACL, PROBE, feature).value == 1; }

SPEC_CHECK(EXT_NACL, PROBE, nacl_probe)
{
    static const uint64_t reserved[] = {FEATURES, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, HIGH | 9};

    for (uint64_t f = 0; f < FEATURES; f++) {
        struct sbi_ret r = CALL(EXT_NACL, PROBE, f);

        check(r.error == SBI_OK && r.value <= 1, "feature %lx: error %ld, value %lx", f, r.error,
              r.value);
        check_value(CALL(EXT_NACL, PROBE, f | HIGH), r.value, "feature %lx, upper bits set", f);
    }
    for (unsigned i = 0; i < ARRAY_LEN(reserved); i++)
        check_value(CALL(EXT_NACL, PROBE, reserved[i]), 0, "feature %lx", reserved[i]);
}

static struct sbi_ret set(uint64_t low, uint64_t high)
{
    return CALL(EXT_NACL, SET_SHMEM, low, high, 0);
}

SPEC_CHECK(EXT_NACL, SET_SHMEM, nacl_set_shmem)
{
    static const struct shmem s = {set, 4096 + 64 * 128, 4096, SBI_INVALID_ADDRESS, 0};

    check_shmem(&s);
    check_error(CALL(EXT_NACL, SET_SHMEM, (uint64_t)spec_pages, 0, 1), SBI_INVALID_PARAM, "a flag");
    check_error(CALL(EXT_NACL, SET_SHMEM, ALL, ALL, 1ul << 63), SBI_INVALID_PARAM, "a flag");
    check_error(set(ALL, ALL), SBI_OK, "off");
}

static void check_sync(uint64_t fid, uint64_t feature, const uint64_t *wrong, unsigned n)
{
    set(ALL, ALL);
    check_error(CALL(EXT_NACL, fid, ALL), has(feature) ? SBI_NO_SHMEM : SBI_NOT_SUPPORTED,
                "no memory");
    if (!has(feature))
        return;
    check_error(set((uint64_t)spec_pages, 0), SBI_OK, "memory");
    for (unsigned i = 0; i < n; i++)
        check_error(CALL(EXT_NACL, fid, wrong[i]), SBI_INVALID_PARAM, "%lx", wrong[i]);
    set(ALL, ALL);
}

SPEC_CHECK(EXT_NACL, SYNC_CSR, nacl_sync_csr)
{
    static const uint64_t wrong[] = {0, 0x100, 0x300, 0x1200, 1ul << 63 | 0x200, ALL - 1};

    check_sync(SYNC_CSR, FEATURE_CSR, wrong, ARRAY_LEN(wrong));
}

SPEC_CHECK(EXT_NACL, SYNC_HFENCE, nacl_sync_hfence)
{
    static const uint64_t wrong[] = {3840 / 64, 1ul << 32, 1ul << 63, ALL - 1};

    check_sync(SYNC_HFENCE, FEATURE_HFENCE, wrong, ARRAY_LEN(wrong));
}

SPEC_CHECK(EXT_NACL, SYNC_SRET, nacl_sync_sret) { check_sync(SYNC_SRET, FEATURE_SRET, NULL, 0); }
