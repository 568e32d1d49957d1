// SPDX-License-Identifier: BSD-2-Clause
// Stage-2 tables: modes, map, unmap, protect, split, merge, dirty harvest, trace; that nothing is
// half done when memory runs out, and nothing is freed before all harts have flushed.
// units: stage2/stage2.c stage2/walk.c stage2/map.c stage2/change.c stage2/dirty.c stage2/flush.c stage2/vmid.c hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c tests/fake/fake_base.c tests/fake/fake_mem.c tests/fake/fake_xcall.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/arch.h"
#include "fake_mem.h"
#include "fake_xcall.h"
#include "mem/frame.h"
#include "stage2/stage2.h"
#include "stage2/walk.h"

enum { RWX = PROT_R | PROT_W | PROT_X, OWNER = 5 };
static struct stage2 s2;
static uint64_t free_before;

static pa_t must_alloc(unsigned order)
{
    pa_t p;

    assert_int_equal(frame_alloc(order, FRAME_VM, OWNER, &p), 0);
    return p;
}

static int setup_mode(uint32_t modes, uint64_t end)
{
    pa_t keep;

    fake_mem_start(MIB(512));
    vmid_init(14);
    fake_xcalls = 0;
    fake_xcall_harts = 0;
    fake_xcall_hook = NULL;
    assert_int_equal(frame_alloc(0, FRAME_HYP, 0, &keep), 0); /* one block stays split */
    free_before = frame_free_count();
    stage2_modes = modes;
    return stage2_create(&s2, OWNER, end);
}

static int setup(void **state)
{
    (void)state;
    return setup_mode(1 << 8 | 1 << 9 | 1 << 10, GIB(4));
}

static int teardown(void **state)
{
    (void)state;
    fake_xcall_hook = NULL;
    stage2_destroy(&s2);
    assert_int_equal(s2.mapped_bytes, 0);
    return 0;
}

/* Independent of walk.c: what the hardware would find. */
static uint64_t hardware(uint64_t g, unsigned *level)
{
    unsigned l = (unsigned)s2.mode - 8 + 2;
    uint64_t table = s2.root.v, pte;

    for (;; l--) {
        uint64_t index = g >> (12 + 9 * l) & (l == (unsigned)s2.mode - 6 ? 0x7ff : 0x1ff);

        pte = ((uint64_t *)pa_to_hva(pa(table)))[index];
        if (!(pte & PTE_V))
            return 0;
        if (pte & (PTE_R | PTE_W | PTE_X)) {
            assert_true(pte & PTE_U && pte & PTE_A && !(pte & PTE_G));
            assert_true(!(pte & PTE_W) || (pte & PTE_R));
            assert_int_equal(pte >> 10 & (BIT(9 * l) - 1), 0); /* a misaligned superpage faults */
            *level = l;
            return pte;
        }
        assert_int_equal(pte & 0xfe, 0); /* A, D, U, G must be 0 in a pointer */
        assert_true(l > 0);
        table = pte >> 10 << 12;
    }
}

static void check(uint64_t g, uint64_t p, unsigned level, unsigned bits)
{
    struct stage2_leaf leaf;
    unsigned l;
    uint64_t pte = hardware(g, &l);

    assert_int_equal(l, level);
    assert_int_equal((pte >> 10 << 12) + (g & ((PAGE_SIZE << 9 * l) - 1)), p);
    assert_int_equal(pte & (PTE_R | PTE_W | PTE_X), bits);
    assert_int_equal(stage2_lookup(&s2, gpa(g), &leaf), 0);
    assert_int_equal(leaf.pa.v, p);
    assert_int_equal(leaf.page_size, PAGE_SIZE << 9 * level);
}

static void check_nothing(uint64_t g)
{
    struct stage2_leaf leaf;
    unsigned l;

    assert_int_equal(hardware(g, &l), 0);
    assert_int_equal(stage2_lookup(&s2, gpa(g), &leaf), -ENOENT);
}

static void destroy_returns_all(void)
{
    stage2_destroy(&s2);
    assert_int_equal(s2.mapped_bytes, 0);
    assert_int_equal(s2.table_frames, 0);
    assert_int_equal(frame_free_count(), free_before);
}

static void test_modes(void **state)
{
    (void)state;
    assert_int_equal(setup_mode(1 << 8 | 1 << 9 | 1 << 10, BIT(41)), 0);
    assert_int_equal(s2.mode, STAGE2_SV39X4);
    assert_true(is_aligned(s2.root.v, KIB(16)));
    assert_int_equal(s2.table_frames, 4);
    destroy_returns_all();
    assert_int_equal(setup_mode(1 << 8 | 1 << 9 | 1 << 10, BIT(41) + 1), 0);
    assert_int_equal(s2.mode, STAGE2_SV48X4);
    destroy_returns_all();
    assert_int_equal(setup_mode(1 << 10, 4096), 0);
    assert_int_equal(s2.mode, STAGE2_SV57X4);
    destroy_returns_all();
    assert_int_equal(setup_mode(1 << 8, BIT(41) + 1), -EINVAL);
    assert_int_equal(setup_mode(0, 1), -EINVAL);
    assert_int_equal(setup_mode(1 << 10, BIT(59) + 1), -EINVAL);
    assert_string_equal(stage2_mode_name(STAGE2_SV48X4), "Sv48x4");
    assert_int_equal(stage2_mode_gpa_bits(STAGE2_SV57X4), 59);
}

/* Every mode maps at its very top. */
static void test_top_of_range(void **state)
{
    static const unsigned mode[] = {8, 9, 10};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t end = BIT(stage2_mode_gpa_bits(mode[i]));

        assert_int_equal(setup_mode(1u << mode[i], end), 0);
        pa_t p = must_alloc(0);
        assert_int_equal(stage2_map(&s2, gpa(end - PAGE_SIZE), p, PAGE_SIZE, RWX, 0), 0);
        check(end - PAGE_SIZE, p.v, 0, 14);
        check_nothing(0);
        check_nothing(end - 2 * PAGE_SIZE);
        assert_int_equal(stage2_map(&s2, gpa(end), p, PAGE_SIZE, RWX, 0), -EINVAL);
        assert_int_equal(stage2_map(&s2, gpa(end - PAGE_SIZE), p, 2 * PAGE_SIZE, RWX, 0), -EINVAL);
        struct stage2_step step[5];
        unsigned n = stage2_trace(&s2, gpa(end - PAGE_SIZE), step);
        assert_int_equal(n, mode[i] - 5);
        assert_int_equal(step[0].index, 2047);
        assert_int_equal(step[0].table.v, s2.root.v);
        assert_int_equal(step[n - 1].index, 511);
        assert_int_equal(step[n - 1].level, 0);
        assert_int_equal(stage2_trace(&s2, gpa(0), step), 1);
        assert_int_equal(stage2_trace(&s2, gpa(end), step), 0);
        frame_put(p);
        destroy_returns_all();
    }
}

static void test_map_sizes(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    /* 4 KiB pages up to a 2 MiB boundary, 2 MiB pages, and a rest; device memory, so no frames. */
    assert_int_equal(stage2_map(&s2, gpa(0x1ff000), pa(0x10001ff000), MIB(4) + 0x2000, RWX, 0), 0);
    check(0x1ff000, 0x10001ff000, 0, 14);
    check(0x200000, 0x1000200000, 1, 14);
    check(0x5fffff, 0x10005fffff, 1, 14);
    check(0x600000, 0x1000600000, 0, 14);
    check_nothing(0x601000);
    check_nothing(0x1fe000);
    assert_int_equal(s2.mapped_bytes, MIB(4) + 0x2000);
    /* Unlike alignment: small pages. */
    assert_int_equal(stage2_map(&s2, gpa(MIB(16)), pa(0x1000001000), MIB(2), PROT_R, 0), 0);
    check(MIB(18) - 1, 0x1000200fff, 0, 2);
    /* 1 GiB. */
    assert_int_equal(stage2_map(&s2, gpa(GIB(1)), pa(GIB(64)), GIB(2), PROT_R | PROT_X, 0), 0);
    check(GIB(3) - 1, GIB(66) - 1, 2, 10);
    /* Something is there: nothing is changed. */
    uint64_t tables = s2.table_frames, mapped = s2.mapped_bytes;
    assert_int_equal(stage2_map(&s2, gpa(MIB(14)), pa(GIB(99)), MIB(4), RWX, 0), -EEXIST);
    assert_int_equal(stage2_map(&s2, gpa(MIB(512)), pa(GIB(99)), GIB(2), RWX, 0), -EEXIST);
    check_nothing(MIB(14));
    assert_int_equal(s2.table_frames, tables);
    assert_int_equal(s2.mapped_bytes, mapped);
    assert_int_equal(stage2_map(&s2, gpa(1), pa(0), 4096, RWX, 0), -EINVAL);
    assert_int_equal(stage2_map(&s2, gpa(0), pa(1), 4096, RWX, 0), -EINVAL);
    assert_int_equal(stage2_map(&s2, gpa(0), pa(0), 4095, RWX, 0), -EINVAL);
    assert_int_equal(stage2_map(&s2, gpa(0), pa(0), 0, RWX, 0), -EINVAL);
    assert_int_equal(stage2_map(&s2, gpa(0), pa(0), 4096, 0, 0), -EINVAL);
    assert_int_equal(stage2_map(&s2, gpa(0), pa(0), 4096, PROT_W, 0), -EINVAL);
    assert_int_equal(stage2_map(&s2, gpa(0), pa(0), 4096, 8 | PROT_R, 0), -EINVAL);
    assert_int_equal(stage2_map(&s2, gpa(0), pa(BIT(56) - 4096), 8192, RWX, 0), -EINVAL);
    assert_int_equal(stage2_map(&s2, gpa(UINT64_MAX - 4095), pa(0), 4096, RWX, 0), -EINVAL);
    assert_int_equal(stage2_unmap(&s2, gpa(UINT64_MAX - 4095), 8192, &f), -EINVAL);
    destroy_returns_all();
}

static void test_references(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    pa_t b = must_alloc(9);
    assert_int_equal(stage2_map(&s2, gpa(GIB(2)), b, MIB(2), RWX, 0), 0);
    assert_int_equal(frame_query(b).refs, 2);
    assert_int_equal(frame_query(b).order, 9);
    /* A part of it elsewhere: the block is split, each frame counted by itself. */
    assert_int_equal(stage2_map(&s2, gpa(0), pa_add(b, 0x4000), 0x2000, RWX, 0), 0);
    assert_int_equal(frame_query(b).order, 0);
    assert_int_equal(frame_query(b).refs, 2);
    assert_int_equal(frame_query(pa_add(b, 0x4000)).refs, 3);
    frame_put_range(b, MIB(2));
    assert_int_equal(stage2_unmap(&s2, gpa(GIB(2)), MIB(2), &f), 0);
    assert_int_equal(frame_query(b).refs, 1); /* not before the flush */
    stage2_flush_commit(&f);
    assert_int_equal(frame_query(b).state, FRAME_FREE);
    assert_int_equal(frame_query(pa_add(b, 0x4000)).refs, 1);
    assert_int_equal(frame_query(pa_add(b, 0x5000)).refs, 1);
    assert_int_equal(frame_query(pa_add(b, 0x6000)).state, FRAME_FREE);
    destroy_returns_all();
}

static pa_t watched;
static unsigned watched_flushes;
static bool watched_once;
static void frames_are_still_there(void)
{
    if (watched_once)
        fake_xcall_hook = NULL;
    assert_int_not_equal(frame_query(watched).state, FRAME_FREE);
    watched_flushes++;
}

static void test_unmap_frees_after_flush(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    watched = must_alloc(9);
    assert_int_equal(stage2_map(&s2, gpa(MIB(4)), watched, MIB(2), RWX, 0), 0);
    frame_put(watched);
    for (unsigned h = 0; h < 4; h++) {
        fake_hart = h;
        (void)vmid_load(&s2);
    }
    fake_hart = 2;
    fake_fences = fake_xcalls = 0;
    fake_xcall_hook = frames_are_still_there;
    watched_flushes = 0;
    watched_once = false;
    /* One page of the 2 MiB leaf. */
    watched = pa_add(watched, 0x3000);
    assert_int_equal(stage2_unmap(&s2, gpa(MIB(4) + 0x3000), PAGE_SIZE, &f), 0);
    check_nothing(MIB(4) + 0x3000);
    check(MIB(4) + 0x2fff, watched.v - 1, 0, 14);
    check(MIB(4) + 0x4000, watched.v + 0x1000, 0, 14);
    stage2_flush_commit(&f);
    assert_int_equal(watched_flushes, 1);
    for (unsigned h = 0; h < 4; h++)
        assert_int_equal(fake_fence_count(FENCE_GVMA_VMID, h), 1);
    assert_int_equal(fake_fence_count(FENCE_GVMA_VMID, 4), 0);
    assert_int_equal(fake_hart, 2);
    assert_int_equal(frame_query(watched).state, FRAME_FREE);
    assert_int_equal(s2.mapped_bytes, MIB(2) - PAGE_SIZE);
    /* A small range is flushed page by page. */
    fake_fences = 0;
    watched = pa_add(watched, 0x1000);
    assert_int_equal(stage2_unmap(&s2, gpa(MIB(4) + 0x4000), 2 * PAGE_SIZE, &f), 0);
    stage2_flush_commit(&f);
    assert_int_equal(fake_fence_count(FENCE_GVMA_GPA, 3), 2);
    assert_int_equal(fake_fence[0].gpa, MIB(4) + 0x4000);
    assert_int_equal(fake_fence[0].vmid, s2.vmid & 0xffff);
    assert_int_equal(fake_fence_count(FENCE_GVMA_VMID, 3), 0);
    /* Nothing is mapped there: no flush, no error. */
    unsigned before = fake_xcalls;
    assert_int_equal(stage2_unmap(&s2, gpa(GIB(3)), MIB(64), &f), 0);
    stage2_flush_commit(&f);
    assert_int_equal(fake_xcalls, before);
    /* And the rest, by destroying it while it is loaded everywhere. */
    watched = pa_add(watched, 0x10000);
    watched_once = true;
    destroy_returns_all();
    assert_int_equal(watched_flushes, 3);
    assert_int_equal(s2.harts, 0);
    assert_int_equal(arch_hgatp_read(), 0);
}

/* A table that goes as a whole, with entries that went before it in another batch, committed in
 * both orders. */
static void test_batches_overlap(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 3; order++) {
        struct stage2_flush f = STAGE2_FLUSH_INIT(&s2), g = STAGE2_FLUSH_INIT(&s2);

        setup(NULL);
        pa_t p = must_alloc(8);
        assert_int_equal(stage2_map(&s2, gpa(MIB(2)), p, MIB(1), RWX, 0), 0);
        frame_put_range(p, MIB(1));
        assert_int_equal(stage2_unmap(&s2, gpa(MIB(2) + 0x5000), 0x1000, &f), 0);
        assert_int_equal(stage2_unmap(&s2, gpa(0), GIB(1), &g), 0);
        check_nothing(MIB(2));
        if (order == 0)
            stage2_flush_commit(&f);
        stage2_flush_commit(&g);
        assert_int_equal(frame_query(p).state, FRAME_FREE);
        assert_int_equal(s2.mapped_bytes, 0);
        if (order == 1)
            stage2_flush_commit(&f); /* else it is lost */
        destroy_returns_all();
    }
}

static struct stage2_flush second;
static void unmap_meanwhile(void)
{
    fake_xcall_hook = NULL;
    assert_int_equal(stage2_unmap(&s2, gpa(0x3000), PAGE_SIZE, &second), 0);
}

/* What another hart takes out while this one waits for its flush has not been flushed, so it stays. */
static void test_unmap_during_flush(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    second = f;
    (void)vmid_load(&s2);
    pa_t p = must_alloc(3);
    assert_int_equal(stage2_map(&s2, gpa(0), p, 8 * PAGE_SIZE, RWX, 0), 0);
    frame_put_range(p, 8 * PAGE_SIZE);
    assert_int_equal(stage2_unmap(&s2, gpa(0x2000), PAGE_SIZE, &f), 0);
    flush_add(&f, 0, 8 * PAGE_SIZE);
    fake_xcall_hook = unmap_meanwhile;
    stage2_flush_commit(&f);
    assert_int_equal(frame_query(pa_add(p, 0x2000)).state, FRAME_FREE);
    assert_int_equal(frame_query(pa_add(p, 0x3000)).refs, 1);
    /* Mapping over it flushes first. */
    pa_t q = must_alloc(0);
    assert_int_equal(stage2_map(&s2, gpa(0x3000), q, PAGE_SIZE, RWX, 0), 0);
    assert_int_equal(frame_query(pa_add(p, 0x3000)).state, FRAME_FREE);
    frame_put(q);
    stage2_flush_commit(&second); /* must not free what is there now */
    check(0x3000, q.v, 0, 14);
    assert_int_equal(frame_query(q).refs, 1);
    destroy_returns_all();
}

static void test_protect(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    (void)vmid_load(&s2);
    pa_t b = must_alloc(10);
    assert_int_equal(stage2_map(&s2, gpa(0), b, MIB(4), RWX, 0), 0);
    assert_int_equal(stage2_protect(&s2, gpa(MIB(1)), MIB(2), PROT_R, &f), 0);
    check(MIB(1) - 1, b.v + MIB(1) - 1, 0, 14);
    check(MIB(1), b.v + MIB(1), 0, 2);
    check(MIB(3) - 1, b.v + MIB(3) - 1, 0, 2);
    check(MIB(3), b.v + MIB(3), 0, 14);
    assert_true(f.start == 0 && f.end == MIB(4));
    unsigned before = fake_xcalls;
    stage2_flush_commit(&f);
    assert_int_equal(fake_xcalls, before + 1);
    stage2_flush_commit(&f); /* empty now */
    assert_int_equal(fake_xcalls, before + 1);
    assert_int_equal(stage2_protect(&s2, gpa(0), MIB(4), RWX, &f), 0);
    stage2_flush_commit(&f);
    check(MIB(2), b.v + MIB(2), 0, 14);
    assert_int_equal(stage2_protect(&s2, gpa(0), MIB(4), 0, &f), -EINVAL);
    assert_int_equal(stage2_protect(&s2, gpa(0), MIB(4), PROT_W, &f), -EINVAL);
    assert_int_equal(stage2_protect(&s2, gpa(0), 77, RWX, &f), -EINVAL);
    /* A copy-on-write page does not become writable so. */
    pa_t c = must_alloc(0);
    assert_int_equal(stage2_map(&s2, gpa(GIB(1)), c, PAGE_SIZE, RWX, PTE_SOFT_COW), 0);
    check(GIB(1), c.v, 0, 10);
    assert_int_equal(stage2_protect(&s2, gpa(GIB(1)), PAGE_SIZE, RWX, &f), 0);
    check(GIB(1), c.v, 0, 10);
    frame_put_range(b, MIB(4));
    frame_put(c);
    destroy_returns_all();
}

static void test_split_merge(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    (void)vmid_load(&s2);
    pa_t b = must_alloc(9);
    assert_int_equal(stage2_map(&s2, gpa(MIB(6)), b, MIB(2), RWX, 0), 0);
    frame_put(b);
    uint64_t tables = s2.table_frames, n = frame_free_count();
    assert_int_equal(stage2_split(&s2, gpa(MIB(6) + 0x123456), MIB(2), &f), 0); /* nothing to do */
    assert_int_equal(s2.table_frames, tables);
    assert_int_equal(stage2_split(&s2, gpa(MIB(6) + 0x123456), PAGE_SIZE, &f), 0);
    stage2_flush_commit(&f);
    for (unsigned i = 0; i < 512; i++) {
        check(MIB(6) + i * PAGE_SIZE, b.v + i * PAGE_SIZE, 0, 14);
        assert_int_equal(frame_query(pa_add(b, i * PAGE_SIZE)).refs, 1);
    }
    assert_int_equal(stage2_split(&s2, gpa(0), PAGE_SIZE, &f), 0); /* no leaf */
    assert_int_equal(stage2_split(&s2, gpa(0), 12345, &f), -EINVAL);
    assert_int_equal(stage2_split(&s2, gpa(UINT64_MAX), PAGE_SIZE, &f), -EINVAL);
    /* One differs. */
    assert_int_equal(stage2_protect(&s2, gpa(MIB(8) - PAGE_SIZE), PAGE_SIZE, PROT_R, &f), 0);
    assert_int_equal(stage2_merge(&s2, gpa(MIB(6)), &f), -ENOENT);
    assert_int_equal(stage2_protect(&s2, gpa(MIB(8) - PAGE_SIZE), PAGE_SIZE, RWX, &f), 0);
    assert_int_equal(stage2_merge(&s2, gpa(MIB(6) + 0x77000), &f), 0);
    check(MIB(6) + 0x1fffff, b.v + 0x1fffff, 1, 14);
    stage2_flush_commit(&f);
    assert_int_equal(s2.table_frames, tables);
    assert_int_equal(frame_free_count(), n - 1); /* the block's frames stay split */
    assert_int_equal(stage2_merge(&s2, gpa(MIB(6)), &f), -ENOENT); /* its neighbours are missing */
    assert_int_equal(stage2_merge(&s2, gpa(GIB(3)), &f), -ENOENT);
    assert_int_equal(stage2_merge(&s2, gpa(UINT64_MAX), &f), -EINVAL);
    destroy_returns_all();
}

/* The batch of a merge is lost: the next flush frees the table, whatever its range; or the end does. */
static void test_merge_lost_batch(void **state)
{
    struct stage2_flush lost = STAGE2_FLUSH_INIT(&s2), next = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    assert_int_equal(stage2_map(&s2, gpa(GIB(1)), pa(GIB(64)), GIB(1), RWX, 0), 0);
    assert_int_equal(stage2_split(&s2, gpa(GIB(1)), PAGE_SIZE, &next), 0);
    stage2_flush_commit(&next);
    uint64_t tables = s2.table_frames;
    assert_int_equal(stage2_merge(&s2, gpa(GIB(1)), &lost), 0);
    assert_int_equal(stage2_unmap(&s2, gpa(GIB(1) + MIB(4)), MIB(2), &next), 0);
    assert_int_equal(s2.table_frames, tables);
    stage2_flush_commit(&next);
    assert_int_equal(s2.table_frames, tables - 1);
    assert_int_equal(stage2_merge(&s2, gpa(GIB(1)), &lost), -ENOENT);
    destroy_returns_all();
}

static void test_gigabyte(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    /* Device memory: 1 GiB down to 4 KiB and back up. */
    assert_int_equal(stage2_map(&s2, gpa(GIB(1)), pa(GIB(64)), GIB(1), RWX, 0), 0);
    uint64_t tables = s2.table_frames;
    assert_int_equal(stage2_split(&s2, gpa(GIB(1) + MIB(6) + 0x3000), PAGE_SIZE, &f), 0);
    assert_int_equal(s2.table_frames, tables + 2);
    check(GIB(1) + MIB(6) + 0x3000, GIB(64) + MIB(6) + 0x3000, 0, 14);
    check(GIB(1) + MIB(4), GIB(64) + MIB(4), 1, 14);
    check(GIB(2) - 1, GIB(65) - 1, 1, 14);
    assert_int_equal(stage2_merge(&s2, gpa(GIB(1)), &f), -ENOENT); /* one is split */
    assert_int_equal(stage2_merge(&s2, gpa(GIB(1) + MIB(6)), &f), 0);
    assert_int_equal(stage2_merge(&s2, gpa(GIB(1)), &f), 0);
    check(GIB(2) - 1, GIB(65) - 1, 2, 14);
    assert_int_equal(stage2_merge(&s2, gpa(GIB(1)), &f), -ENOENT); /* the root */
    stage2_flush_commit(&f);
    assert_int_equal(s2.table_frames, tables);
    assert_int_equal(s2.mapped_bytes, GIB(1));
    destroy_returns_all();
}

struct dirty {
    uint64_t bytes, first;
    unsigned calls;
};
static void note_dirty(void *ctx, gpa_t g, uint64_t size)
{
    struct dirty *d = ctx;

    if (!d->calls++)
        d->first = g.v;
    d->bytes += size;
}

static void guest_writes(uint64_t g)
{
    struct walk_point p = walk_point(&s2, g);

    assert_true(pte_is_leaf(p.pte));
    *p.slot |= PTE_A | PTE_D; /* as hardware with Svadu does */
}

static void test_dirty(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);
    struct dirty d = {0};

    (void)state;
    pa_t b = must_alloc(10);
    assert_int_equal(stage2_map(&s2, gpa(0), b, MIB(4), RWX, 0), 0);
    frame_put_range(b, MIB(4));
    assert_int_equal(stage2_split(&s2, gpa(0), PAGE_SIZE, &f), 0);
    stage2_flush_commit(&f);
    assert_int_equal(stage2_dirty_start(&s2, gpa(0), MIB(4), &f), 0);
    assert_true(f.start == 0 && f.end == MIB(4));
    stage2_flush_commit(&f);
    assert_int_equal(stage2_dirty_harvest(&s2, gpa(0), MIB(4), note_dirty, &d, &f), 0);
    assert_int_equal(d.calls, 0);
    assert_true(f.start >= f.end);
    guest_writes(0x7000);
    guest_writes(MIB(2) + 0x7000);
    check(0x7000, b.v + 0x7000, 0, 14); /* W stays */
    assert_int_equal(stage2_dirty_harvest(&s2, gpa(0), MIB(4), note_dirty, &d, &f), 0);
    assert_int_equal(d.calls, 2);
    assert_int_equal(d.first, 0x7000);
    assert_int_equal(d.bytes, PAGE_SIZE + MIB(2));
    assert_true(f.start == 0x7000 && f.end == MIB(4));
    stage2_flush_commit(&f);
    d.calls = 0;
    assert_int_equal(stage2_dirty_harvest(&s2, gpa(0), MIB(4), note_dirty, &d, &f), 0);
    assert_int_equal(d.calls, 0);
    /* A leaf that was split stays as clean or dirty as it was. */
    guest_writes(MIB(3));
    assert_int_equal(stage2_split(&s2, gpa(MIB(2)), PAGE_SIZE, &f), 0);
    assert_int_equal(stage2_dirty_harvest(&s2, gpa(0), MIB(4), note_dirty, &d, &f), 0);
    assert_int_equal(d.calls, 512);
    /* Merged, it counts as dirty. */
    d.calls = 0;
    assert_int_equal(stage2_merge(&s2, gpa(0), &f), 0);
    assert_int_equal(stage2_dirty_harvest(&s2, gpa(0), MIB(4), note_dirty, &d, &f), 0);
    assert_int_equal(d.calls, 1);
    stage2_flush_commit(&f);
    destroy_returns_all();
}

static void note_leaf(void *ctx, gpa_t g, const struct stage2_leaf *leaf)
{
    struct dirty *d = ctx;

    assert_true(g.v >= d->first);
    d->first = g.v + leaf->page_size;
    d->bytes += leaf->page_size;
    d->calls++;
}

static void test_for_each(void **state)
{
    struct dirty d = {0};

    (void)state;
    assert_int_equal(stage2_map(&s2, gpa(0x1000), pa(GIB(9) + 0x1000), MIB(4), RWX, 0), 0);
    assert_int_equal(stage2_map(&s2, gpa(GIB(3)), pa(GIB(9)), GIB(1), RWX, 0), 0);
    stage2_for_each(&s2, gpa(0), UINT64_MAX, note_leaf, &d);
    assert_int_equal(d.bytes, MIB(4) + GIB(1));
    assert_int_equal(d.calls, 511 + 1 + 1 + 1);
    stage2_for_each(&s2, gpa(UINT64_MAX), 5, note_leaf, &d);
    assert_int_equal(d.calls, 514);
}

/* ---- running out of memory at every point ---- */

static pa_t hoard[150000];
static unsigned hoarded;

static void leave_frames(unsigned n)
{
    for (hoarded = 0; !frame_alloc(0, FRAME_HYP, 0, &hoard[hoarded]); hoarded++)
        ;
    while (n--)
        frame_put(hoard[--hoarded]);
}

static uint64_t tree_hash(void)
{
    uint64_t h = s2.mapped_bytes;
    struct stage2_leaf leaf;

    for (uint64_t g = 0; g < MIB(8); g += PAGE_SIZE) {
        h = h * 31 + (stage2_lookup(&s2, gpa(g), &leaf) ? 7 : leaf.pte * 3 + leaf.page_size);
    }
    return h * 31 + s2.table_frames;
}

typedef int (*operation)(struct stage2_flush *f);
static int op_map(struct stage2_flush *f)
{
    (void)f;
    return stage2_map(&s2, gpa(GIB(2) - MIB(3) - 0x1000), pa(GIB(64) + 0x1000), MIB(5) + 0x2000,
                      RWX, 0);
}
static int op_map_part(struct stage2_flush *f)
{
    struct stage2_leaf leaf;

    (void)f;
    if (stage2_lookup(&s2, gpa(MIB(2)), &leaf))
        return -EIO;
    return stage2_map(&s2, gpa(GIB(3)), pa_add(leaf.pa, 0x1000), 0x1000, RWX, 0);
}
static int op_unmap(struct stage2_flush *f) { return stage2_unmap(&s2, gpa(MIB(1)), MIB(4), f); }
static int op_protect(struct stage2_flush *f)
{
    return stage2_protect(&s2, gpa(0x5000), MIB(4), PROT_R, f);
}
static int op_split(struct stage2_flush *f) { return stage2_split(&s2, gpa(MIB(2)), PAGE_SIZE, f); }
static int op_dirty(struct stage2_flush *f)
{
    return stage2_dirty_start(&s2, gpa(0x5000), MIB(4), f);
}

static void test_out_of_memory(void **state)
{
    static const struct {
        operation op;
        unsigned least;
    } ops[] = {{op_map, 3},     {op_map_part, 2}, {op_unmap, 2},
               {op_protect, 2}, {op_split, 2},    {op_dirty, 2}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
        int r = -ENOMEM;

        for (unsigned n = 0; r == -ENOMEM; n++) {
            struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);
            uint64_t hash, left;

            assert_true(n < 20);
            setup(NULL);
            for (unsigned k = 0; k < 4; k++) {
                pa_t b = must_alloc(9);
                assert_int_equal(stage2_map(&s2, gpa(k * MIB(2)), b, MIB(2), RWX, 0), 0);
                frame_put(b);
            }
            leave_frames(n);
            left = frame_free_count();
            hash = tree_hash();
            r = ops[i].op(&f);
            if (r == -ENOMEM) {
                assert_int_equal(tree_hash(), hash);
                assert_true(f.start >= f.end && !f.busy);
                /* Blocks may have been split by then: harmless, and bounded. */
                assert_true(frame_free_count() + 2 >= left);
            } else {
                assert_int_equal(r, 0);
                assert_true(n >= ops[i].least);
                assert_true(tree_hash() != hash || i < 2);
            }
            stage2_flush_commit(&f);
            while (hoarded)
                frame_put(hoard[--hoarded]);
            stage2_destroy(&s2);
            assert_true(frame_free_count() + 1 >= free_before);
        }
    }
    for (unsigned n = 0; n < 4; n++) {
        setup(NULL);
        stage2_destroy(&s2);
        leave_frames(n);
        assert_int_equal(stage2_create(&s2, OWNER, GIB(1)), -ENOMEM);
    }
}

/* Random changes against a page-by-page model. */
static void test_random(void **state)
{
    enum { PAGES = MIB(8) / PAGE_SIZE };
    static struct {
        uint64_t pa;
        uint8_t prot;
    } model[PAGES];
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    memset(model, 0, sizeof(model));
    srand(3);
    pa_t ram = must_alloc(12);
    for (unsigned i = 0; i < 3000; i++) {
        unsigned first = (unsigned)rand() % PAGES, count = (unsigned)rand() % (PAGES - first) + 1;
        uint64_t g = first * PAGE_SIZE, size = count * PAGE_SIZE;
        unsigned prot = PROT_R | ((unsigned)rand() & (PROT_W | PROT_X));
        bool any = false;

        if (rand() % 2) { /* whole 2 MiB pieces are worth a visit */
            first &= ~511u;
            count = (count + 511) & ~511u;
            if (first + count > PAGES)
                count = PAGES - first;
            g = first * PAGE_SIZE;
            size = count * PAGE_SIZE;
        }
        for (unsigned k = first; k < first + count; k++)
            any |= model[k].prot != 0;
        switch (rand() % 6) {
        case 0:
        case 1: {
            uint64_t p = ram.v + g + (rand() % 4 ? 0 : PAGE_SIZE);
            int r = stage2_map(&s2, gpa(g), pa(p), size, prot, 0);

            assert_int_equal(r, any ? -EEXIST : 0);
            for (unsigned k = first; k < first + count && !r; k++) {
                model[k].pa = p + (k - first) * PAGE_SIZE;
                model[k].prot = (uint8_t)prot;
            }
            break;
        }
        case 2:
            assert_int_equal(stage2_unmap(&s2, gpa(g), size, &f), 0);
            for (unsigned k = first; k < first + count; k++)
                model[k].prot = 0;
            break;
        case 3:
            assert_int_equal(stage2_protect(&s2, gpa(g), size, prot, &f), 0);
            for (unsigned k = first; k < first + count; k++) {
                if (model[k].prot)
                    model[k].prot = (uint8_t)prot;
            }
            break;
        case 4:
            assert_int_equal(stage2_split(&s2, gpa(g), PAGE_SIZE, &f), 0);
            break;
        case 5:
            (void)!stage2_merge(&s2, gpa(g), &f);
            break;
        }
        if (rand() % 3)
            stage2_flush_commit(&f);
        uint64_t mapped = 0;
        for (unsigned k = 0; k < PAGES; k++) {
            unsigned l;
            uint64_t pte = hardware(k * PAGE_SIZE, &l);

            assert_int_equal(pte & 14, model[k].prot << 1);
            if (pte)
                assert_int_equal((pte >> 10 << 12) + (k * PAGE_SIZE & ((PAGE_SIZE << 9 * l) - 1)),
                                 model[k].pa);
            mapped += pte ? PAGE_SIZE : 0;
        }
        assert_true(s2.mapped_bytes >= mapped);
    }
    stage2_flush_commit(&f);
    for (uint64_t at = 0; at < MIB(16);) { /* our own references */
        pa_t q = pa_add(ram, at);

        at += PAGE_SIZE << frame_query(q).order;
        frame_put(q);
    }
    destroy_returns_all();
}

static void test_vmids(void **state)
{
    static struct stage2 vm[5];
    uint64_t hgatp[5];

    (void)state;
    vmid_init(2); /* VMIDs 1, 2, 3 */
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(stage2_create(&vm[i], (uint16_t)(i + 1), GIB(1)), 0);
    fake_fences = 0;
    for (unsigned i = 0; i < 3; i++) {
        hgatp[i] = vmid_load(&vm[i]);
        assert_int_equal(hgatp[i] >> 60, 8);
        assert_int_equal(hgatp[i] >> 44 & 0x3fff, i + 1);
        assert_int_equal(hgatp[i] & HGATP_PPN_MASK, vm[i].root.v >> 12);
        assert_int_equal(vm[i].harts, 1);
    }
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 0), 1); /* this hart's first */
    assert_int_equal(fake_fence_count(FENCE_VVMA, 0), 3); /* VS-stage: each VMID's first */
    assert_int_equal(vmid_load(&vm[0]), hgatp[0]);
    assert_int_equal(fake_fences, 4);
    fake_hart = 1;
    assert_int_equal(vmid_load(&vm[0]), hgatp[0]); /* one VMID for all harts */
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 1), 1);
    assert_int_equal(vm[0].harts, 3);
    /* The fourth: a new generation on hart 1; hart 0 goes on with vm[0] by its old VMID. */
    hgatp[3] = vmid_load(&vm[3]);
    assert_int_equal(hgatp[3] >> 44 & 0x3fff, 1);
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 1), 2);
    assert_int_equal(arch_hgatp_read(), hgatp[3]); /* written before the fence */
    hgatp[0] = vmid_load(&vm[0]);
    assert_int_equal(hgatp[0] >> 44 & 0x3fff, 2);
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 1), 2);
    assert_int_equal(fake_fence_count(FENCE_VVMA, 1), 3); /* 2 was vm[1]'s */
    /* A flush of vm[0] uses on each hart the VMID that is loaded there. */
    struct stage2_flush f = STAGE2_FLUSH_INIT(&vm[0]);
    flush_add(&f, 0x5000, 0x1000);
    fake_fences = 0;
    stage2_flush_commit(&f);
    assert_int_equal(fake_fences, 2);
    for (unsigned i = 0; i < 2; i++) {
        bool gpa_fence = fake_fence[i].kind == FENCE_GVMA_GPA;

        /* Hart 0 has vm[0] loaded since the loop above, as 1; hart 1 as 2. */
        assert_true(gpa_fence && fake_fence[i].vmid == fake_fence[i].hart + 1);
    }
    /* Hart 0 loads the new generation: it flushes everything first. */
    fake_hart = 0;
    fake_fences = 0;
    assert_int_equal(vmid_load(&vm[0]), hgatp[0]);
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 0), 1);
    /* A hart where another is loaded now flushes all of vm[0] and is asked no more. */
    (void)vmid_load(&vm[1]);
    f = (struct stage2_flush)STAGE2_FLUSH_INIT(&vm[0]);
    flush_add(&f, 0x5000, 0x1000);
    fake_fences = 0;
    stage2_flush_commit(&f);
    assert_int_equal(fake_fence_count(FENCE_GVMA_VMID, 0), 1);
    assert_int_equal(fake_fence_count(FENCE_GVMA_GPA, 1), 1);
    assert_int_equal(vm[0].harts, 2);
    for (unsigned i = 0; i < 5; i++)
        stage2_destroy(&vm[i]);
    fake_hart = 0;
}

static void test_no_vmids(void **state)
{
    struct stage2 other;

    (void)state;
    vmid_init(0);
    assert_int_equal(stage2_create(&other, 2, GIB(1)), 0);
    uint64_t a = vmid_load(&s2);
    assert_int_equal(a >> 44 & 0x3fff, 0);
    fake_fences = 0;
    assert_int_equal(vmid_load(&s2), a);
    assert_int_equal(fake_fences, 0);
    uint64_t b = vmid_load(&other);
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 0), 1);
    assert_int_equal(arch_hgatp_read(), b);
    (void)vmid_load(&s2);
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 0), 2);
    /* Destroyed, and another one at the same address: it must not pass for the old one. */
    stage2_destroy(&other);
    (void)vmid_load(&s2);
    stage2_destroy(&s2);
    assert_int_equal(stage2_create(&s2, 2, GIB(1)), 0);
    fake_fences = 0;
    (void)vmid_load(&s2);
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 0), 1);
}

static void test_ram_regions(void **state)
{
    (void)state;
    assert_int_equal(stage2_add_ram(&s2, gpa(0x80000000), MIB(3) + PAGE_SIZE), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(0x80001000), PAGE_SIZE), -EINVAL);
    assert_int_equal(stage2_add_ram(&s2, gpa(0x7fffe000), MIB(8)), -EINVAL);
    assert_int_equal(stage2_add_ram(&s2, gpa(0x7fffe000), 0x2000), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(0x1001), PAGE_SIZE), -EINVAL);
    assert_int_equal(stage2_add_ram(&s2, gpa(0), 0), -EINVAL);
    assert_int_equal(stage2_add_ram(&s2, gpa(UINT64_MAX - 4095), PAGE_SIZE), -EINVAL);
    assert_int_equal(stage2_add_ram(&s2, gpa(BIT(41) - 4096), 2 * PAGE_SIZE), -EINVAL);
    assert_int_equal(stage2_add_ram(&s2, gpa(0), PAGE_SIZE), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(PAGE_SIZE), PAGE_SIZE), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(MIB(1)), PAGE_SIZE), -ENOSPC);
    assert_null(stage2_find_ram(&s2, gpa(0x80301000)));
    assert_non_null(stage2_find_ram(&s2, gpa(0x80300fff)));
    assert_null(stage2_find_ram(&s2, gpa(UINT64_MAX)));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_modes),
        TEST(test_top_of_range),
        TEST(test_map_sizes),
        TEST(test_references),
        TEST(test_unmap_frees_after_flush),
        TEST(test_batches_overlap),
        TEST(test_unmap_during_flush),
        TEST(test_protect),
        TEST(test_split_merge),
        TEST(test_merge_lost_batch),
        TEST(test_gigabyte),
        TEST(test_dirty),
        TEST(test_for_each),
        TEST(test_out_of_memory),
        TEST(test_random),
        TEST(test_vmids),
        TEST(test_no_vmids),
        TEST(test_ram_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
