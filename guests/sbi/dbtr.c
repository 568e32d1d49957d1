// SPDX-License-Identifier: BSD-2-Clause
// DBTR (chapter 19): numbers, memory, ranges, and triggers that nobody has installed.
#include "sbi/spec.h"

enum { NUM, SET_SHMEM, READ, INSTALL, UPDATE, UNINSTALL, ENABLE, DISABLE };
#define ALL (~0ul)

static uint64_t triggers(void) { return CALL(EXT_DBTR, NUM, 0).value; }
static struct sbi_ret set(uint64_t low, uint64_t high)
{
    return CALL(EXT_DBTR, SET_SHMEM, low, high, 0);
}
static void set_ours(void) { check_error(set((uint64_t)spec_pages, 0), SBI_OK, "memory"); }

SPEC_CHECK(EXT_DBTR, NUM, dbtr_num)
{
    struct sbi_ret r = CALL(EXT_DBTR, NUM, 0), match = CALL(EXT_DBTR, NUM, 6ul << 60);

    check(r.error == SBI_OK, "error %ld", r.error);
    check(match.error == SBI_OK && match.value <= r.value, "mcontrol6: error %ld, %lu of %lu",
          match.error, match.value, r.value);
}

SPEC_CHECK(EXT_DBTR, SET_SHMEM, dbtr_set_shmem)
{
    struct shmem s = {set, triggers() * 32, 8, SBI_INVALID_ADDRESS, 0};

    if (rt_trapline)
        check_shmem(&s);
    check_error(set((uint64_t)spec_pages + 4, 0), SBI_INVALID_PARAM, "not aligned");
    check_error(CALL(EXT_DBTR, SET_SHMEM, (uint64_t)spec_pages, 0, 1), SBI_INVALID_PARAM, "a flag");
    set_ours();
    check_error(set(ALL, ALL), SBI_OK, "off");
}

SPEC_CHECK(EXT_DBTR, READ, dbtr_read)
{
    uint64_t n = triggers();
    uint64_t bases[] = {n, n + 1, 1ul << 63, ALL};

    set(ALL, ALL);
    check_error(CALL(EXT_DBTR, READ, 0, 1), SBI_NO_SHMEM, "no memory");
    set_ours();
    for (unsigned i = 0; i < ARRAY_LEN(bases); i++)
        check_error(CALL(EXT_DBTR, READ, bases[i], 1), SBI_BAD_RANGE, "from %lx", bases[i]);
    check_error(CALL(EXT_DBTR, READ, 0, n + 1), SBI_BAD_RANGE, "%lu triggers", n + 1);
    if (rt_trapline)
        check_error(CALL(EXT_DBTR, READ, 1, ALL), SBI_BAD_RANGE, "a count that wraps");
    set(ALL, ALL);
}

static void check_counts(uint64_t fid)
{
    uint64_t n = triggers();

    set(ALL, ALL);
    check_error(CALL(EXT_DBTR, fid, 1), SBI_NO_SHMEM, "no memory");
    set_ours();
    check_error(CALL(EXT_DBTR, fid, n + 1), SBI_BAD_RANGE, "%lu triggers", n + 1);
    check_error(CALL(EXT_DBTR, fid, 1ul << 63), SBI_BAD_RANGE, "a count with its last bit set");
    set(ALL, ALL);
}

SPEC_CHECK(EXT_DBTR, INSTALL, dbtr_install) { check_counts(INSTALL); }
SPEC_CHECK(EXT_DBTR, UPDATE, dbtr_update) { check_counts(UPDATE); }

static void check_sets(uint64_t fid)
{
    uint64_t n = triggers();

    check_error(CALL(EXT_DBTR, fid, 0, 1), SBI_INVALID_PARAM, "a trigger that is not installed");
    check_error(CALL(EXT_DBTR, fid, n, 1), SBI_INVALID_PARAM, "no trigger");
    if (rt_trapline)
        check_error(CALL(EXT_DBTR, fid, 1ul << 63, 1), SBI_INVALID_PARAM, "no trigger");
}

SPEC_CHECK(EXT_DBTR, UNINSTALL, dbtr_uninstall) { check_sets(UNINSTALL); }
SPEC_CHECK(EXT_DBTR, ENABLE, dbtr_enable) { check_sets(ENABLE); }
SPEC_CHECK(EXT_DBTR, DISABLE, dbtr_disable) { check_sets(DISABLE); }
