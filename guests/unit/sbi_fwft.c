// SPDX-License-Identifier: BSD-2-Clause
// Firmware features (SBI FWFT): what a hart may switch for itself.
#include "unit/unit.h"

#define SBI_FWFT 0x46574654u
#define DENIED_LOCKED (-14)
enum { MISALIGNED, LANDING_PAD, SHADOW_STACK, DOUBLE_TRAP, AD, PMLEN };

static struct sbi_ret set(uint64_t feature, uint64_t value, uint64_t flags)
{
    return sbi_call(SBI_FWFT, 0, feature, value, flags, 0, 0);
}

static struct sbi_ret get(uint64_t feature) { return sbi_call(SBI_FWFT, 1, feature, 0, 0, 0, 0); }

static bool there(uint64_t feature) { return get(feature).error == 0; }

UNIT_CASE(fwft_probe, 0)
{
    CHECK(sbi_call(SBI_BASE, 3, SBI_FWFT, 0, 0, 0, 0).value, "is missing");
    CHECK_SBI(sbi_call(SBI_FWFT, 2, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(sbi_call(SBI_FWFT, ~0ul, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
}

UNIT_CASE(fwft_reserved, 0)
{
    static const uint64_t ids[] = {6, 0x3fffffff, 0x40000000, 0x80000000, 0xc0000000, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
        CHECK_SBI(get(ids[i]), SBI_DENIED);
        CHECK_SBI(set(ids[i], 0, 0), SBI_DENIED);
    }
}

UNIT_CASE(fwft_bad_values, 0)
{
    for (unsigned f = MISALIGNED; f <= PMLEN; f++) {
        struct sbi_ret r = get(f);

        if (r.error) {
            CHECK_EQ(r.error, SBI_NOT_SUPPORTED);
            CHECK_SBI(set(f, 0, 0), SBI_NOT_SUPPORTED);
            continue;
        }
        CHECK_SBI(set(f, ~0ul, 0), SBI_INVALID_PARAM);
        CHECK_SBI(set(f, 0, 2), SBI_INVALID_PARAM);
        CHECK_SBI(set(f, 0, 1ul << 63), SBI_INVALID_PARAM);
        CHECK_EQ(get(f).value, r.value);
        CHECK_SBI(set(f, r.value, 0), SBI_OK);
    }
}

/* What guests do not have: honestly said. */
UNIT_CASE(fwft_not_for_guests, UNIT_TRAPLINE)
{
    for (unsigned f = LANDING_PAD; f <= DOUBLE_TRAP; f++) {
        CHECK_SBI(get(f), SBI_NOT_SUPPORTED);
        CHECK_SBI(set(f, 1, 0), SBI_NOT_SUPPORTED);
    }
    CHECK_EQ(there(AD), rt_has("svadu"));
}

static uint64_t page[512] __attribute__((aligned(4096)));

/* Traps of a store to a page whose PTE has neither A nor D. */
static unsigned traps_of_store(uint64_t va)
{
    trap_begin();
    *(volatile uint64_t *)va = 7;
    return trap_end().count;
}

UNIT_CASE(fwft_ad_updating, 0)
{
    bool off_traps = rt_has("svade");

    if (!there(AD))
        return;
    paging_on();
    CHECK_SBI(set(AD, 0, 0), SBI_OK);
    window_map(0, (uint64_t)page, PTE_V | PTE_R | PTE_W);
    __asm__ volatile("sfence.vma" ::: "memory");
    unsigned off = traps_of_store(window_va(0));
    CHECK_SBI(set(AD, 1, 0), SBI_OK);
    CHECK_EQ(get(AD).value, 1);
    window_map(1, (uint64_t)page, PTE_V | PTE_R | PTE_W);
    __asm__ volatile("sfence.vma" ::: "memory");
    unsigned on = traps_of_store(window_va(1));
    CHECK_SBI(set(AD, 0, 0), SBI_OK);
    paging_off();
    CHECK_EQ(get(AD).value, 0);
    CHECK_EQ(on, 0);
    CHECK(off == 1 || !off_traps, "off: %u traps", off);
    CHECK_EQ(page[0], 7);
}

/* That addresses are masked is not looked at: QEMU 10 takes henvcfg.PMM for a hart whose mstatus.MPV
 * is set, not for one that is in VS-mode. */
UNIT_CASE(fwft_pointer_masking, 0)
{
    if (!there(PMLEN))
        return;
    CHECK_EQ(get(PMLEN).value, 0);
    CHECK_SBI(set(PMLEN, 7, 0), SBI_OK);
    uint64_t got = get(PMLEN).value;
    CHECK_SBI(set(PMLEN, 17, 0), SBI_INVALID_PARAM);
    CHECK_SBI(set(PMLEN, 0, 0), SBI_OK);
    CHECK(got == 7 || got == 16, "PMLEN is %lu", got);
    CHECK_EQ(get(PMLEN).value, 0);
}

static void lock_ad(void *arg)
{
    uint64_t *to = arg;

    to[0] = get(AD).value;
    to[1] = (uint64_t)set(AD, 1, 1).error;
    to[2] = (uint64_t)set(AD, 0, 0).error;
    to[3] = get(AD).value;
}

static void stop_self(void *arg)
{
    struct hart *h = hart_self();

    (void)arg;
    __atomic_store_n(&h->run, NULL, __ATOMIC_RELEASE);
    sbi_call(SBI_HSM, 1, 0, 0, 0, 0, 0);
}

/* A lock holds until the hart is started again, and for that hart alone. */
UNIT_CASE(fwft_lock, UNIT_SMP)
{
    uint64_t seen[4], end = rdtime() + usec(5000000);

    if (!there(AD))
        return;
    for (unsigned round = 0; round < 2; round++) {
        CHECK(hart_run(1, lock_ad, seen), "hart did not start");
        CHECK(hart_wait(1), "hart does not end");
        CHECK(seen[0] == 0 || !rt_trapline, "round %u: not reset",
              round); /* OpenSBI: Svadu alone */
        CHECK_EQ(seen[1], SBI_OK);
        CHECK((long)seen[2] == DENIED_LOCKED || (!rt_trapline && (long)seen[2] == SBI_DENIED),
              "locked: %ld", (long)seen[2]);
        CHECK_EQ(seen[3], 1);
        CHECK_EQ(get(AD).value, 0);
        CHECK(hart_run(1, stop_self, NULL), "hart did not start");
        while (sbi_call(SBI_HSM, 2, harts[1].id, 0, 0, 0, 0).value != 1)
            CHECK(rdtime() < end, "hart does not stop");
    }
}
