// SPDX-License-Identifier: BSD-2-Clause
// Limits on disks: how much goes through in a time, what waits and is told so, and what is not counted.
// units: hyp/blk/limit.c tests/fake/fake_disk.c tests/fake/fake_base.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "blk/limit.h"
#include "fake_disk.h"
#include "sched/timer.h"

uint64_t timer_hz = 10000000;
static struct timer *armed;
static bool cancelled;
void timer_init(struct timer *t, void (*fn)(struct timer *t)) { t->fn = fn; }
void timer_set(struct timer *t, uint64_t when)
{
    assert_true(when > fake_time);
    t->when = when;
    armed = t;
}
void timer_cancel_wait(struct timer *t)
{
    armed = t == armed ? NULL : armed;
    cancelled = true;
}

static struct fake_disk file;
static struct blk_backend *disk;
static unsigned ready_calls, ended;
static uint8_t data[1 << 20];

static void ready(void *device)
{
    assert_ptr_equal(device, &file);
    ready_calls++;
}
static void done(struct blk_request *r)
{
    assert_int_equal(r->result, 0);
    ended++;
}

static void start(uint32_t iops, uint64_t bytes)
{
    struct blk_limit limit = {iops, bytes};

    fake_time = 1000;
    ready_calls = ended = 0;
    armed = NULL;
    cancelled = false;
    fake_disk_init(&file, 4 << 20);
    disk = blk_limit_create(&file.blk, &limit);
    assert_non_null(disk);
    assert_int_equal(disk->sectors, (4 << 20) / 512);
    assert_string_equal(disk->serial, "fake");
    disk->ready = ready;
    disk->device = &file;
}

static void stop(void)
{
    disk->close(disk->ctx);
    assert_true(cancelled);
    fake_disk_free(&file);
    assert_int_equal(fake_heap_blocks, 0);
}

static int ask(enum blk_op op, uint64_t sectors)
{
    static struct blk_segment seg;
    static struct blk_request r;

    seg = (struct blk_segment){data, (uint32_t)(sectors * 512)};
    r = (struct blk_request){
        .op = op, .sectors = sectors, .seg = &seg, .seg_count = 1, .done = done};
    return disk->submit(disk->ctx, &r);
}

/* As many requests as go in so many seconds, by one who asks again when told. */
static unsigned in_seconds(unsigned seconds, enum blk_op op, uint64_t sectors)
{
    uint64_t end = fake_time + seconds * timer_hz;
    unsigned n = 0;

    for (;;) {
        int error = ask(op, sectors);

        n += !error;
        if (!error)
            continue;
        assert_int_equal(error, -EAGAIN);
        assert_non_null(armed);
        if (armed->when > end)
            return n;
        fake_time = armed->when;
        unsigned calls = ready_calls;
        armed->fn(armed);
        assert_int_equal(ready_calls, calls + 1);
    }
}

static void requests(void **state)
{
    (void)state;
    start(500, 0);
    unsigned n = in_seconds(4, BLK_READ, 8);

    assert_in_range(n, 2000, 2000 + 50 + 1); /* and the burst */
    n = in_seconds(4, BLK_WRITE, 2048); /* however large */
    assert_in_range(n, 1999, 2001);
    assert_int_equal(ask(BLK_READ, 8), -EAGAIN);
    assert_int_equal(ask(BLK_FLUSH, 0), 0); /* what was written is made sure at any time */
    assert_int_equal(file.flushes, 1);
    fake_time += 100 * timer_hz; /* a rest gives a burst, no more */
    n = in_seconds(1, BLK_DISCARD, 8);
    assert_in_range(n, 549, 551);
    assert_int_equal(ended, file.reads + file.writes + file.flushes + file.discards);
    stop();
    start(1, 0);
    assert_int_equal(in_seconds(3, BLK_READ, 1), 4);
    stop();
}

static void bytes(void **state)
{
    (void)state;
    start(0, 8 << 20);
    unsigned n = in_seconds(10, BLK_WRITE, 2048);

    assert_in_range(n, 80 + 3, 80 + 4 + 1); /* MiB, and the burst of 4 */
    n = in_seconds(10, BLK_READ, 8);
    assert_in_range(n, 80 * 256 - 1, 80 * 256 + 1);
    for (unsigned i = 0; i < 1000; i++) /* they move no data */
        assert_int_equal(ask(i & 1 ? BLK_DISCARD : BLK_WRITE_ZEROES, 8), 0);
    stop();
    start(0,
          BLK_LIMIT_BYTES_MIN); /* the slowest: a burst at once, then a MiB waits long and goes */
    assert_int_equal(in_seconds(15, BLK_READ, 2048), 4);
    assert_int_equal(in_seconds(33, BLK_READ, 2048), 2);
    stop();
}

static void both(void **state)
{
    (void)state;
    start(100, 1 << 20);
    unsigned n = in_seconds(30, BLK_READ, 2048);

    assert_in_range(n, 30 + 3, 30 + 5); /* the bytes hold */
    n = in_seconds(30, BLK_READ, 1);
    assert_in_range(n, 2999, 3010); /* the requests hold */
    stop();
}

static void change(uint32_t iops, uint64_t bytes)
{
    struct blk_limit limit = {iops, bytes};

    blk_limit_set(disk, &limit);
}

/* At run time: on, off, another; who waits is told. */
static void changes(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(disk->depth, file.blk.depth);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(ask(BLK_READ, 8), 0);
    assert_null(armed);
    change(100, 0);
    assert_int_equal(ready_calls, 1);
    assert_in_range(in_seconds(4, BLK_READ, 8), 400, 400 + 10 + 1);
    assert_int_equal(ask(BLK_READ, 8), -EAGAIN);
    unsigned calls = ready_calls;
    change(0, 1 << 20);
    assert_int_equal(ready_calls, calls + 1);
    assert_in_range(in_seconds(30, BLK_READ, 2048), 30 + 3, 30 + 5);
    change(0, 0);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(ask(BLK_WRITE, 2048), 0);
    stop();
}

static int full(void *ctx, struct blk_request *r)
{
    (void)ctx;
    (void)r;
    return -EAGAIN;
}

/* A backend that is full itself: nothing is counted, and its word is passed on. */
static void below_full(void **state)
{
    int (*submit)(void *ctx, struct blk_request *r);

    (void)state;
    start(10, 0);
    submit = file.blk.submit;
    file.blk.submit = full;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ask(BLK_READ, 8), -EAGAIN);
    assert_null(armed);
    file.blk.ready(file.blk.device);
    assert_int_equal(ready_calls, 1);
    file.blk.submit = submit;
    assert_int_equal(ask(BLK_READ, 8), 0);
    stop();
}

/* What is below grows: so does what is seen; a disk that cannot cannot here. */
static void grows(void **state)
{
    struct blk_limit none = {0, 0};
    struct blk_growth g = {.room = (4 << 20) / 512 + 1};

    (void)state;
    start(0, 0);
    assert_null(disk->grow);
    disk->close(disk->ctx);
    file.blk.grow = fake_disk_grow;
    file.blk.sectors = 8;
    disk = blk_limit_create(&file.blk, &none);
    assert_non_null(disk);
    assert_int_equal(disk->grow(disk->ctx, &g), -EBUSY);
    assert_int_equal(disk->sectors, 8);
    g.room--;
    assert_int_equal(disk->grow(disk->ctx, &g), 0);
    assert_int_equal(disk->sectors, g.room);
    stop();
}

static void no_memory(void **state)
{
    struct blk_limit limit = {1, 1};

    (void)state;
    fake_disk_init(&file, 1 << 20);
    fake_heap_left = 0;
    assert_null(blk_limit_create(&file.blk, &limit));
    fake_heap_left = -1;
    assert_null(file.blk.ready);
    fake_disk_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),  cmocka_unit_test(bytes),      cmocka_unit_test(both),
        cmocka_unit_test(changes),   cmocka_unit_test(below_full), cmocka_unit_test(grows),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
