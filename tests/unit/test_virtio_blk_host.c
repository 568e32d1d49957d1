// SPDX-License-Identifier: BSD-2-Clause
// Requests to the host's disks: what they read and write, queues that are full, parts, devices that are wrong. Several that
// share a disk: test_virtio_blk_share.c; interrupts for several: test_virtio_blk_coalesce.c.
// units: tests/fake/hostdev.units
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_hostdisk.h"
#include "mem/frame.h"

static void test_read_write(void **state)
{
    (void)state;
    struct blk_segment seg[3] = {
        {hostdisk_page, 512}, {hostdisk_page + 1024, 1000}, {hostdisk_page + 3000, 24}};
    struct blk_request r = hostdisk_request(BLK_READ, 5, 3, seg, 3);
    assert_int_equal(hostdisk_run(hostdisk, hostdisk_backend, &r), 0);
    assert_memory_equal(hostdisk_page, hostdisk->disk + 5 * 512, 512);
    assert_memory_equal(hostdisk_page + 1024, hostdisk->disk + 6 * 512, 1000);
    assert_memory_equal(hostdisk_page + 3000, hostdisk->disk + 6 * 512 + 1000, 24);

    memset(hostdisk_page, 0xEE, 4096);
    r = hostdisk_request(BLK_WRITE, 255, 1, seg, 1);
    assert_int_equal(hostdisk_run(hostdisk, hostdisk_backend, &r), 0);
    assert_memory_equal(hostdisk->disk + 255 * 512, hostdisk_page, 512);
    assert_int_not_equal(hostdisk->disk[255 * 512 - 1], 0xEE);

    r = hostdisk_request(BLK_FLUSH, 0, 0, NULL, 0);
    assert_int_equal(hostdisk_run(hostdisk, hostdisk_backend, &r), 0);
}

static void test_zeroes_and_discard(void **state)
{
    (void)state;
    struct blk_request r = hostdisk_request(BLK_WRITE_ZEROES, 10, 3, NULL, 0);
    assert_int_equal(hostdisk_run(hostdisk, hostdisk_backend, &r), 0);
    assert_int_equal(hostdisk->last_flags, 0);
    for (unsigned i = 0; i < 3 * 512; i++)
        assert_int_equal(hostdisk->disk[10 * 512 + i], 0);
    assert_int_not_equal(hostdisk->disk[13 * 512 + 1], 0);
    r.unmap = true;
    r.owner = NULL;
    assert_int_equal(hostdisk_run(hostdisk, hostdisk_backend, &r), 0);
    assert_int_equal(hostdisk->last_flags, 1);

    /* 150 sectors, 64 at a time */
    unsigned kicks = hostdisk->kicks;
    hostdisk->held = true;
    r = hostdisk_request(BLK_DISCARD, 0, 150, NULL, 0);
    assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_null(r.owner);
        hostdev_complete(hostdisk, 0);
        hostdev_interrupt(hostdisk);
    }
    hostdisk->held = false;
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, 0);
    assert_int_equal(hostdisk->kicks, kicks + 3);
    assert_int_equal(hostdisk->last_discard_sectors, 150 - 128);
    assert_int_equal(hostdisk->last_flags, 0);
}

static void expect(struct blk_request r, int result)
{
    unsigned kicks = hostdisk->kicks;
    assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r), 0);
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, result);
    assert_int_equal(hostdisk->kicks, kicks); /* the device heard nothing of it */
}

static void test_bad_requests(void **state)
{
    (void)state;
    struct blk_segment seg[3] = {{hostdisk_page, 512}, {hostdisk_page, 512}, {hostdisk_page, 0}};
    expect(hostdisk_request(BLK_READ, 255, 2, seg, 2), -EIO);
    expect(hostdisk_request(BLK_READ, 256, 1, seg, 1), -EIO);
    expect(hostdisk_request(BLK_READ, UINT64_MAX, 1, seg, 1), -EIO);
    expect(hostdisk_request(BLK_READ, 0, 0, seg, 0), -EIO);
    expect(hostdisk_request(BLK_READ, 0, 2, seg, 1), -EIO); /* less memory than sectors */
    expect(hostdisk_request(BLK_READ, 0, 1, seg, 2), -EIO);
    expect(hostdisk_request(BLK_WRITE, 0, 2, seg, 3), -EIO); /* an empty segment */
    expect(hostdisk_request(BLK_DISCARD, 200, 57, NULL, 0), -EIO);
}

static void test_device_errors(void **state)
{
    (void)state;
    static const struct {
        uint8_t status;
        int result;
    } in[] = {{1, -EIO}, {2, -ENOTSUP}, {3, -EIO}, {0xFF, -EIO}, {0xFE, -EIO}, {0, 0}};
    struct blk_segment seg = {hostdisk_page, 512};
    for (unsigned i = 0; i < 6; i++) {
        struct blk_request r = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
        hostdisk->answer = in[i].status;
        assert_int_equal(hostdisk_run(hostdisk, hostdisk_backend, &r), in[i].result);
    }
    hostdisk->answer = 1; /* the first part fails: the rest is not sent */
    unsigned kicks = hostdisk->kicks;
    struct blk_request r = hostdisk_request(BLK_DISCARD, 0, 150, NULL, 0);
    assert_int_equal(hostdisk_run(hostdisk, hostdisk_backend, &r), -EIO);
    assert_int_equal(hostdisk->kicks, kicks + 1);
    hostdisk->answer = 0;
}

static void test_out_of_order(void **state)
{
    (void)state;
    enum { N = 40 };
    static struct blk_segment seg[N];
    static struct blk_request r[N];
    static char *memory;
    pa_t p;
    assert_int_equal(frame_alloc(FRAME_ORDER_2M, FRAME_HYP, 0, &p), 0);
    memory = pa_to_hva(p);
    hostdisk->held = true;
    for (unsigned i = 0; i < N; i++) {
        seg[i] = (struct blk_segment){memory + 512 * i, 512};
        r[i] = hostdisk_request(BLK_READ, i * 3, 1, &seg[i], 1);
        assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r[i]), 0);
    }
    assert_int_equal(hostdisk->pending_count, N);
    hostdisk_done_count = 0;
    for (unsigned left = N; left > 0; left--) {
        hostdev_complete(hostdisk, left * 7 % hostdisk->pending_count);
        if (left % 3 == 0) {
            hostdev_interrupt(hostdisk);
            assert_int_equal(hostdisk_done_count, N - left + 1);
        }
    }
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(r[i].result, 0);
        assert_memory_equal(memory + 512 * i, hostdisk->disk + i * 3 * 512, 512);
    }
    hostdisk->held = false;
    frame_put(p);
}

static unsigned again;
static void on_done_again(struct blk_request *r)
{
    hostdisk_done(r);
    if (!again--)
        return;
    r->owner = NULL;
    assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, r), 0);
}

/* Who asks for more at each end, and gets it at once, keeps nobody from a hart. */
static void test_without_end(void **state)
{
    (void)state;
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
    r.done = on_done_again;
    again = 1000;
    hostdev_sched_points = 0;
    assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r), 0);
    hostdisk->handler(hostdisk->arg);
    assert_int_equal(again, UINT_MAX);
    assert_true(hostdev_sched_points >= 100);
}

/* Fills the queue by slots, then by descriptors; ready comes once, when there is room, and nothing is lost. */
static void test_full(void **state)
{
    (void)state;
    static struct blk_segment seg[126];
    static struct blk_request r[200];
    for (unsigned i = 0; i < 126; i++)
        seg[i] = (struct blk_segment){hostdisk_page, 512};
    for (unsigned round = 0; round < 2; round++) {
        unsigned segments = round ? 60 : 1, n = 0;
        hostdisk->held = true;
        hostdisk_ready_count = hostdisk_done_count = 0;
        do
            r[n] = hostdisk_request(BLK_WRITE, 0, segments, seg, segments);
        while (hostdisk_backend->submit(hostdisk_backend->ctx, &r[n++]) == 0 && n < 200);
        n--;
        assert_int_equal(n, round ? 4 : 64); /* 4 * 62 of 256 descriptors; 64 slots */
        assert_int_equal(r[n].result, 77);
        assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r[n]), -EAGAIN);
        assert_int_equal(hostdisk_ready_count, 0);
        hostdev_complete(hostdisk, 0);
        hostdev_interrupt(hostdisk);
        assert_int_equal(hostdisk_ready_count, 1);
        assert_int_equal(hostdisk_done_count, 1);
        assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r[n]), 0);
        hostdev_finish(hostdisk);
        assert_int_equal(hostdisk_done_count, n + 1);
        assert_int_equal(hostdisk_ready_count, 1); /* nobody was turned away since */
        hostdisk->held = false;
    }
}

/* Another disk, whose device takes few segments and whose queue is small. */
static void test_parts(void **state)
{
    (void)state;
    struct hostdev *d = hostdev_disk();
    hostdev_config32(d, 12, 6);
    d->queue_max = 20; /* the driver must use 16 */
    hostdev_attach(d);
    assert_int_equal(d->queue_num, 16);
    struct blk_backend *b = host_disk_open(host_disk_count() - 1, false);
    assert_non_null(b);

    /* Pieces of 128 bytes: parts must end on a sector, after 4 of them. */
    static struct blk_segment seg[40];
    for (unsigned i = 0; i < 40; i++)
        seg[i] = (struct blk_segment){hostdisk_page + 100 * (i % 8), 128};
    struct blk_request r = hostdisk_request(BLK_WRITE, 7, 10, seg, 40);
    d->most_segments = 0;
    d->held = true;
    assert_int_equal(b->submit(b->ctx, &r), 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_null(r.owner);
        hostdev_complete(d, 0);
        hostdev_interrupt(d);
    }
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, 0);
    assert_int_equal(d->most_segments, 4);
    for (unsigned i = 0; i < 40; i++)
        assert_memory_equal(d->disk + 7 * 512 + 128 * i, hostdisk_page + 100 * (i % 8),
                            i % 8 ? 100 : 128);

    /* No sector ends within 6 pieces. */
    for (unsigned i = 0; i < 40; i++)
        seg[i].len = 64;
    r = hostdisk_request(BLK_WRITE, 0, 5, seg, 40);
    assert_int_equal(b->submit(b->ctx, &r), 0);
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, -EIO);

    /* A second part that needs more than the first, in a queue that others have filled: it waits. */
    static struct blk_segment big[] = {{NULL, 512}, {NULL, 100}, {NULL, 100}, {NULL, 100},
                                       {NULL, 100}, {NULL, 100}, {NULL, 12}};
    for (unsigned i = 0; i < 7; i++)
        big[i].hva = hostdisk_page;
    r = hostdisk_request(BLK_READ, 0, 2, big, 7);
    struct blk_segment one = {hostdisk_page, 512};
    struct blk_request other[4];
    assert_int_equal(b->submit(b->ctx, &r), 0); /* 3 of 16 */
    for (unsigned i = 0; i < 4; i++) {
        other[i] = hostdisk_request(BLK_READ, 0, 1, &one, 1);
        assert_int_equal(b->submit(b->ctx, &other[i]), 0); /* 15 of 16 */
    }
    hostdev_complete(d, 0);
    hostdev_interrupt(d);
    assert_null(r.owner);
    assert_int_equal(d->pending_count, 4); /* needs 8, free 4 */
    hostdev_complete(d, 0);
    hostdev_interrupt(d);
    hostdev_complete(d, 0);
    hostdev_interrupt(d);
    assert_int_equal(d->pending_count, 3); /* now it is there */
    hostdev_finish(d);
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(other[i].result, 0);
    b->close(b->ctx);
}

static void test_bad_device(void **state)
{
    (void)state;
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
    hostdisk->held = true;
    hostdisk_done_count = 0;
    assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r), 0);
    uint16_t real = hostdisk->pending[0];
    hostdev_put_used(hostdisk, (real + 1u) % 256, 0); /* not in flight */
    hostdev_put_used(hostdisk, 256, 0);
    hostdev_put_used(hostdisk, UINT32_MAX, 0);
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, 0);
    hostdev_complete(hostdisk, 0);
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, 1);
    hostdev_put_used(hostdisk, real, 0); /* twice */
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, 1);
    hostdisk->held = false;
    r = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
    assert_int_equal(hostdisk_run(hostdisk, hostdisk_backend, &r), 0);
}

/* A serial number that comes when nobody waits for it any more ends no request, and gives its slot back. */
static void test_late_serial(void **state)
{
    (void)state;
    struct hostdev *d = hostdev_disk();
    d->held = true;
    hostdev_attach(d);
    struct blk_backend *b = host_disk_open(host_disk_count() - 1, false);
    assert_non_null(b);
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r = hostdisk_request(BLK_READ, 3, 1, &seg, 1);
    memset(hostdisk_page, 0, 512);
    assert_int_equal(b->submit(b->ctx, &r), 0);
    assert_int_equal(d->pending_count, 2);
    hostdev_complete(d, 0);
    hostdev_interrupt(d);
    assert_null(r.owner);
    hostdev_complete(d, 0);
    hostdev_interrupt(d);
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, 0);
    assert_memory_equal(hostdisk_page, d->disk + 3 * 512, 512);
    b->close(b->ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_write),   cmocka_unit_test(test_zeroes_and_discard),
        cmocka_unit_test(test_bad_requests), cmocka_unit_test(test_device_errors),
        cmocka_unit_test(test_out_of_order), cmocka_unit_test(test_without_end),
        cmocka_unit_test(test_full),         cmocka_unit_test(test_parts),
        cmocka_unit_test(test_bad_device),   cmocka_unit_test(test_late_serial),
    };
    return cmocka_run_group_tests(tests, hostdisk_setup, NULL);
}
