// SPDX-License-Identifier: BSD-2-Clause
// The frame database: banks and reservations of odd shapes, orders, splitting, merging, references,
// pins, and running out.
// units: hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c hyp/mem/heap.c tests/fake/fake_base.c tests/fake/fake_mem.c
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
#include "mem/frame.h"
#include "mem/frame_db.h"
#include "mem/heap.h"

static uint64_t count_all(void)
{
    uint64_t c[FRAME_STATES], n = 0;

    frame_count(-1, c);
    for (unsigned i = 0; i < FRAME_STATES; i++)
        n += c[i];
    assert_int_equal(c[FRAME_FREE], frame_free_count());
    return n;
}

static pa_t must_alloc(unsigned order, enum frame_state state, uint16_t owner)
{
    pa_t p;

    assert_int_equal(frame_alloc(order, state, owner, &p), 0);
    assert_true(is_aligned(p.v, PAGE_SIZE << order));
    return p;
}

static void test_database_is_small(void **state)
{
    (void)state;
    fake_mem_start(GIB(2));
    assert_int_equal(count_all(), GIB(2) / PAGE_SIZE);
    assert_true(GIB(2) / PAGE_SIZE - frame_free_count() <= KIB(40) / PAGE_SIZE);
    assert_int_equal(frame_free_blocks(), 1023);
    assert_true(frame_plentiful());
}

/* Whoever counts all frames does not keep others from theirs all the while. */
static void test_count_lets_others_in(void **state)
{
    unsigned before;

    (void)state;
    fake_mem_start(GIB(2));
    before = atomic_load(&frame_db.lock.serving);
    count_all();
    assert_true(atomic_load(&frame_db.lock.serving) - before >= GIB(2) / BLOCK_SIZE);
}

static void test_odd_banks(void **state)
{
    struct frame_info i;

    (void)state;
    fake_arch_reset();
    frame_reset();
    fake_mem_arena(0x80000000, MIB(64));
    /* Unaligned, two in one block, out of order, overlapping, one empty, one far above 4 GiB. */
    assert_int_equal(frame_add_bank(pa(0x80600000), MIB(4) + 5), 0);
    assert_int_equal(frame_add_bank(pa(0x80000123), MIB(3)), 0);
    assert_int_equal(frame_add_bank(pa(0x80310000), 0x10000), 0);
    assert_int_equal(frame_add_bank(pa(0x80900000), MIB(2)), 0);
    assert_int_equal(frame_add_bank(pa(0x90000000), 0xfff), 0);
    assert_int_equal(frame_add_bank(pa(0x4000000000), MIB(64)), 0);
    assert_int_equal(frame_add_bank(pa(UINT64_MAX - 4096), 8192), -EINVAL);
    frame_reserve(pa(0x80001000), 1);
    frame_reserve(pa(0x80800800), 0x1000);
    frame_reserve(pa(0x70000000), MIB(1));
    frame_reserve(pa(0x4000000000), MIB(64));
    frame_reserve(pa(UINT64_MAX - 10), 100);
    assert_int_equal(frame_init_done(), 0);
    /* 0x80001000..0x802ff000 + 0x80310000..0x80320000 + 0x80600000..0x80b00000 + 64 MiB */
    assert_int_equal(count_all(), 0x2ff + 0x10 + 0x500 + MIB(64) / PAGE_SIZE);
    assert_int_equal(frame_query(pa(0x80001000)).state, FRAME_RESERVED);
    assert_int_equal(frame_query(pa(0x80800000)).state, FRAME_RESERVED);
    assert_int_equal(frame_query(pa(0x80801fff)).state, FRAME_RESERVED);
    assert_int_equal(frame_query(pa(0x80802000)).state, FRAME_HYP); /* the block's descriptors */
    assert_int_equal(frame_query(pa(0x80803000)).state, FRAME_FREE);
    assert_int_equal(frame_query(pa(0x80300000)).state, FRAME_RESERVED);
    assert_int_equal(frame_query(pa(0x4000000000)).state, FRAME_RESERVED);
    assert_int_equal(frame_query(pa(0x5000000000)).state, FRAME_RESERVED);
    assert_true(frame_is_ram(pa(0x4000000000)) && !frame_is_ram(pa(0x80300000)));
    assert_false(frame_is_ram(pa(0x80000000)) || frame_is_ram(pa(0x80b00000)));
    assert_int_equal(frame_free_blocks(), 1); /* 0x80600000 only */
    /* All that can be had is RAM, unreserved, and had once. */
    uint64_t n = frame_free_count(), seen = 0;
    pa_t p;
    while (!frame_alloc(0, FRAME_VM, 3, &p)) {
        assert_true(frame_is_ram(p));
        assert_false(p.v == 0x80001000 || p.v == 0x80800000 || p.v == 0x80801000);
        i = frame_query(p);
        assert_true(i.state == FRAME_VM && i.owner == 3 && i.refs == 1 && !i.pins && !i.order);
        memset(pa_to_hva(p), 0x55, PAGE_SIZE); /* the database is elsewhere */
        seen++;
    }
    assert_int_equal(seen, n - 1); /* the whole block paid a page for its descriptors */
    assert_int_equal(frame_free_count(), 0);
    count_all();
}

static void test_init_refusals(void **state)
{
    (void)state;
    fake_arch_reset();
    fake_mem_arena(0x80000000, MIB(4));
    frame_reset();
    assert_int_equal(frame_init_done(), -ENOMEM);
    frame_reset();
    assert_int_equal(frame_add_bank(pa(0x80000000), MIB(4)), 0);
    frame_reserve(pa(0x80000000), MIB(4));
    assert_int_equal(frame_init_done(), -ENOMEM);
    frame_reset();
    assert_int_equal(frame_add_bank(pa(0x80000000), MIB(4)), 0);
    for (unsigned i = 0; i < 65; i++)
        frame_reserve(pa(0x80000000 + i * 0x3000), 0x1000);
    assert_int_equal(frame_init_done(), -ENOSPC);
    frame_reset();
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(frame_add_bank(pa(0x80000000 + i * GIB(1)), MIB(4)), 0);
    assert_int_equal(frame_add_bank(pa(0x1080000000), MIB(4)), -ENOSPC);
}

static void test_unreserve(void **state)
{
    (void)state;
    fake_arch_reset();
    fake_mem_arena(0x80000000, MIB(32));
    frame_reset();
    assert_int_equal(frame_add_bank(pa(0x80000000), MIB(32)), 0);
    frame_reserve(pa(0x80800000), MIB(8) + 0x1234);
    assert_int_equal(frame_init_done(), 0);
    uint64_t blocks = frame_free_blocks(), n = frame_free_count();
    frame_unreserve(pa(0x80800000), MIB(8) + 0x1234); /* the last frame may have a neighbour */
    assert_int_equal(frame_free_blocks(), blocks + 4);
    assert_int_equal(frame_free_count(), n + 4 * 512 + 1);
    frame_unreserve(pa(0x80800000), MIB(8)); /* again: nothing */
    assert_int_equal(frame_free_count(), n + 4 * 512 + 1);
    frame_unreserve(pa(0), UINT64_MAX);
    frame_unreserve(pa(0x90000000), MIB(8));
    count_all();
}

static void test_orders(void **state)
{
    pa_t p[19];

    (void)state;
    fake_mem_start(GIB(3));
    for (unsigned o = 0; o <= 18; o++) {
        p[o] = must_alloc(o, FRAME_VM, (uint16_t)(o + 1));
        for (unsigned k = 0; k < o; k++) {
            uint64_t a = PAGE_SIZE << k, b = PAGE_SIZE << o;
            assert_true(p[k].v + a <= p[o].v || p[o].v + b <= p[k].v);
        }
        assert_int_equal(frame_query(pa(p[o].v + (PAGE_SIZE << o) - 1)).owner, o + 1);
        assert_int_equal(frame_query(p[o]).order, o < 9 ? 0 : o);
    }
    uint64_t c[FRAME_STATES];
    frame_count(19, c);
    assert_int_equal(c[FRAME_VM], 1 << 18);
    assert_int_equal(c[FRAME_FREE] + c[FRAME_RESERVED], 0);
    count_all();
    pa_t q;
    assert_int_equal(frame_alloc(19, FRAME_VM, 1, &q), -EINVAL);
    assert_int_equal(frame_alloc(0, FRAME_FREE, 1, &q), -EINVAL);
    assert_int_equal(frame_alloc(0, FRAME_RESERVED, 1, &q), -EINVAL);
    assert_int_equal(frame_alloc(18, FRAME_VM, 1, &q), -ENOMEM);
    uint64_t before = frame_free_count();
    frame_put(pa_add(p[18], MIB(700)));
    assert_int_equal(frame_free_count(), before + (1 << 18));
    assert_int_equal(frame_alloc(18, FRAME_VM, 1, &q), 0);
}

static void test_merge(void **state)
{
    enum { N = 5000 };
    static pa_t p[N];

    (void)state;
    fake_mem_start(MIB(64));
    pa_t first = must_alloc(0, FRAME_HYP, 0);
    uint64_t blocks = frame_free_blocks(), n = frame_free_count();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < N; i++)
            p[i] = must_alloc(0, FRAME_VM, 1);
        assert_int_equal(frame_free_blocks(), blocks - 9);
        for (unsigned i = 0; i < N; i++)
            frame_put(p[(i * 7919 + round) % N]);
        /* All whole again, but for one that may be kept at hand. */
        assert_true(frame_free_blocks() >= blocks - 1);
        assert_true(frame_free_count() >= n - 1);
        count_all();
    }
    frame_put(first);
}

static void test_split(void **state)
{
    (void)state;
    fake_mem_start(MIB(64));
    must_alloc(0, FRAME_HYP, 0);
    uint64_t blocks = frame_free_blocks(), n = frame_free_count();
    pa_t b = must_alloc(9, FRAME_VM, 7);
    frame_get(pa_add(b, 0x1000));
    assert_int_equal(frame_query(b).refs, 2);
    assert_int_equal(frame_split(pa_add(b, 0x5000)), 0);
    assert_int_equal(frame_split(b), 0); /* again: nothing */
    for (unsigned i = 0; i < 512; i++) {
        struct frame_info f = frame_query(pa_add(b, i * PAGE_SIZE));
        assert_true(f.state == FRAME_VM && f.owner == 7 && f.refs == 2 && f.order == 0);
    }
    frame_put_range(b, MIB(2));
    for (unsigned i = 0; i < 512; i++)
        frame_put(pa_add(b, i * PAGE_SIZE + 5));
    assert_int_equal(frame_free_blocks(), blocks);
    assert_int_equal(frame_free_count(), n); /* the page of descriptors came back */
    assert_int_equal(frame_split(pa(0x1000)), 0);
    expect_assert_failure((void)frame_put(b)); /* a reference too few */
}

static void test_split_without_memory(void **state)
{
    pa_t b, p;

    (void)state;
    fake_mem_start(MIB(16));
    b = must_alloc(9, FRAME_VM, 1);
    while (!frame_alloc(0, FRAME_VM, 1, &p))
        ;
    assert_int_equal(frame_split(b), -ENOMEM);
    assert_int_equal(frame_split_for(b, PAGE_SIZE), -ENOMEM);
    assert_int_equal(frame_split_for(b, MIB(2)), 0);
    assert_int_equal(frame_query(b).order, 9);
    frame_put(pa_add(b, 77));
    assert_int_equal(frame_free_blocks(), 1);
}

static void test_split_gigabyte(void **state)
{
    (void)state;
    fake_mem_start(GIB(3));
    must_alloc(0, FRAME_HYP, 0);
    uint64_t n = frame_free_count();
    pa_t g = must_alloc(18, FRAME_VM, 2);
    assert_int_equal(frame_split_for(pa_add(g, MIB(512)), MIB(4)), 0);
    assert_int_equal(frame_query(pa_add(g, MIB(511))).order, 9);
    assert_int_equal(frame_split_for(pa_add(g, MIB(6) + 0x3000), 0x2000), 0);
    assert_int_equal(frame_query(pa_add(g, MIB(6))).order, 0);
    assert_int_equal(frame_query(pa_add(g, MIB(8))).order, 9);
    frame_put_range(g, GIB(1));
    assert_int_equal(frame_free_count(), n);
}

static void test_pins(void **state)
{
    (void)state;
    fake_mem_start(MIB(32));
    must_alloc(0, FRAME_HYP, 0);
    uint64_t n = frame_free_count();
    pa_t p = must_alloc(0, FRAME_VM, 1);
    assert_int_equal(frame_pin(p), 0);
    assert_int_equal(frame_pin(pa_add(p, 9)), 0);
    frame_put(p);
    assert_int_equal(frame_query(p).state, FRAME_VM);
    assert_int_equal(frame_query(p).refs, 0);
    frame_unpin(p);
    assert_int_equal(frame_query(p).pins, 1);
    frame_unpin(p);
    assert_int_equal(frame_query(p).state, FRAME_FREE);
    assert_int_equal(frame_pin(p), -EINVAL);
    assert_int_equal(frame_pin(pa(0x1000)), -EINVAL);
    assert_int_equal(frame_free_count(), n);
    /* A whole block, freed by the last unpin. */
    p = must_alloc(9, FRAME_VM, 1);
    assert_int_equal(frame_pin_range(pa_add(p, 0x3000), 0x4000), 0);
    assert_int_equal(frame_query(p).pins, 4);
    frame_put(p);
    frame_unpin_range(pa_add(p, 0x3000), 0x4000);
    assert_int_equal(frame_query(p).state, FRAME_FREE);
    /* Over a boundary that is not all there: nothing stays pinned. */
    p = must_alloc(9, FRAME_VM, 1);
    pa_t last = pa_add(p, MIB(2) - PAGE_SIZE);
    assert_int_equal(frame_query(pa_add(p, MIB(2))).state, FRAME_FREE);
    assert_int_equal(frame_pin_range(last, 2 * PAGE_SIZE), -EINVAL);
    assert_int_equal(frame_query(p).pins, 0);
    frame_put(p);
    assert_int_equal(frame_free_count(), n);
}

static void test_pins_across_split(void **state)
{
    (void)state;
    fake_mem_start(MIB(32));
    must_alloc(0, FRAME_HYP, 0);
    uint64_t n = frame_free_count(), blocks = frame_free_blocks();
    pa_t b = must_alloc(9, FRAME_VM, 1), at = pa_add(b, 0x10000);
    assert_int_equal(frame_pin_range(at, 0x3000), 0);
    assert_int_equal(frame_split(b), 0);
    assert_int_equal(frame_query(b).pins, 3); /* nobody knows which: all are protected */
    assert_int_equal(frame_pin(at), 0); /* and one taken after it */
    frame_put_range(b, MIB(2));
    assert_int_equal(frame_query(b).state, FRAME_VM);
    frame_unpin(at);
    frame_unpin(pa_add(at, 0x1000));
    frame_unpin(pa_add(at, 0x2000));
    assert_int_not_equal(frame_query(at).state, FRAME_FREE);
    frame_unpin(at);
    assert_int_equal(frame_query(at).state, FRAME_FREE);
    assert_int_equal(frame_query(b).state, FRAME_FREE);
    assert_int_equal(frame_free_count(), n);
    assert_int_equal(frame_free_blocks(), blocks);
}

static void test_set_state(void **state)
{
    (void)state;
    fake_mem_start(MIB(32));
    pa_t p = must_alloc(0, FRAME_HYP, 0), b = must_alloc(10, FRAME_VM, 4);
    assert_int_equal(frame_set_state(p, FRAME_VM, 9), 0);
    assert_int_equal(frame_query(p).owner, 9);
    assert_int_equal(frame_set_state(pa_add(b, MIB(3)), FRAME_SHARED, 5), 0);
    assert_int_equal(frame_query(b).state, FRAME_SHARED);
    assert_int_equal(frame_set_state(p, FRAME_FREE, 0), -EINVAL);
    assert_int_equal(frame_set_state(pa(0), FRAME_VM, 0), -EINVAL);
    frame_put(p);
    assert_int_equal(frame_set_state(p, FRAME_VM, 0), -EINVAL);
}

/* Random work against a model: what is held stays apart, and all comes back. */
static void test_random(void **state)
{
    enum { SLOTS = 300 };
    static struct {
        pa_t p;
        unsigned order;
        bool used;
    } slot[SLOTS];
    static uint8_t map[MIB(48) / PAGE_SIZE];

    (void)state;
    srand(1);
    memset(map, 0, sizeof(map));
    memset(slot, 0, sizeof(slot));
    fake_mem_start(MIB(48));
    must_alloc(0, FRAME_HYP, 0);
    uint64_t n = frame_free_count();
    for (unsigned i = 0; i < 60000; i++) {
        unsigned s = (unsigned)rand() % SLOTS;
        uint64_t first, pages;

        if (!slot[s].used) {
            unsigned kind = (unsigned)rand() % 16;

            slot[s].order = kind < 12 ? 0 : kind < 14 ? (unsigned)rand() % 6 : kind < 15 ? 9 : 10;
            slot[s].used = !frame_alloc(slot[s].order, FRAME_VM, 1, &slot[s].p);
        } else {
            slot[s].used = false;
            if (slot[s].order >= 9 && rand() % 2 && frame_split_for(slot[s].p, PAGE_SIZE) == 0) {
                for (uint64_t at = 0; at < PAGE_SIZE << slot[s].order;) {
                    pa_t q = pa_add(slot[s].p, at);

                    at += PAGE_SIZE << frame_query(q).order;
                    frame_put(q);
                }
            } else {
                frame_put_range(slot[s].p, PAGE_SIZE << slot[s].order);
            }
        }
        first = (slot[s].p.v - FAKE_RAM_BASE) >> PAGE_SHIFT;
        pages = slot[s].p.v ? 1ul << slot[s].order : 0;
        for (uint64_t k = 0; k < pages; k++) {
            if (slot[s].used)
                assert_int_equal(map[first + k], 0);
            map[first + k] = slot[s].used;
        }
        if (!slot[s].used)
            slot[s].p = pa(0);
        if (i % 5000 == 0)
            assert_int_equal(count_all(), MIB(48) / PAGE_SIZE);
    }
    for (unsigned s = 0; s < SLOTS; s++) {
        if (slot[s].used)
            frame_put_range(slot[s].p, PAGE_SIZE << slot[s].order);
    }
    assert_true(frame_free_count() >= n - 1);
}

static void test_heap(void **state)
{
    static const size_t sizes[] = {0,    1,     32,    33,         100,    256,
                                   500,  1008,  1009,  2032,       2033,   4096,
                                   4097, 12288, 20000, MIB(1) + 1, MIB(2), MIB(3)};
    enum { N = 400 };
    static unsigned char *p[N];
    static size_t len[N];

    (void)state;
    fake_mem_start(MIB(512));
    must_alloc(0, FRAME_HYP, 0);
    uint64_t n = frame_free_count();
    assert_int_equal(heap_bytes(), 0);
    heap_free(NULL);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < N; i++) {
            len[i] = sizes[(i * 13 + round) % (ARRAY_LEN(sizes) - (i > 100 ? 3 : 0))];
            p[i] = heap_alloc(len[i]);
            assert_non_null(p[i]);
            assert_int_equal((uintptr_t)p[i] & 15, 0);
            for (size_t k = 0; k < len[i]; k++)
                assert_true(p[i][k] == 0);
            memset(p[i], (int)i + 1, len[i]);
        }
        assert_true(heap_bytes() > 0);
        for (unsigned i = 0; i < N; i++) {
            unsigned j = (i * 149) % N;
            for (size_t k = 0; k < len[j]; k++)
                assert_true(p[j][k] == (unsigned char)(j + 1));
            heap_free(p[j]);
        }
        assert_int_equal(heap_bytes(), 0);
        assert_true(frame_free_count() >= n - 1);
    }
    assert_null(heap_alloc(SIZE_MAX));
    assert_null(heap_alloc(GIB(1)));
    void *q = heap_alloc(40);
    expect_assert_failure(heap_free((char *)q + 8));
}

/* What is said that objects take is what they take. */
static void test_heap_takes(void **state)
{
    static const size_t small[] = {0, 1, 32, 33, 500, 1008, 1009, 2032},
                        large[] = {2033, 4096, 4097, 20000, MIB(1), MIB(2), MIB(4)};

    (void)state;
    fake_mem_start(MIB(512));
    for (unsigned i = 0; i < ARRAY_LEN(small); i++) {
        unsigned most = 4064 / (unsigned)heap_takes(small[i]);
        void *p[128];

        for (unsigned n = 0; n <= most; n++) {
            p[n] = heap_alloc(small[i]);
            assert_int_equal(heap_bytes(), n < most ? PAGE_SIZE : 2 * PAGE_SIZE);
        }
        for (unsigned n = 0; n <= most; n++)
            heap_free(p[n]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(large); i++) {
        uint64_t note = large[i] > PAGE_SIZE ? HEAP_NOTE : 0;
        void *p = heap_alloc(large[i]);

        assert_int_equal(heap_bytes(), heap_takes(large[i]) - note + (note ? PAGE_SIZE : 0));
        heap_free(p);
    }
}

static void test_heap_exhausted(void **state)
{
    void *chain = NULL, *p;

    (void)state;
    fake_mem_start(MIB(4));
    uint64_t n = frame_free_count();
    size_t before = heap_bytes();
    for (size_t size = 32; (p = heap_alloc(size)); size = size * 3 % 9973 + 32) {
        *(void **)p = chain;
        chain = p;
    }
    while (chain) {
        p = *(void **)chain;
        heap_free(chain);
        chain = p;
    }
    assert_int_equal(heap_bytes(), before);
    assert_true(frame_free_count() >= n - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_database_is_small),
        cmocka_unit_test(test_count_lets_others_in),
        cmocka_unit_test(test_odd_banks),
        cmocka_unit_test(test_init_refusals),
        cmocka_unit_test(test_unreserve),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_without_memory),
        cmocka_unit_test(test_split_gigabyte),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_pins_across_split),
        cmocka_unit_test(test_set_state),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_heap_exhausted),
        cmocka_unit_test(test_heap_takes),
        cmocka_unit_test(test_heap), /* it leaves an object behind */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
