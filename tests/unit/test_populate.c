// SPDX-License-Identifier: BSD-2-Clause
// First touch in 2 MiB and 4 KiB pieces, copy-on-write, dirty pages, other harts meanwhile, running
// out.
// units: stage2/stage2.c stage2/walk.c stage2/map.c stage2/change.c stage2/dirty.c stage2/flush.c stage2/vmid.c stage2/populate.c stage2/image.c hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c hyp/mem/frame_run.c tests/fake/fake_base.c tests/fake/fake_mem.c tests/fake/fake_xcall.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/arch.h"
#include "fake_mem.h"
#include "fake_xcall.h"
#include "mem/frame.h"
#include "mem/frame_db.h"
#include "stage2/stage2.h"
#include "stage2/walk.h"

#define RAM 0x80000000ul
enum { OWNER = 3 };
static struct stage2 s2;
static uint64_t free_before;

static void start(uint64_t host, uint64_t guest)
{
    pa_t keep, p;

    fake_mem_start(host);
    /* RAM holds garbage until it is zeroed. */
    while (!frame_alloc(0, FRAME_HYP, 0, &p))
        memset(pa_to_hva(p), 0xa5, 64);
    fake_mem_start(host);
    vmid_init(14);
    fake_xcall_hook = NULL;
    assert_int_equal(frame_alloc(0, FRAME_HYP, 0, &keep), 0);
    free_before = frame_free_count();
    stage2_modes = 1 << 8;
    assert_int_equal(stage2_create(&s2, OWNER, RAM + guest), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(RAM), guest), 0);
    (void)vmid_load(&s2);
    fake_fences = fake_xcalls = 0;
}

static void end(void)
{
    fake_xcall_hook = NULL;
    fake_zero_hook = NULL;
    stage2_destroy(&s2);
    assert_int_equal(frame_free_count(), free_before);
}

static struct stage2_leaf look(uint64_t g)
{
    struct stage2_leaf leaf;

    assert_int_equal(stage2_lookup(&s2, gpa(g), &leaf), 0);
    assert_int_equal(leaf.pte & 0xff, leaf.pte & PTE_W ? 0xdf : 0xdb);
    return leaf;
}

static void must_be_zero(pa_t p, uint64_t size)
{
    const uint64_t *word = pa_to_hva(p);

    for (uint64_t i = 0; i < size / 8; i++)
        assert_true(word[i] == 0);
}

static void test_large(void **state)
{
    struct stage2_leaf leaf;

    (void)state;
    start(MIB(256), MIB(7) + 0x3000);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2) + 0x12345), false), 0);
    leaf = look(RAM + MIB(2));
    assert_int_equal(leaf.page_size, MIB(2));
    must_be_zero(leaf.pa, MIB(2));
    assert_int_equal(frame_query(leaf.pa).owner, OWNER);
    assert_int_equal(frame_query(leaf.pa).state, FRAME_VM);
    assert_int_equal(frame_query(leaf.pa).refs, 1);
    assert_int_equal(fake_xcalls, 0); /* a new leaf needs only a local fence */
    assert_int_equal(fake_fences, 1);
    assert_int_equal(fake_fence[0].gpa, RAM + MIB(2) + 0x12000);
    /* Once more, as another hart does that faulted at the same time. */
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2)), true), 0);
    assert_int_equal(look(RAM + MIB(2)).pa.v, leaf.pa.v);
    assert_int_equal(s2.mapped_bytes, MIB(2));
    /* The end of RAM has no room for 2 MiB. */
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(6)), true), 0);
    assert_int_equal(look(RAM + MIB(6)).page_size, PAGE_SIZE);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(7) + 0x2fff), true), 0);
    must_be_zero(look(RAM + MIB(7) + 0x2000).pa, PAGE_SIZE);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(7) + 0x3000), true), -EFAULT);
    assert_int_equal(stage2_populate(&s2, gpa(RAM - 1), true), -EFAULT);
    assert_int_equal(stage2_populate(&s2, gpa(UINT64_MAX), true), -EFAULT);
    end();
}

/* 2 MiB pieces cost little more than their zeroing: no more calls than these. */
static void test_large_is_cheap(void **state)
{
    (void)state;
    start(MIB(256), MIB(64));
    for (uint64_t g = RAM; g < RAM + MIB(64); g += MIB(2))
        assert_int_equal(stage2_populate(&s2, gpa(g), true), 0);
    assert_int_equal(s2.table_frames, 4 + 1);
    assert_int_equal(fake_zeroed_bytes, MIB(64) + 5 * PAGE_SIZE);
    assert_int_equal(fake_fences, 32);
    end();
}

static void test_region_not_aligned(void **state)
{
    (void)state;
    start(MIB(256), MIB(1));
    assert_int_equal(stage2_add_ram(&s2, gpa(RAM + MIB(1) + PAGE_SIZE), MIB(5)), 0);
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    assert_int_equal(look(RAM).page_size, PAGE_SIZE);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2) - 1), true), 0);
    assert_int_equal(look(RAM + MIB(2) - 1).page_size, PAGE_SIZE);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(1)), true), -EFAULT); /* the hole */
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(4)), true), 0);
    assert_int_equal(look(RAM + MIB(4)).page_size, MIB(2));
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(6)), true), 0);
    assert_int_equal(look(RAM + MIB(6)).page_size, PAGE_SIZE);
    end();
}

static unsigned memory_was_low;
static void note_low(void) { memory_was_low++; }

static void test_small_when_short(void **state)
{
    enum { LARGE, MEDIUM, SMALL, SIZES };
    static const uint64_t step[SIZES] = {MIB(2), KIB(64), PAGE_SIZE};
    unsigned count[SIZES] = {0}, last = LARGE;
    uint64_t g = RAM, before;
    int r;

    (void)state;
    start(MIB(256), MIB(512));
    memory_was_low = 0;
    frame_guests_low = note_low;
    for (before = 0; (r = stage2_populate(&s2, gpa(g), true)) == 0; before = s2.mapped_bytes) {
        uint64_t size = s2.mapped_bytes - before;
        unsigned now = size == step[LARGE] ? LARGE : size == step[MEDIUM] ? MEDIUM : SMALL;

        assert_int_equal(size, step[now]);
        assert_true(now >= last); /* never larger again */
        must_be_zero(look(g).pa, PAGE_SIZE);
        count[now]++;
        last = now;
        g += size;
        assert_int_equal(memory_was_low, 0);
    }
    frame_guests_low = NULL;
    assert_int_equal(r, -ENOMEM);
    assert_int_equal(memory_was_low, 1);
    assert_int_equal(count[LARGE], 128 - 1 - 128 / 16); /* one block has the database */
    /* A 64th of 256 MiB is 4 MiB; the reserve is 1 MiB, of which tables may take some. */
    assert_in_range(count[MEDIUM], 12 * 16, 14 * 16);
    assert_in_range(count[SMALL], 512, 1024);
    assert_in_range(frame_free_count(), frame_reserve_size() - 2, frame_reserve_size() + 1);
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0); /* what is there goes on */
    /* Who cannot wait may have half of the reserve. */
    for (; !populate_at_once(&s2, gpa(g), true); g += PAGE_SIZE)
        must_be_zero(look(g).pa, PAGE_SIZE);
    assert_in_range(frame_free_count(), frame_reserve_size() / 2 - 1, frame_reserve_size() / 2 + 1);
    stage2_destroy(&s2);
    assert_true(frame_free_count() >= free_before - 1);
}

/* A VM that is to be stopped for want of memory gets no more, whatever others have given back. */
static void test_starved(void **state)
{
    (void)state;
    start(MIB(64), MIB(16));
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    atomic_store(&s2.starved, true);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2)), true), -ENOMEM);
    assert_int_equal(populate_at_once(&s2, gpa(RAM + MIB(2)), false), -ENOMEM);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 8), true), 0);
    end();
}

/* 2 MiB are free, but nothing for a table: the piece's own memory serves. */
static void test_no_table_for_a_large_piece(void **state)
{
    static pa_t hoard[20000];
    unsigned n = 0;
    pa_t block[8];

    (void)state;
    start(MIB(64), MIB(16));
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(frame_alloc(9, FRAME_HYP, 0, &block[i]), 0);
    while (!frame_alloc(0, FRAME_HYP, 0, &hoard[n]))
        n++;
    for (unsigned i = 0; i < 4; i++)
        frame_put(block[i]);
    assert_true(frame_plentiful());
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    assert_true(look(RAM).page_size == MIB(2) || look(RAM).page_size == PAGE_SIZE);
    for (unsigned i = 4; i < 8; i++)
        frame_put(block[i]);
    while (n)
        frame_put(hoard[--n]);
    stage2_destroy(&s2);
    assert_true(frame_free_count() >= free_before - 1);
}

static void test_out_of_memory_at_every_point(void **state)
{
    static pa_t hoard[20000];

    (void)state;
    for (unsigned left = 0; left <= 3; left++) {
        unsigned n = 0;
        int r;

        start(MIB(16), MIB(16));
        frame_db.reserve = 0;
        while (!frame_alloc(0, FRAME_HYP, 0, &hoard[n]))
            n++;
        for (unsigned i = 0; i < left; i++)
            frame_put(hoard[--n]);
        r = stage2_populate(&s2, gpa(RAM), true);
        assert_int_equal(r, left < 3 ? -ENOMEM : 0); /* the page and two tables */
        if (r) {
            struct stage2_leaf leaf;

            assert_int_equal(frame_free_count(), left);
            assert_int_equal(stage2_lookup(&s2, gpa(RAM), &leaf), -ENOENT);
            assert_int_equal(s2.table_frames, 4);
        }
        while (n)
            frame_put(hoard[--n]);
        assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
        stage2_destroy(&s2);
        assert_true(frame_free_count() >= free_before - 1);
    }
}

/* ---- another hart's turn while this one zeroes ---- */

static uint64_t other_touches;
static void other_hart(void)
{
    fake_zero_hook = NULL;
    fake_hart = 1;
    assert_false(spin_held(&s2.lock)); /* zeroing is done outside the lock */
    assert_int_equal(stage2_populate(&s2, gpa(other_touches), true), 0);
    fake_hart = 0;
}

static void test_races(void **state)
{
    (void)state;
    start(MIB(64), MIB(16));
    other_touches = RAM + 0x5000;
    fake_zero_hook = other_hart;
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    assert_int_equal(s2.mapped_bytes, MIB(2)); /* one of the pieces was given back */
    assert_int_equal(look(RAM).page_size, MIB(2));
    end();
    /* The other one could get small pieces only. */
    start(MIB(64), MIB(16));
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    pa_t p;
    assert_int_equal(frame_alloc(0, FRAME_VM, OWNER, &p), 0);
    assert_int_equal(stage2_map(&s2, gpa(RAM + MIB(2) + 0x1000), p, PAGE_SIZE, 7, 0), 0);
    frame_put(p);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2)), true), 0);
    assert_int_equal(look(RAM + MIB(2)).page_size, PAGE_SIZE);
    end();
}

static void map_small_meanwhile(void)
{
    pa_t p;

    fake_zero_hook = NULL;
    assert_int_equal(frame_alloc(0, FRAME_VM, OWNER, &p), 0);
    assert_int_equal(stage2_map(&s2, gpa(RAM + 0x9000), p, PAGE_SIZE, 7, 0), 0);
    frame_put(p);
}

static void test_large_piece_no_longer_fits(void **state)
{
    (void)state;
    start(MIB(64), MIB(16));
    fake_zero_hook = map_small_meanwhile;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 0x1000), true), 0);
    assert_int_equal(s2.mapped_bytes, 2 * PAGE_SIZE);
    end();
}

/* ---- what is not plain RAM yet ---- */

static void test_read_only(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    start(MIB(64), MIB(16));
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    assert_int_equal(stage2_protect(&s2, gpa(RAM), PAGE_SIZE, PROT_R, &f), 0);
    stage2_flush_commit(&f);
    assert_int_equal(stage2_populate(&s2, gpa(RAM), false), 0);
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), -EFAULT);
    end();
}

static void test_dirty(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    start(MIB(64), MIB(16));
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    assert_int_equal(stage2_dirty_start(&s2, gpa(RAM), MIB(2), &f), 0);
    stage2_flush_commit(&f);
    assert_int_equal(walk_point(&s2, RAM).pte & PTE_D, 0);
    assert_int_equal(stage2_populate(&s2, gpa(RAM), false), 0);
    assert_int_equal(walk_point(&s2, RAM).pte & PTE_D, 0);
    unsigned before = fake_xcalls;
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0); /* without Svadu a store faults */
    (void)look(RAM);
    assert_int_equal(fake_xcalls, before);
    end();
}

static void test_after_unmap_before_flush(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);

    (void)state;
    start(MIB(64), MIB(16));
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    pa_t old = look(RAM).pa;
    assert_int_equal(stage2_unmap(&s2, gpa(RAM), MIB(16), &f), 0);
    assert_int_equal(frame_query(old).state, FRAME_VM);
    unsigned before = fake_xcalls;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 0x4000), true), 0);
    assert_int_equal(fake_xcalls, before + 1);
    pa_t now = look(RAM).pa;
    must_be_zero(now, MIB(2));
    stage2_flush_commit(&f);
    assert_int_equal(look(RAM).pa.v, now.v);
    assert_int_equal(s2.mapped_bytes, MIB(2));
    end();
}

/* ---- copy-on-write ---- */

static pa_t old_page;
static uint64_t cow_gpa;
static unsigned cow_flushes;
static void during_cow_flush(void)
{
    uint64_t pte = walk_point(&s2, cow_gpa).pte;

    if (pte_pa(pte) == old_page.v) /* of the copy, before it is mapped */
        return;
    fake_xcall_hook = NULL;
    cow_flushes++;
    /* While others may still read the old page, nobody can write the new one, and the old one is
     * there. */
    assert_true(pte_is_leaf(pte) && !(pte & PTE_W));
    assert_int_not_equal(frame_query(old_page).state, FRAME_FREE);
}

static void test_cow(void **state)
{
    pa_t shared;

    (void)state;
    start(MIB(64), MIB(16));
    assert_int_equal(frame_alloc(0, FRAME_SHARED, 0, &shared), 0);
    memset(pa_to_hva(shared), 0x77, PAGE_SIZE);
    assert_int_equal(stage2_map(&s2, gpa(RAM), shared, PAGE_SIZE, 7, PTE_SOFT_COW), 0);
    assert_int_equal(stage2_populate(&s2, gpa(RAM), false), 0);
    assert_int_equal(look(RAM).pa.v, shared.v);
    old_page = shared;
    cow_gpa = RAM;
    cow_flushes = 0;
    fake_xcall_hook = during_cow_flush;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 8), true), 0);
    assert_int_equal(cow_flushes, 1);
    pa_t own = look(RAM).pa;
    assert_int_not_equal(own.v, shared.v);
    assert_true(look(RAM).pte & PTE_W);
    assert_int_equal(look(RAM).pte & (PTE_SOFT_COW | PTE_SOFT_BUSY), 0);
    assert_memory_equal(pa_to_hva(own), pa_to_hva(shared), PAGE_SIZE);
    assert_int_equal(frame_query(shared).refs, 1);
    assert_int_equal(frame_query(own).owner, OWNER);
    assert_int_equal(frame_query(own).state, FRAME_VM);
    /* The last one that shares a page keeps it. */
    assert_int_equal(stage2_map(&s2, gpa(RAM + MIB(4)), shared, PAGE_SIZE, 7, PTE_SOFT_COW), 0);
    frame_put(shared);
    unsigned before = fake_xcalls;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(4)), true), 0);
    assert_int_equal(look(RAM + MIB(4)).pa.v, shared.v);
    assert_true(look(RAM + MIB(4)).pte & PTE_W);
    assert_int_equal(frame_query(shared).state, FRAME_VM);
    assert_int_equal(frame_query(shared).owner, OWNER);
    assert_int_equal(fake_xcalls, before);
    end();
}

static void second_writer(void)
{
    fake_xcall_hook = NULL;
    fake_hart = 1;
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    fake_hart = 0;
}

static void test_cow_two_writers(void **state)
{
    pa_t shared;

    (void)state;
    start(MIB(64), MIB(16));
    fake_hart = 1;
    (void)vmid_load(&s2);
    fake_hart = 0;
    assert_int_equal(frame_alloc(0, FRAME_SHARED, 0, &shared), 0);
    assert_int_equal(stage2_map(&s2, gpa(RAM), shared, PAGE_SIZE, 7, PTE_SOFT_COW), 0);
    fake_xcall_hook = second_writer;
    fake_xcalls = 0;
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    assert_int_equal(fake_xcalls, 2); /* the second does not write before it has flushed itself */
    assert_true(look(RAM).pte & PTE_W);
    assert_int_equal(frame_query(shared).refs, 1);
    frame_put(shared);
    end();
}

static void test_cow_large(void **state)
{
    pa_t shared;

    (void)state;
    start(MIB(64), MIB(16));
    assert_int_equal(frame_alloc(9, FRAME_SHARED, 0, &shared), 0);
    for (unsigned i = 0; i < 512; i++)
        *(uint64_t *)pa_to_hva(pa_add(shared, i * PAGE_SIZE)) = i;
    assert_int_equal(stage2_map(&s2, gpa(RAM), shared, MIB(2), 7, PTE_SOFT_COW), 0);
    assert_int_equal(look(RAM).page_size, MIB(2));
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 0x5000), true), 0);
    for (unsigned i = 0; i < 512; i++) {
        struct stage2_leaf leaf = look(RAM + i * PAGE_SIZE);

        assert_int_equal(leaf.page_size, PAGE_SIZE);
        assert_int_equal(*(uint64_t *)pa_to_hva(leaf.pa), i);
        assert_int_equal(leaf.pa.v == shared.v + i * PAGE_SIZE, i != 5);
        assert_int_equal((leaf.pte & PTE_W) != 0, i == 5);
    }
    frame_put_range(shared, MIB(2));
    /* Alone now: no more copies. */
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 0x6000), true), 0);
    assert_int_equal(look(RAM + 0x6000).pa.v, shared.v + 0x6000);
    end();
    /* A whole one that is shared no more stays whole. */
    start(MIB(64), MIB(16));
    assert_int_equal(frame_alloc(9, FRAME_SHARED, 0, &shared), 0);
    assert_int_equal(stage2_map(&s2, gpa(RAM), shared, MIB(2), 7, PTE_SOFT_COW), 0);
    frame_put(shared);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 0x5000), true), 0);
    assert_int_equal(look(RAM).page_size, MIB(2));
    assert_int_equal(look(RAM).pa.v, shared.v);
    end();
}

/* Copy-on-write of reserved memory (a kernel in the bundle), which has no counts: always a copy. */
static void test_cow_of_reserved(void **state)
{
    (void)state;
    start(MIB(64), MIB(16));
    frame_reset();
    assert_int_equal(frame_add_bank(pa(FAKE_RAM_BASE), MIB(64)), 0);
    frame_reserve(pa(FAKE_RAM_BASE + MIB(32)), MIB(4));
    assert_int_equal(frame_init_done(), 0);
    assert_int_equal(stage2_create(&s2, OWNER, RAM + MIB(16)), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(RAM), MIB(16)), 0);
    pa_t image = pa(FAKE_RAM_BASE + MIB(32));
    memset(pa_to_hva(image), 0x42, MIB(4));
    assert_int_equal(stage2_map(&s2, gpa(RAM), image, MIB(4), 7, PTE_SOFT_COW), 0);
    assert_int_equal(look(RAM).page_size, MIB(2));
    assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
    assert_int_not_equal(look(RAM).pa.v, image.v);
    assert_int_equal(*(uint8_t *)pa_to_hva(look(RAM).pa), 0x42);
    assert_int_equal(frame_query(look(RAM).pa).state, FRAME_VM);
    assert_int_equal(look(RAM + 0x1000).pa.v, image.v + 0x1000);
    stage2_destroy(&s2);
    assert_int_equal(frame_query(image).state, FRAME_RESERVED);
    uint64_t c[FRAME_STATES];
    frame_count(OWNER, c);
    assert_int_equal(c[FRAME_VM] + c[FRAME_TABLE], 0);
}

static void test_cow_out_of_memory(void **state)
{
    static pa_t hoard[20000];

    (void)state;
    for (unsigned left = 0; left <= 3; left++) {
        unsigned n = 0;
        pa_t shared;
        int r;

        start(MIB(16), MIB(16));
        frame_db.reserve = 0;
        assert_int_equal(frame_alloc(9, FRAME_SHARED, 0, &shared), 0);
        memset(pa_to_hva(shared), 0x11, MIB(2));
        assert_int_equal(stage2_map(&s2, gpa(RAM), shared, MIB(2), 7, PTE_SOFT_COW), 0);
        while (!frame_alloc(0, FRAME_HYP, 0, &hoard[n]))
            n++;
        for (unsigned i = 0; i < left; i++)
            frame_put(hoard[--n]);
        r = stage2_populate(&s2, gpa(RAM), true);
        assert_int_equal(r, left < 3 ? -ENOMEM : 0); /* the block's descriptors, a table, a page */
        assert_int_equal(*(uint8_t *)pa_to_hva(look(RAM).pa), 0x11);
        assert_int_equal((look(RAM).pte & PTE_W) != 0, r == 0);
        while (n)
            frame_put(hoard[--n]);
        assert_int_equal(stage2_populate(&s2, gpa(RAM), true), 0);
        frame_put_range(shared, MIB(2));
        stage2_destroy(&s2);
        assert_true(frame_free_count() >= free_before - 1);
    }
}

/* ---- images ---- */

enum { PAGES_2M = 512 };
static struct bundle_like {
    pa_t base;
    uint64_t blocks;
} image;

/* An image of 2 MiB blocks, each page with its number in every word's place that is looked at. */
static void make_image(uint64_t blocks)
{
    image.blocks = blocks;
    assert_int_equal(frame_alloc_run(blocks, FRAME_IMAGE, 0, &image.base), 0);
    for (uint64_t i = 0; i < blocks * PAGES_2M; i++)
        memset(pa_to_hva(pa_add(image.base, i * PAGE_SIZE)), (int)(i % 251 + 1), PAGE_SIZE);
}

static void image_is_unchanged(void)
{
    for (uint64_t i = 0; i < image.blocks * PAGES_2M; i++) {
        const uint8_t *page = pa_to_hva(pa_add(image.base, i * PAGE_SIZE));

        assert_int_equal(page[0], i % 251 + 1);
        assert_memory_equal(page, page + 1, PAGE_SIZE - 1);
    }
}

/* Guest memory [g, g+size) is what the image has from offset on. */
static void must_hold(uint64_t g, uint64_t offset, uint64_t size)
{
    for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
        const uint8_t *page = pa_to_hva(look(g + at).pa);

        assert_int_equal(page[0], (offset + at) / PAGE_SIZE % 251 + 1);
        assert_memory_equal(page, page + 1, PAGE_SIZE - 1);
    }
}

static void take(void *hva) { memset(hva, 0xee, 8); }

/* A kernel of two blocks and a bit, as a VM finds it: shared while it reads, its own when it writes. */
static void test_image_while_plentiful(void **state)
{
    struct stage2_leaf leaf;

    (void)state;
    start(MIB(256), MIB(32));
    make_image(3);
    assert_int_equal(
        stage2_add_image(&s2, gpa(RAM + MIB(2)), pa_to_hva(image.base), MIB(4) + 0x1800), 0);
    fake_zeroed_bytes = 0;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2) + 0x5000), false), 0);
    leaf = look(RAM + MIB(2));
    assert_int_equal(leaf.page_size, MIB(2));
    assert_int_equal(leaf.pa.v, image.base.v);
    assert_int_equal(leaf.pte & (PTE_R | PTE_W | PTE_X | PTE_SOFT_COW),
                     PTE_R | PTE_X | PTE_SOFT_COW);
    assert_int_equal(frame_query(image.base).refs, 2);
    assert_int_equal(s2.mapped_bytes, MIB(2));
    assert_int_equal(s2.shared_bytes, MIB(2));
    assert_true(fake_zeroed_bytes <= 2 * PAGE_SIZE); /* tables */

    /* The first write gets all of it a copy. */
    old_page = image.base;
    cow_gpa = RAM + MIB(2);
    cow_flushes = 0;
    fake_xcall_hook = during_cow_flush;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2) + 0x7008), true), 0);
    fake_xcall_hook = NULL;
    assert_int_equal(cow_flushes, 1);
    leaf = look(RAM + MIB(2));
    assert_int_equal(leaf.page_size, MIB(2));
    assert_true(leaf.pa.v != image.base.v && leaf.pte & PTE_W);
    assert_int_equal(frame_query(leaf.pa).owner, OWNER);
    assert_int_equal(frame_query(image.base).refs, 1);
    assert_int_equal(s2.mapped_bytes, MIB(2));
    assert_int_equal(s2.shared_bytes, 0);
    must_hold(RAM + MIB(2), 0, MIB(2));
    take(pa_to_hva(leaf.pa));

    /* A first touch that writes needs one exit. */
    unsigned before = fake_xcalls;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(4)), true), 0);
    assert_int_equal(fake_xcalls, before + 1); /* for the code in it */
    assert_true(look(RAM + MIB(4)).pte & PTE_W);
    must_hold(RAM + MIB(4), MIB(2), MIB(2));
    take(pa_to_hva(look(RAM + MIB(4)).pa));

    /* Its end: the rest of the page and of the piece is zeros, not what lies behind it in the file. */
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(6) + 0x3000), false), 0);
    leaf = look(RAM + MIB(6));
    assert_int_equal(leaf.page_size, MIB(2));
    assert_true(leaf.pte & PTE_W);
    must_hold(RAM + MIB(6), MIB(4), PAGE_SIZE);
    const uint8_t *tail = pa_to_hva(pa_add(leaf.pa, PAGE_SIZE));
    assert_int_equal(tail[0x7ff], PAGES_2M * 2 + 1 - 251 * 4 + 1);
    assert_int_equal(tail[0x800], 0);
    assert_memory_equal(tail + 0x800, tail + 0x801, MIB(2) - PAGE_SIZE - 0x801);
    image_is_unchanged();
    assert_int_equal(frame_query(image.base).refs, 1);
    frame_put_range(image.base, MIB(6));
    end();
}

/* With little memory a write costs a page, and what lies around it stays shared. */
static uint64_t code_gpa;
static unsigned code_calls;

/* Code is never mapped where a hart could still run what its instruction cache has of the frame's last user. */
static void during_code_flush(void)
{
    struct stage2_leaf leaf;

    if (code_calls++)
        return;
    assert_true(stage2_lookup(&s2, gpa(code_gpa), &leaf) || leaf.pte & PTE_SOFT_COW);
    assert_int_equal(fake_fence_count(FENCE_I, 0), 1);
    assert_int_equal(fake_fence_count(FENCE_I, 1), 1);
    assert_int_equal(fake_fence_count(FENCE_I, 2), 0);
}

static void must_flush_code(uint64_t g, bool write)
{
    uint32_t before = atomic_load(&s2.code_written);

    fake_fences = code_calls = 0;
    code_gpa = g;
    fake_xcall_hook = during_code_flush;
    assert_int_equal(stage2_populate(&s2, gpa(g), write), 0);
    fake_xcall_hook = NULL;
    assert_true(code_calls > 0);
    assert_int_not_equal(atomic_load(&s2.code_written), before);
}

/* What the hypervisor writes for a guest may be code: harts that run the VM forget what they had there, and those
 * that run it later see that they must (vcpu/load.c). */
static void test_image_is_code(void **state)
{
    uint32_t written;

    (void)state;
    start(MIB(256), MIB(32));
    make_image(3);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM), pa_to_hva(image.base), MIB(4) + 0x1800), 0);
    fake_hart = 1;
    (void)vmid_load(&s2);
    fake_hart = 0;
    must_flush_code(RAM + MIB(4), false); /* a copy, since its end is no whole page */
    must_flush_code(RAM, true); /* a copy at once */
    /* The image itself was there before the VM's vCPUs came to any hart. */
    written = atomic_load(&s2.code_written);
    fake_fences = 0;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2)), false), 0);
    assert_int_equal(fake_fence_count(FENCE_I, 1), 0);
    must_flush_code(RAM + MIB(2), true); /* a copy later */
    /* Zeros are no code. */
    written = atomic_load(&s2.code_written);
    fake_fences = 0;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(8)), true), 0);
    assert_int_equal(fake_fence_count(FENCE_I, 0), 0);
    assert_int_equal(atomic_load(&s2.code_written), written);
    frame_put_range(image.base, MIB(6));
    end();
}

static void test_image_while_short(void **state)
{
    static pa_t hoard[100];
    unsigned n = 0;

    (void)state;
    start(MIB(128), MIB(32));
    make_image(3);
    while (frame_plentiful())
        assert_int_equal(frame_alloc(9, FRAME_HYP, 0, &hoard[n++]), 0);
    assert_int_equal(
        stage2_add_image(&s2, gpa(RAM + MIB(2)), pa_to_hva(image.base), MIB(4) + 0x5800), 0);
    /* By a first touch that writes, and by a write to what is mapped. */
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2) + 0x5000), true), 0);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(4) + 0x6000), false), 0);
    assert_int_equal(look(RAM + MIB(4)).page_size, MIB(2)); /* this costs nothing */
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(4) + 0x7000), true), 0);
    for (unsigned i = 0; i < 2 * PAGES_2M; i++) {
        struct stage2_leaf leaf = look(RAM + MIB(2) + i * PAGE_SIZE);
        bool own = i == 5 || i == PAGES_2M + 7;

        assert_int_equal(leaf.page_size, PAGE_SIZE);
        assert_int_equal(leaf.pa.v == image.base.v + i * PAGE_SIZE, !own);
        assert_int_equal((leaf.pte & PTE_W) != 0, own);
    }
    must_hold(RAM + MIB(2), 0, MIB(4));
    assert_int_equal(s2.mapped_bytes, MIB(4));
    assert_int_equal(s2.shared_bytes, MIB(4) - 2 * PAGE_SIZE);
    take(pa_to_hva(look(RAM + MIB(2) + 0x5000).pa));
    take(pa_to_hva(look(RAM + MIB(4) + 0x7000).pa));
    /* The end, which no piece of 64 KiB fits: five pages are shared, the sixth is not. */
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(6) + i * PAGE_SIZE), false), 0);
    assert_int_equal(s2.shared_bytes, MIB(4) + 3 * PAGE_SIZE);
    must_hold(RAM + MIB(6), MIB(4), 5 * PAGE_SIZE);
    const uint8_t *tail = pa_to_hva(look(RAM + MIB(6) + 5 * PAGE_SIZE).pa);
    assert_int_equal(tail[0x7ff], (PAGES_2M * 2 + 5) % 251 + 1);
    assert_memory_equal(tail + 0x800, (const uint8_t[0x800]){0}, 0x800);
    /* Beyond it, 64 KiB at a time. */
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(6) + KIB(64)), true), 0);
    assert_int_equal(s2.mapped_bytes, MIB(4) + 6 * PAGE_SIZE + KIB(64));
    image_is_unchanged();
    stage2_destroy(&s2);
    for (unsigned i = 0; i < 3 * PAGES_2M; i++)
        assert_int_equal(frame_query(pa_add(image.base, i * PAGE_SIZE)).refs, 1);
    frame_put_range(image.base, MIB(6));
    while (n)
        frame_put(hoard[--n]);
    assert_true(frame_free_count() >= free_before - 1);
}

/* Alike modulo 4 KiB only: single pages of it, mapped 2 MiB at a time. Not even that: copies. */
static void test_image_alignment(void **state)
{
    uint64_t offset[] = {0x3000, 0x3008};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(MIB(256), MIB(32));
        make_image(3);
        assert_int_equal(stage2_add_image(&s2, gpa(RAM + MIB(2)),
                                          pa_to_hva(pa_add(image.base, offset[i])), MIB(4)),
                         0);
        assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2) + 0x123), false), 0);
        assert_int_equal(s2.mapped_bytes, MIB(2));
        assert_int_equal(s2.shared_bytes, i ? 0 : MIB(2));
        assert_int_equal(look(RAM + MIB(2)).page_size, i ? MIB(2) : PAGE_SIZE);
        assert_int_equal(*(uint8_t *)pa_to_hva(look(RAM + MIB(2) + 0x123).pa), 3 + 1);
        assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2) + 0x123), true), 0);
        assert_int_equal(s2.shared_bytes, i ? 0 : MIB(2) - PAGE_SIZE);
        take(pa_to_hva(look(RAM + MIB(2)).pa));
        image_is_unchanged();
        stage2_destroy(&s2);
        frame_put_range(image.base, MIB(6));
    }
}

/* Two pages of two images in one page of RAM, as a small VM's kernel and initrd may lie. */
static void test_images_in_one_page(void **state)
{
    static char a[3000], b[9000];
    const uint8_t *ram;

    (void)state;
    start(MIB(64), MIB(16));
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + 0x1c00), b, sizeof(b)), 0);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + 0x1000), a, sizeof(a)), 0);
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 0x1000), false), 0);
    ram = pa_to_hva(look(RAM).pa);
    assert_memory_equal(ram + 0x1000, a, sizeof(a));
    assert_memory_equal(ram + 0x1c00, b, sizeof(b));
    for (unsigned i = 0; i < MIB(2); i++)
        if (i < 0x1000 || (i >= 0x1000 + sizeof(a) && i < 0x1c00) || i >= 0x1c00 + sizeof(b))
            assert_int_equal(ram[i], 0);
    assert_true(stage2_has_image(&s2, gpa(RAM), 0x1001));
    assert_false(stage2_has_image(&s2, gpa(RAM), 0x1000));
    assert_false(stage2_has_image(&s2, gpa(RAM + 0x1bb8), 0x48));
    /* What cannot be. */
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + 0x1b00), a, 0x300), -EINVAL);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM - 1), a, 1), -EINVAL);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + MIB(16) - 8), a, 9), -EINVAL);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + MIB(8)), a, UINT64_MAX), -EINVAL);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + MIB(8)), a, 0), -EINVAL);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + MIB(8)), a, 1), 0);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + MIB(9)), a, 1), 0);
    assert_int_equal(stage2_add_image(&s2, gpa(RAM + MIB(10)), a, 1), -ENOSPC);
    end();
}

/* Other harts read, and write, the same piece while this one's copy is made. */
static unsigned copy_hooks;
static void other_breaks_first(void)
{
    fake_zero_hook = NULL;
    copy_hooks++;
    fake_hart = 1;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + 0x9000), true), 0);
    fake_hart = 0;
}

static void test_image_race(void **state)
{
    pa_t own;

    (void)state;
    start(MIB(128), MIB(32));
    make_image(2);
    /* One byte short of the block, so that the fill ends in a zeroed page: the hook's place. */
    assert_int_equal(stage2_add_image(&s2, gpa(RAM), pa_to_hva(image.base), MIB(4) - PAGE_SIZE), 0);
    fake_zero_hook = other_breaks_first;
    assert_int_equal(stage2_populate(&s2, gpa(RAM + MIB(2) + 0x4000), true), 0);
    assert_int_equal(copy_hooks, 1);
    own = look(RAM).pa;
    assert_true(own.v != image.base.v);
    must_hold(RAM, 0, MIB(4) - PAGE_SIZE);
    assert_int_equal(s2.mapped_bytes, MIB(4));
    image_is_unchanged();
    frame_put_range(image.base, MIB(4));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_large_is_cheap),
        cmocka_unit_test(test_region_not_aligned),
        cmocka_unit_test(test_small_when_short),
        cmocka_unit_test(test_starved),
        cmocka_unit_test(test_no_table_for_a_large_piece),
        cmocka_unit_test(test_out_of_memory_at_every_point),
        cmocka_unit_test(test_races),
        cmocka_unit_test(test_large_piece_no_longer_fits),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_dirty),
        cmocka_unit_test(test_after_unmap_before_flush),
        cmocka_unit_test(test_cow),
        cmocka_unit_test(test_cow_two_writers),
        cmocka_unit_test(test_cow_large),
        cmocka_unit_test(test_cow_of_reserved),
        cmocka_unit_test(test_cow_out_of_memory),
        cmocka_unit_test(test_image_while_plentiful),
        cmocka_unit_test(test_image_is_code),
        cmocka_unit_test(test_image_while_short),
        cmocka_unit_test(test_image_alignment),
        cmocka_unit_test(test_images_in_one_page),
        cmocka_unit_test(test_image_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
