// SPDX-License-Identifier: BSD-2-Clause
// guest_mem: bounds, wrapping, crossing pages and regions, hostile ranges, dirty marking, pins.
// units: stage2/stage2.c stage2/walk.c stage2/map.c stage2/change.c stage2/dirty.c stage2/flush.c stage2/vmid.c stage2/populate.c stage2/image.c stage2/guest_mem.c hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c tests/fake/fake_base.c tests/fake/fake_mem.c tests/fake/fake_xcall.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>

#include "base/arch.h"
#include "fake_mem.h"
#include "fake_xcall.h"
#include "mem/frame.h"
#include "mem/frame_db.h"
#include "stage2/guest_mem.h"
#include "stage2/stage2.h"
#include "stage2/walk.h"

#define RAM 0x80000000ul
#define SIZE (MIB(5) + PAGE_SIZE)
static struct stage2 s2;
static uint64_t free_before;

static int setup(void **state)
{
    pa_t keep;

    (void)state;
    fake_mem_start(MIB(64));
    vmid_init(14);
    fake_xcall_hook = NULL;
    assert_int_equal(frame_alloc(0, FRAME_HYP, 0, &keep), 0);
    free_before = frame_free_count();
    stage2_modes = 1 << 8;
    assert_int_equal(stage2_create(&s2, 1, GIB(4)), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(RAM), SIZE), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(RAM + SIZE), PAGE_SIZE), 0); /* adjoins */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage2_destroy(&s2);
    assert_true(frame_free_count() >= free_before - 1);
    assert_true(frame_free_count() <= free_before + 1);
    return 0;
}

/* From one guest's memory to another's: whatever the places, what is there and what is not yet. */
static void test_copy_between_guests(void **state)
{
    static unsigned char in[3 * PAGE_SIZE], out[3 * PAGE_SIZE];
    struct stage2 other;

    (void)state;
    assert_int_equal(stage2_create(&other, 2, GIB(4)), 0);
    assert_int_equal(stage2_add_ram(&other, gpa(RAM), MIB(1)), 0);
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (unsigned char)(i * 13 + i / 256);
    for (uint64_t n = 1; n <= 2 * PAGE_SIZE; n += n < 64 ? 7 : 1777) {
        uint64_t from = RAM + MIB(2) - n / 2, to = RAM + PAGE_SIZE * 7 - n / 3;

        assert_int_equal(guest_mem_write(&s2, gpa(from), in, n), 0);
        assert_int_equal(guest_mem_copy(&other, gpa(to), &s2, gpa(from), n), 0);
        memset(out, 0xee, sizeof(out));
        assert_int_equal(guest_mem_read(&other, gpa(to), out, n), 0);
        assert_memory_equal(out, in, n);
        assert_int_equal(guest_mem_zero(&other, gpa(to), n), 0);
    }
    /* A page that the source never touched is zeros; ends and what is beyond. */
    assert_int_equal(guest_mem_copy(&other, gpa(RAM), &s2, gpa(RAM + MIB(3)), 100), 0);
    assert_int_equal(guest_mem_copy(&other, gpa(RAM + MIB(1) - 8), &s2, gpa(RAM), 9), -EFAULT);
    assert_int_equal(guest_mem_copy(&other, gpa(RAM), &s2, gpa(RAM + SIZE + PAGE_SIZE - 8), 9),
                     -EFAULT);
    assert_int_equal(guest_mem_copy(&other, gpa(RAM), &s2, gpa(~0ull - 3), 9), -EFAULT);
    assert_int_equal(guest_mem_copy(&other, gpa(0), &s2, gpa(0), 0), 0);
    stage2_destroy(&other);
}

static void test_copies(void **state)
{
    static unsigned char in[20000], out[20000];

    (void)state;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (unsigned char)(i * 7 + i / 256);
    assert_int_equal(guest_mem_write(&s2, gpa(RAM + MIB(4) - 7777), in, sizeof(in)), 0);
    memset(out, 0, sizeof(out));
    assert_int_equal(guest_mem_read(&s2, gpa(RAM + MIB(4) - 7777), out, sizeof(out)), 0);
    assert_memory_equal(in, out, sizeof(in));
    /* Every short length at every offset about a page's end. */
    for (size_t len = 0; len <= 24; len++) {
        for (uint64_t g = RAM + 2 * PAGE_SIZE - 20; g < RAM + 2 * PAGE_SIZE + 8; g++) {
            assert_int_equal(guest_mem_write(&s2, gpa(g), in + g % 64, len), 0);
            memset(out, 0xee, 32);
            assert_int_equal(guest_mem_read(&s2, gpa(g), out, len), 0);
            assert_memory_equal(out, in + g % 64, len);
            assert_int_equal(out[len], 0xee);
        }
    }
    assert_int_equal(guest_mem_zero(&s2, gpa(RAM + MIB(4) - 7000), 10000), 0);
    assert_int_equal(guest_mem_read(&s2, gpa(RAM + MIB(4) - 7777), out, sizeof(out)), 0);
    for (size_t i = 0; i < sizeof(out); i++)
        assert_int_equal(out[i], i >= 777 && i < 10777 ? 0 : in[i]);
    /* Over from one region into the next. */
    assert_int_equal(guest_mem_write(&s2, gpa(RAM + SIZE - 3), in, 6), 0);
    assert_int_equal(guest_mem_read(&s2, gpa(RAM + SIZE - 3), out, 6), 0);
    assert_memory_equal(in, out, 6);
}

static void test_hostile_ranges(void **state)
{
    static const struct {
        uint64_t g, len;
    } bad[] = {
        {0, 1},
        {RAM - 1, 1},
        {RAM - 1, 2},
        {RAM + SIZE + PAGE_SIZE, 1},
        {RAM + SIZE + PAGE_SIZE - 1, 2},
        {RAM, SIZE + PAGE_SIZE + 1},
        {RAM, UINT64_MAX},
        {RAM + 5, UINT64_MAX - RAM - 4},
        {UINT64_MAX, 1},
        {UINT64_MAX, 2},
        {UINT64_MAX - 1, UINT64_MAX},
        {BIT(41) + RAM, 8},
        {BIT(63) + RAM, 8},
    };
    static char buffer[16];
    struct guest_iov iov[2];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        gpa_t g = gpa(bad[i].g);

        assert_false(guest_mem_is_ram(&s2, g, bad[i].len));
        assert_int_equal(guest_mem_zero(&s2, g, bad[i].len), -EFAULT);
        assert_int_equal(guest_mem_read(&s2, g, buffer, bad[i].len), -EFAULT);
        assert_int_equal(guest_mem_write(&s2, g, buffer, bad[i].len), -EFAULT);
        assert_int_equal(guest_mem_pin(&s2, g, bad[i].len, true, iov, 2), -EFAULT);
    }
    assert_int_equal(s2.mapped_bytes, 0);
    assert_true(guest_mem_is_ram(&s2, gpa(RAM), SIZE + PAGE_SIZE));
    assert_int_equal(guest_mem_read(&s2, gpa(0), buffer, 0), 0);
    /* A mapping that is no RAM (a device given to the guest) is not reached, though it translates. */
    assert_int_equal(stage2_map(&s2, gpa(0x10000000), pa(GIB(900)), PAGE_SIZE, 7, 0), 0);
    assert_int_equal(guest_mem_read(&s2, gpa(0x10000000), buffer, 4), -EFAULT);
}

static void test_protected(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);
    uint32_t v = 5;

    (void)state;
    assert_int_equal(guest_mem_write(&s2, gpa(RAM), &v, 4), 0);
    assert_int_equal(stage2_protect(&s2, gpa(RAM), PAGE_SIZE, PROT_R, &f), 0);
    stage2_flush_commit(&f);
    v = 6;
    assert_int_equal(guest_mem_write(&s2, gpa(RAM), &v, 4), -EFAULT);
    assert_int_equal(guest_mem_zero(&s2, gpa(RAM), 4), -EFAULT);
    assert_int_equal(guest_mem_read(&s2, gpa(RAM), &v, 4), 0);
    assert_int_equal(v, 5);
}

static void count(void *ctx, gpa_t g, uint64_t size)
{
    (void)g;
    *(uint64_t *)ctx += size;
}

static uint64_t harvest(void)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);
    uint64_t bytes = 0;

    assert_int_equal(stage2_dirty_harvest(&s2, gpa(RAM), SIZE + PAGE_SIZE, count, &bytes, &f), 0);
    stage2_flush_commit(&f);
    return bytes;
}

static void test_marks_dirty(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);
    struct guest_iov iov[4];
    uint64_t v = 9;

    (void)state;
    assert_int_equal(guest_mem_zero(&s2, gpa(RAM), SIZE + PAGE_SIZE), 0);
    assert_int_equal(stage2_split(&s2, gpa(RAM), PAGE_SIZE, &f), 0);
    assert_int_equal(stage2_dirty_start(&s2, gpa(RAM), SIZE + PAGE_SIZE, &f), 0);
    stage2_flush_commit(&f);
    assert_int_equal(guest_mem_read(&s2, gpa(RAM), &v, 8), 0);
    assert_int_equal(harvest(), 0);
    assert_int_equal(guest_mem_write(&s2, gpa(RAM + PAGE_SIZE - 4), &v, 8), 0);
    assert_int_equal(harvest(), 2 * PAGE_SIZE);
    assert_int_equal(harvest(), 0);
    /* By a device. */
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM + 100), 3 * PAGE_SIZE, false, iov, 4), 1);
    guest_mem_unpin(&s2, iov, 1, false);
    assert_int_equal(harvest(), 0);
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM + 100), 3 * PAGE_SIZE, true, iov, 4), 1);
    (void)harvest(); /* what pin itself touched */
    guest_mem_unpin(&s2, iov, 1, true);
    assert_int_equal(harvest(), 4 * PAGE_SIZE);
}

static void test_pins(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);
    struct guest_iov iov[3];
    struct stage2_leaf leaf;
    int n;

    (void)state;
    /* Joined over two 2 MiB leaves only when their frames adjoin. */
    n = guest_mem_pin(&s2, gpa(RAM + MIB(2) - 0x1800), 0x3000, true, iov, 3);
    assert_true(n == 1 || n == 2);
    uint64_t total = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].len;
    assert_int_equal(total, 0x3000);
    memset(iov[0].hva, 0x3c, iov[0].len);
    uint8_t b;
    assert_int_equal(guest_mem_read(&s2, gpa(RAM + MIB(2) - 0x1800), &b, 1), 0);
    assert_int_equal(b, 0x3c);
    /* A pinned frame outlives its unmapping, and the VM. */
    assert_int_equal(stage2_lookup(&s2, gpa(RAM + MIB(2) - 0x1800), &leaf), 0);
    assert_int_equal(frame_query(leaf.pa).pins, n == 1 ? 2 : 2);
    assert_int_equal(stage2_unmap(&s2, gpa(RAM), MIB(4), &f), 0);
    stage2_flush_commit(&f);
    assert_int_equal(frame_query(leaf.pa).state, FRAME_VM);
    assert_int_equal(frame_query(leaf.pa).refs, 0);
    guest_mem_unpin(&s2, iov, (unsigned)n, true); /* its pages are gone from the tables: fine */
    assert_int_equal(frame_query(leaf.pa).state, FRAME_FREE);
    assert_int_equal(guest_mem_pin(&s2, gpa(0), 0, true, iov, 3), 0);
}

static void test_pins_of_single_pages(void **state)
{
    struct guest_iov iov[8];
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);
    pa_t p[4];

    (void)state;
    /* Host frames in the order 0, 1, 3, 2. */
    pa_t run;
    assert_int_equal(frame_alloc(2, FRAME_VM, 1, &run), 0);
    for (unsigned i = 0; i < 4; i++)
        p[i] = pa_add(run, (i ^ i >> 1) * PAGE_SIZE);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(stage2_map(&s2, gpa(RAM + i * PAGE_SIZE), p[i], PAGE_SIZE, 7, 0), 0);
    frame_put_range(run, 4 * PAGE_SIZE);
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM + 0x800), 0x3000, false, iov, 2), -E2BIG);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(frame_query(p[i]).pins, 0);
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM + 0x800), 0x3000, false, iov, 0), -E2BIG);
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM + 0x800), 0x3000, false, iov, 8), 3);
    assert_true(iov[0].len == 0x1800 && iov[1].len == 0x1000 && iov[2].len == 0x800);
    assert_ptr_equal(iov[0].hva, pa_to_hva(pa_add(p[0], 0x800)));
    assert_ptr_equal(iov[1].hva, pa_to_hva(p[2]));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(frame_query(p[i]).pins, 1);
    guest_mem_unpin(&s2, iov, 3, false);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(frame_query(p[i]).pins, 0);
    /* Pinned whole, then split, then unpinned. */
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM + MIB(2) + 5), 0x2000, true, iov, 8), 1);
    assert_int_equal(stage2_split(&s2, gpa(RAM + MIB(2)), PAGE_SIZE, &f), 0);
    assert_int_equal(stage2_unmap(&s2, gpa(RAM + MIB(2)), MIB(2), &f), 0);
    stage2_flush_commit(&f);
    assert_int_equal(frame_query(hva_to_pa(iov[0].hva)).state, FRAME_VM);
    guest_mem_unpin(&s2, iov, 1, true);
    assert_int_equal(frame_query(hva_to_pa(iov[0].hva)).state, FRAME_FREE);
}

static void test_pin_breaks_cow(void **state)
{
    struct guest_iov iov;
    pa_t shared;

    (void)state;
    for (unsigned write = 0; write < 2; write++) {
        uint64_t g = RAM + write * MIB(2);

        assert_int_equal(frame_alloc(0, FRAME_SHARED, 0, &shared), 0);
        strcpy(pa_to_hva(shared), "shared");
        assert_int_equal(stage2_map(&s2, gpa(g), shared, PAGE_SIZE, 7, PTE_SOFT_COW), 0);
        assert_int_equal(guest_mem_pin(&s2, gpa(g), 7, write, &iov, 1), 1);
        assert_ptr_not_equal(iov.hva, pa_to_hva(shared));
        assert_string_equal(iov.hva, "shared");
        guest_mem_unpin(&s2, &iov, 1, write);
        assert_int_equal(frame_query(shared).refs, 1);
        frame_put(shared);
    }
    /* Writing breaks it, reading does not. */
    assert_int_equal(frame_alloc(0, FRAME_SHARED, 0, &shared), 0);
    assert_int_equal(stage2_map(&s2, gpa(RAM + MIB(4)), shared, PAGE_SIZE, 7, PTE_SOFT_COW), 0);
    char c = 'x';
    assert_int_equal(guest_mem_read(&s2, gpa(RAM + MIB(4)), &c, 1), 0);
    assert_int_equal(frame_query(shared).refs, 2);
    *(char *)pa_to_hva(shared) = 'y';
    c = 'z';
    assert_int_equal(guest_mem_write(&s2, gpa(RAM + MIB(4)), &c, 1), 0);
    assert_int_equal(frame_query(shared).refs, 1);
    assert_int_equal(*(char *)pa_to_hva(shared), 'y');
    frame_put(shared);
}

static void test_no_memory(void **state)
{
    static pa_t hoard[20000];
    struct guest_iov iov[8];
    unsigned n = 0;
    char c = 1;

    (void)state;
    frame_db.reserve = 0;
    while (!frame_alloc(0, FRAME_HYP, 0, &hoard[n]))
        n++;
    assert_int_equal(guest_mem_read(&s2, gpa(RAM), &c, 1), -ENOMEM);
    assert_int_equal(guest_mem_write(&s2, gpa(RAM), &c, 1), -ENOMEM);
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM), 1, true, iov, 8), -ENOMEM);
    for (unsigned i = 0; i < 4; i++)
        frame_put(hoard[--n]);
    /* Two pages can be had: the pin of four fails, and leaves none. */
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM), 4 * PAGE_SIZE, true, iov, 8), -ENOMEM);
    struct stage2_leaf leaf;
    assert_int_equal(stage2_lookup(&s2, gpa(RAM), &leaf), 0);
    assert_int_equal(frame_query(leaf.pa).pins, 0);
    while (n)
        frame_put(hoard[--n]);
}

/* The lock-free reader announces its hart, so a flush asks that hart before frames are freed. */
static void test_reader_is_announced(void **state)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(&s2);
    uint16_t v = 1;

    (void)state;
    assert_int_equal(guest_mem_write(&s2, gpa(RAM), &v, 2), 0);
    fake_hart = 7;
    assert_int_equal(guest_mem_read(&s2, gpa(RAM), &v, 2), 0);
    fake_hart = 0;
    assert_true(s2.harts & BIT(7));
    fake_xcall_harts = 0;
    assert_int_equal(stage2_unmap(&s2, gpa(RAM), MIB(2), &f), 0);
    stage2_flush_commit(&f);
    assert_true(fake_xcall_harts & BIT(7));
    assert_false(s2.harts & BIT(7)); /* not loaded there: asked once */
}

/* An index of a ring is never seen half written. */
static atomic_bool stop;
static void *other_cpu(void *arg)
{
    volatile uint64_t *word = arg;

    while (!atomic_load(&stop)) {
        *word = 0;
        *word = UINT64_MAX;
    }
    return NULL;
}

static void test_short_accesses_are_single(void **state)
{
    struct guest_iov iov;
    pthread_t t;
    uint64_t v;
    uint32_t w;
    uint16_t h;

    (void)state;
    assert_int_equal(guest_mem_pin(&s2, gpa(RAM), 8, true, &iov, 1), 1);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&t, NULL, other_cpu, iov.hva), 0);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(guest_mem_read(&s2, gpa(RAM), &v, 8), 0);
        assert_true(v == 0 || v == UINT64_MAX);
        assert_int_equal(guest_mem_read(&s2, gpa(RAM + 4), &w, 4), 0);
        assert_true(w == 0 || w == UINT32_MAX);
        assert_int_equal(guest_mem_read(&s2, gpa(RAM + 2), &h, 2), 0);
        assert_true(h == 0 || h == UINT16_MAX);
    }
    atomic_store(&stop, true);
    pthread_join(t, NULL);
    guest_mem_unpin(&s2, &iov, 1, true);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_copy_between_guests),
        TEST(test_copies),
        TEST(test_hostile_ranges),
        TEST(test_protected),
        TEST(test_marks_dirty),
        TEST(test_pins),
        TEST(test_pins_of_single_pages),
        TEST(test_pin_breaks_cow),
        TEST(test_no_memory),
        TEST(test_reader_is_announced),
        TEST(test_short_accesses_are_single),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
