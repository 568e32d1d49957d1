// SPDX-License-Identifier: BSD-2-Clause
// The watchdog's registers, against a clock that notes what it is told.
// units: vdev/watchdog.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c vdev/bus.c hyp/base/state.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "fake_vdev.h"
#include "vdev/watchdog.h"

enum { CTRL = 0x10, CFG = 0x14, MODE = 0x18, FEED = 0x14af };
#define KEY 0x16aa0000u

static uint64_t left; /* us */
static unsigned starts;

static void clock_start(void *ctx, uint64_t us)
{
    (void)ctx;
    left = us;
    starts++;
}

static void clock_stop(void *ctx)
{
    (void)ctx;
    left = UINT64_MAX;
}

static uint64_t clock_left(void *ctx)
{
    (void)ctx;
    return left;
}

static struct watchdog_backend backend = {clock_start, clock_stop, clock_left, clock_stop, NULL};

static struct vdev *make(void)
{
    struct vdev *dev;

    left = 0;
    starts = 0;
    dev = watchdog_create(&backend);
    assert_non_null(dev);
    assert_true(left == UINT64_MAX);
    return dev;
}

static uint64_t access_as(struct vdev *dev, uint64_t offset, uint8_t width, bool write, uint64_t v)
{
    struct mmio_access a = {.offset = offset, .width = width, .write = write, .value = v};

    assert_int_equal(bus_access_locked(dev, &a), MMIO_OK);
    return a.value;
}

static void put(struct vdev *dev, uint64_t offset, uint32_t v)
{
    access_as(dev, offset, 4, true, v);
}

static uint32_t get(struct vdev *dev, uint64_t offset)
{
    return (uint32_t)access_as(dev, offset, 4, false, 0);
}

static void registers(void **state)
{
    static const unsigned half_seconds[16] = {1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32};
    struct vdev *dev = make();

    (void)state;
    put(dev, MODE, 0x11); /* without the key */
    put(dev, CTRL, FEED); /* it does not run: nothing to feed */
    assert_int_equal(starts, 0);
    for (unsigned i = 0; i < 16; i++) {
        put(dev, MODE, KEY | i << 4 | 1);
        assert_int_equal(get(dev, MODE), i << 4 | 1);
        assert_true(left == (half_seconds[i] ? half_seconds[i] * 500000ull : UINT64_MAX));
    }
    put(dev, MODE, KEY | 0x51);
    left = 17;
    put(dev, CTRL, 1); /* not the restart's key */
    put(dev, MODE, KEY | 0x51); /* no change, no restart */
    assert_int_equal(left, 17);
    put(dev, CTRL, FEED);
    assert_int_equal(left, 5000000);
    put(dev, CFG, KEY | 2); /* an interrupt only */
    assert_true(left == UINT64_MAX);
    put(dev, CFG, KEY | 1);
    assert_int_equal(left, 5000000);
    assert_int_equal(get(dev, CFG), 1);
    put(dev, MODE, KEY);
    assert_true(left == UINT64_MAX);
    dev->ops->destroy(dev);
}

static void odd_accesses(void **state)
{
    struct vdev *dev = make();

    (void)state;
    put(dev, MODE, KEY | 0x11);
    for (uint8_t width = 1; width <= 8; width *= 2)
        for (uint64_t at = 0; at + width <= WATCHDOG_SIZE; at++) {
            if (width == 4 && !(at & 3))
                continue;
            access_as(dev, at, width, true, KEY);
            assert_int_equal(access_as(dev, at, width, false, 7), 0);
        }
    assert_int_equal(get(dev, MODE), 0x11);
    for (uint64_t at = 0; at < CTRL; at += 4)
        assert_int_equal(get(dev, at), 0);
    dev->ops->reset(dev);
    assert_int_equal(get(dev, MODE), 0);
    assert_true(left == UINT64_MAX);
    dev->ops->destroy(dev);
}

static void saved_and_loaded(void **state)
{
    struct vdev *dev = make();
    struct fake_stream s = {0}, bad;
    struct state_writer w = fake_stream_writer(&s);
    struct state_reader r;

    (void)state;
    put(dev, MODE, KEY | 0x51);
    left = 1234567;
    dev->ops->save(dev, &w);
    assert_int_equal(w.error, 0);
    dev->ops->destroy(dev);
    dev = make();
    r = fake_stream_reader(&s);
    assert_int_equal(dev->ops->load(dev, &r), 0);
    assert_int_equal(starts, 0); /* not before it is resumed */
    vdev_resume(dev);
    assert_int_equal(left, 1234567);
    vdev_resume(dev);
    assert_int_equal(starts, 1);
    assert_int_equal(get(dev, MODE), 0x51);
    for (size_t cut = 0; cut < s.len; cut++) {
        bad = (struct fake_stream){.data = s.data, .len = cut};
        r = fake_stream_reader(&bad);
        assert_int_not_equal(dev->ops->load(dev, &r), 0);
        assert_int_equal(get(dev, MODE), 0);
    }
    s.data[s.len - 1] = 0x7f; /* more left than its interval has */
    s.at = 0;
    r = fake_stream_reader(&s);
    assert_int_equal(dev->ops->load(dev, &r), -EINVAL);
    vdev_resume(dev);
    assert_true(left == UINT64_MAX);
    dev->ops->destroy(dev);
    free(s.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers),
        cmocka_unit_test(odd_accesses),
        cmocka_unit_test(saved_and_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
