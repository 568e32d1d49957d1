// SPDX-License-Identifier: BSD-2-Clause
// RFENCE (chapter 8): masks, ranges, ASIDs, and what a fence does.
#include "sbi/rfence.h"

#include "rt/paging.h"
#include "sbi/spec.h"

enum { FENCE_I, SFENCE, SFENCE_ASID, HFENCE_GVMA_VMID, HFENCE_GVMA, HFENCE_VVMA_ASID, HFENCE_VVMA };

/* ---- what it does: code, or a mapping, that changes under a hart which has used it ---- */

static uint64_t pages[2][512] __attribute__((aligned(4096)));
static uint32_t code[2] __attribute__((aligned(8)));
static volatile uint64_t ask, answer;

static uint64_t look(bool is_code)
{
    return is_code ? ((uint64_t (*)(void))code)() : *(volatile uint64_t *)window_va(0);
}

static void change(bool is_code, uint64_t to)
{
    if (is_code)
        *(volatile uint32_t *)code = (uint32_t)to << 20 | 0x513; /* li a0, to */
    else
        window_map(0, (uint64_t)pages[to & 1], PTE_RWX);
    __asm__ volatile("fence rw, rw" ::: "memory");
}

static void look_often(void *arg)
{
    bool is_code = (uint64_t)arg & 1;

    paging_on();
    for (uint64_t i = 1; i <= (uint64_t)arg >> 1; i++) {
        while (ask < i)
            ;
        answer = i << 8 | look(is_code);
    }
    paging_off();
}

static const uint64_t ranges[][2] = {
    {0, 0},
    {0, ~0ul},
    {~0ul, ~0ul},
    {WINDOW_VA, 4096},
    {WINDOW_VA + 4095, 1},
    {WINDOW_VA - 4096, 3 * 4096},
    {WINDOW_VA - 1, 2},
    {WINDOW_VA, 1ul << 30},
    {0, 1ul << 63},
};

static void check_remote(const struct fencer *f, unsigned n)
{
    uint64_t rounds = ARRAY_LEN(ranges), done = 0;

    ask = answer = 0;
    change(f->code, 0);
    if (!hart_run(n, look_often, (void *)(rounds << 1 | f->code))) {
        check(false, "hart %u does not start", n);
        return;
    }
    for (uint64_t i = 1; i <= rounds; i++) {
        uint64_t end = rt_patience(), to = i & 1;

        change(f->code, to);
        f->fence(harts[n].id, ranges[i - 1][0], ranges[i - 1][1]);
        ask = i;
        while (answer >> 8 != i && rdtime() < end)
            ;
        done += answer == (i << 8 | to);
    }
    check(done == rounds, "hart %lx saw the change %lu of %lu times", harts[n].id, done, rounds);
    check(hart_wait(n), "hart %u does not end", n);
}

static void check_self(const struct fencer *f)
{
    paging_on();
    change(f->code, 0);
    f->fence(harts[0].id, 0, 0);
    for (unsigned i = 0; i < ARRAY_LEN(ranges); i++) {
        uint64_t to = ~i & 1;

        look(f->code);
        change(f->code, to);
        f->fence(harts[0].id, ranges[i][0], ranges[i][1]);
        check(look(f->code) == to, "range %lx, %lx: we do not see the change", ranges[i][0],
              ranges[i][1]);
    }
    paging_off();
}

void check_fencer(const struct fencer *f)
{
    pages[0][0] = 0;
    pages[1][0] = 1;
    code[1] = 0x00008067; /* ret */
    check_self(f);
    for (unsigned n = 1; n < rt_hart_count; n++)
        check_remote(f, n);
}

/* ---- the functions ---- */

static uint64_t fid, asid, start, size;

static struct sbi_ret call(uint64_t mask, uint64_t base)
{
    return CALL(SBI_RFENCE, fid, mask, base, start, size, asid);
}
static bool nothing(void) { return true; } /* fencing more than asked for is always right */

static void fence(uint64_t id, uint64_t from, uint64_t bytes)
{
    check_error(CALL(SBI_RFENCE, fid, 1, id, from, bytes, 0), SBI_OK, "hart %lx, %lx, %lx", id,
                from, bytes);
}

static void check_ranges(void)
{
    static const uint64_t odd[][2] = {
        {1, 1},
        {0, 1},
        {0xfff, 2},
        {4096, 0},
        {~0ul, 0},
        {~0ul, 1},
        {~0ul, 2},
        {~0ul - 4095, 4096},
        {~0ul - 4095, 8192},
        {1ul << 63, 1ul << 63},
        {1ul << 62, 1},
        {0, ~0ul - 1},
        {WINDOW_VA, ~0ul},
    };

    for (unsigned i = 0; i < ARRAY_LEN(odd); i++) {
        struct sbi_ret r = CALL(SBI_RFENCE, fid, 1, harts[0].id, odd[i][0], odd[i][1], 0);

        /* "start_addr or size is not valid": which those are is the implementation's to say */
        check_errors(r, ERR(SBI_OK) | natively(ERR(SBI_INVALID_ADDRESS)), "range %lx, %lx",
                     odd[i][0], odd[i][1]);
    }
}

/* ASIDs have at most 16 bits (satp): more is "asid is not valid". */
static void check_asids(void)
{
    static const uint64_t good[] = {0, 1, 0x7fff, 0xffff};
    static const uint64_t none[] = {0x10000, 0x7fffffff, 0x80000000, 1ul << 32, 1ul << 63, ~0ul};

    for (unsigned i = 0; i < ARRAY_LEN(good); i++)
        check_error(CALL(SBI_RFENCE, fid, 1, harts[0].id, 0, 0, good[i]), SBI_OK, "ASID %lx",
                    good[i]);
    for (unsigned i = 0; i < ARRAY_LEN(none); i++)
        check_errors(CALL(SBI_RFENCE, fid, 1, harts[0].id, 0, 0, none[i]),
                     ERR(SBI_INVALID_PARAM) | natively(ERR(SBI_OK)), "ASID %lx", none[i]);
}

static void check_function(uint64_t function)
{
    static struct fencer f = {false, fence};

    fid = function;
    asid = start = size = 0;
    f.code = function == FENCE_I;
    check_masks(call, nothing);
    if (function != FENCE_I)
        check_ranges();
    check_fencer(&f);
}

SPEC_CHECK(SBI_RFENCE, FENCE_I, rfence_fence_i) { check_function(FENCE_I); }
SPEC_CHECK(SBI_RFENCE, SFENCE, rfence_sfence) { check_function(SFENCE); }
SPEC_CHECK(SBI_RFENCE, SFENCE_ASID, rfence_sfence_asid)
{
    check_function(SFENCE_ASID);
    check_asids();
}

/* Harts without the hypervisor extension: NOT_SUPPORTED, whatever else is wrong. */
static void check_hfence(uint64_t function)
{
    static const uint64_t args[][5] = {
        {1, 0, 0, 0, 0},    {0, ~0ul, 0, ~0ul, 0}, {1, 4000, 0, 0, 0},
        {~0ul, 0, 0, 0, 0}, {1, 0, 4096, 4096, 1}, {1, 0, 0, 0, ~0ul},
    };

    fid = function;
    if (CALL(SBI_RFENCE, fid, 1, harts[0].id, 0, 0, 0).error == SBI_NOT_SUPPORTED) {
        spec_not_offered();
        for (unsigned i = 0; i < ARRAY_LEN(args); i++)
            check_error(
                CALL(SBI_RFENCE, fid, args[i][0], args[i][1], args[i][2], args[i][3], args[i][4]),
                SBI_NOT_SUPPORTED, "arguments %u", i);
    } else {
        asid = start = size = 0;
        check_masks(call, nothing);
        check_ranges();
    }
}

SPEC_CHECK(SBI_RFENCE, HFENCE_GVMA_VMID, rfence_gvma_vmid) { check_hfence(HFENCE_GVMA_VMID); }
SPEC_CHECK(SBI_RFENCE, HFENCE_GVMA, rfence_gvma) { check_hfence(HFENCE_GVMA); }
SPEC_CHECK(SBI_RFENCE, HFENCE_VVMA_ASID, rfence_vvma_asid) { check_hfence(HFENCE_VVMA_ASID); }
SPEC_CHECK(SBI_RFENCE, HFENCE_VVMA, rfence_vvma) { check_hfence(HFENCE_VVMA); }
