// SPDX-License-Identifier: BSD-2-Clause
// The memory of bundles: numbers, references, what is given back, running out; the boot bundle out of reserved memory.
// units: hyp/vm/bundle_memory.c hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c hyp/mem/frame_run.c
// units: hyp/mem/heap.c tests/fake/fake_base.c tests/fake/fake_mem.c
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
#include "mem/frame.h"
#include "mem/heap.h"
#include "vm/bundle.h"

static uint64_t images(void)
{
    uint64_t counts[FRAME_STATES];

    frame_count(-1, counts);
    return counts[FRAME_IMAGE];
}

static void test_references(void **state)
{
    struct bundle *a, *b, *c;
    uint64_t before;

    (void)state;
    fake_mem_start(MIB(64));
    before = frame_free_blocks();
    assert_int_equal(bundle_alloc(0, &a), -EINVAL);
    assert_int_equal(bundle_alloc(MIB(2) + 1, &a), 0);
    assert_int_equal(bundle_alloc(MIB(2), &b), 0);
    assert_true(a->id > BUNDLE_BOOT && b->id > a->id);
    assert_true(is_aligned(a->base.v, MIB(2)) && is_aligned((uintptr_t)a->data, MIB(2)));
    assert_int_equal(images(), 3 * 512);
    memset(a->data, 0x5a, a->size);
    memset(b->data, 0xa5, b->size);
    assert_int_equal(((uint8_t *)a->data)[MIB(2)], 0x5a);

    c = bundle_from(0);
    assert_ptr_equal(c, a);
    bundle_put(c);
    c = bundle_from(a->id + 1);
    assert_ptr_equal(c, b);
    bundle_put(b); /* ours; c holds another */
    assert_int_equal(images(), 3 * 512);
    bundle_put(c);
    assert_int_equal(images(), 2 * 512);
    assert_null(bundle_from(a->id + 1));

    bundle_get(a);
    bundle_put(a);
    assert_int_equal(images(), 2 * 512);
    assert_int_equal(bundle_alloc(1, &b), 0);
    assert_true(b->id > a->id + 1); /* a number is not used twice */
    bundle_put(b);
    bundle_put(a);
    bundle_put(NULL);
    assert_int_equal(images(), 0);
    assert_null(bundle_from(0));
    assert_true(frame_free_blocks() + 1 >= before); /* the heap's page opened one */
}

/* A VM may still map a page when its bundle goes, in the time until its stage 2 is flushed. */
static void test_mapped_frames_outlive_it(void **state)
{
    struct bundle *b;
    pa_t mapped;

    (void)state;
    fake_mem_start(MIB(64));
    assert_int_equal(bundle_alloc(MIB(4), &b), 0);
    mapped = pa_add(b->base, MIB(2) + PAGE_SIZE);
    assert_int_equal(frame_split_for(mapped, PAGE_SIZE), 0);
    frame_get_range(mapped, PAGE_SIZE);
    bundle_put(b);
    assert_int_equal(images(), 1);
    frame_put_range(mapped, PAGE_SIZE);
    assert_int_equal(images(), 0);
}

static void test_running_out(void **state)
{
    struct bundle *b[BUNDLE_MAX], *more;
    uint64_t free;
    pa_t middle;

    (void)state;
    fake_mem_start(MIB(64));
    assert_int_equal(bundle_alloc(MIB(64), &more), -ENOMEM);
    assert_int_equal(bundle_alloc(UINT64_MAX, &more), -ENOMEM);
    assert_null(more);
    for (unsigned i = 0; i < BUNDLE_MAX; i++)
        assert_int_equal(bundle_alloc(100, &b[i]), 0);
    free = frame_free_count();
    assert_int_equal(bundle_alloc(100, &more), -ENOSPC);
    assert_int_equal(frame_free_count(), free);
    for (unsigned i = 0; i < BUNDLE_MAX; i++)
        bundle_put(b[i]);
    assert_int_equal(images(), 0);
    /* Enough memory, but not in one piece. */
    fake_mem_start(MIB(16));
    assert_int_equal(frame_alloc_run(7, FRAME_VM, 1, &middle), 0);
    frame_put_range(middle, 3 * MIB(2));
    frame_put_range(pa_add(middle, 4 * MIB(2)), 3 * MIB(2));
    assert_int_equal(bundle_alloc(MIB(8), &more), -ENOMEM);
    assert_int_equal(bundle_alloc(MIB(6), &more), 0);
    bundle_put(more);
}

/* The firmware may load it anywhere, beside other reserved memory. */
static void test_boot_bundle(void **state)
{
    const uint64_t base = 0x80600000 - 0x3000, size = MIB(4) + 0x5800;
    uint64_t counts[FRAME_STATES], all = 0;
    struct bundle *b, *same;

    (void)state;
    fake_arch_reset();
    fake_mem_arena(0x80000000, MIB(32));
    frame_reset();
    assert_int_equal(frame_add_bank(pa(0x80000000), MIB(32)), 0);
    frame_reserve(pa(base), size);
    frame_reserve(pa(0x80a02800), 0x100000); /* a whole block is reserved, the bundle's end in it */
    frame_reserve(pa(0x80b02800), 0xfd800);
    assert_int_equal(frame_init_done(), 0);
    b = bundle_adopt_boot(pa(base), size);
    assert_non_null(b);
    assert_int_equal(b->id, BUNDLE_BOOT);
    assert_int_equal(images(), 3 + 1024 + 2); /* the last page is not whole */
    assert_int_equal(frame_query(pa(0x80600000)).order, 9);
    assert_int_equal(frame_query(pa(base)).state, FRAME_IMAGE);
    assert_int_equal(frame_query(pa(base)).refs, 1);
    assert_int_equal(frame_query(pa(base + size)).state, FRAME_RESERVED);
    assert_int_equal(frame_query(pa(0x80a02000)).state, FRAME_RESERVED);
    assert_int_equal(frame_query(pa(base - PAGE_SIZE)).state, FRAME_FREE);
    frame_count(-1, counts);
    for (unsigned i = 0; i < FRAME_STATES; i++)
        all += counts[i];
    assert_int_equal(all, MIB(32) / PAGE_SIZE);
    same = bundle_from(BUNDLE_BOOT);
    assert_ptr_equal(same, b);
    bundle_put(same);
    assert_int_equal(frame_adopt(pa(base), size, FRAME_IMAGE), 0); /* again: nothing */
    assert_int_equal(frame_query(pa(base)).refs, 1);
    assert_int_equal(frame_adopt(pa(base), size, FRAME_FREE), -EINVAL);
    assert_int_equal(frame_adopt(pa(UINT64_MAX), 1, FRAME_IMAGE), -EINVAL);
    assert_int_equal(frame_adopt(pa(0x90000000), MIB(4), FRAME_IMAGE), 0); /* no RAM: nothing */
    bundle_put(b); /* its memory stays: the firmware's */
    assert_int_equal(images(), 3 + 1024 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_mapped_frames_outlive_it),
        cmocka_unit_test(test_running_out),
        cmocka_unit_test(test_boot_bundle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
