// SPDX-License-Identifier: BSD-2-Clause
// Interrupts of the host's disks: one for several requests, and none that makes anybody wait for another's.
// units: tests/fake/hostdev.units
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_hostdisk.h"

/* Requests of one page's first sector, all offered before the device is told. */
static void submit_together(struct blk_backend *b, struct blk_request *r, struct blk_segment *seg,
                            unsigned n)
{
    unsigned kicks = hostdisk->kicks;
    for (unsigned i = 0; i < n; i++) {
        r[i] = hostdisk_request(BLK_READ, i, 1, seg, 1);
        r[i].more = true;
        assert_int_equal(b->submit(b->ctx, &r[i]), 0);
    }
    assert_int_equal(hostdisk->kicks, kicks);
    b->commit(b->ctx, 0);
    assert_int_equal(hostdisk->kicks, kicks + 1);
    b->commit(b->ctx, 0); /* there is nothing to tell */
    assert_int_equal(hostdisk->kicks, kicks + 1);
}

/* Completes one request; whether the device has to interrupt then. */
static bool completes_with_interrupt(struct hostdev *d)
{
    uint16_t old = d->used_idx;
    hostdev_complete(d, 0);
    return hostdev_wants_interrupt(d, old);
}

static void test_coalesced(void **state)
{
    (void)state;
    enum { N = 8 };
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r[N + 2];
    hostdisk->held = true;
    hostdisk_done_count = 0;
    submit_together(hostdisk_backend, r, &seg, N);
    for (unsigned i = 1; i <= 5; i++)
        assert_false(completes_with_interrupt(hostdisk));
    assert_int_equal(hostdisk_done_count, 0);
    assert_true(completes_with_interrupt(hostdisk)); /* three quarters */
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, 6);
    for (unsigned i = 7; i <= N; i++) { /* few are left: each, and the last in any case */
        assert_true(completes_with_interrupt(hostdisk));
        hostdev_interrupt(hostdisk);
        assert_int_equal(hostdisk_done_count, i);
    }

    /* Those that ended while others take long: by the timer. */
    hostdisk_done_count = 0;
    submit_together(hostdisk_backend, r, &seg, N);
    for (unsigned i = 1; i <= 3; i++)
        assert_false(completes_with_interrupt(hostdisk));
    hostdev_run_timer();
    assert_int_equal(hostdisk_done_count, 3);

    /* All of them, and more than what the next submission would wait for. */
    for (unsigned i = 4; i <= N; i++)
        hostdev_complete(hostdisk, 0);
    r[N] = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
    assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r[N]), 0);
    assert_int_equal(hostdisk_done_count, N);

    /* A flush is waited for by nobody else. */
    r[N + 1] = hostdisk_request(BLK_FLUSH, 0, 0, NULL, 0);
    assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r[N + 1]), 0);
    assert_true(completes_with_interrupt(hostdisk));
    hostdev_interrupt(hostdisk);
    assert_true(completes_with_interrupt(hostdisk));
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, N + 2);
    if (fake_timer)
        hostdev_run_timer();
    hostdisk->held = false;
}

/* Who says how many ends it wants to hear of at once hears of so many, of all when there are fewer, and soon in any case. */
static void test_wanted(void **state)
{
    (void)state;
    enum { N = 8 };
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r[N];
    hostdisk->held = true;
    hostdisk_done_count = 0;
    submit_together(hostdisk_backend, r, &seg, N);
    hostdisk_backend->commit(hostdisk_backend->ctx, 2); /* from the next interrupt on */
    for (unsigned i = 1; i <= 5; i++)
        assert_false(completes_with_interrupt(hostdisk));
    assert_true(completes_with_interrupt(hostdisk));
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, 6);
    assert_false(completes_with_interrupt(hostdisk));
    assert_true(completes_with_interrupt(hostdisk));
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, N);

    hostdisk_done_count = 0;
    for (unsigned i = 0; i < 2; i++) {
        r[i] = hostdisk_request(BLK_READ, i, 1, &seg, 1);
        r[i].more = true;
        assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r[i]), 0);
    }
    hostdisk_backend->commit(hostdisk_backend->ctx, 5);
    assert_false(completes_with_interrupt(hostdisk));
    hostdev_run_timer();
    assert_int_equal(hostdisk_done_count, 1);
    assert_true(completes_with_interrupt(hostdisk));
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, 2);
    if (fake_timer)
        hostdev_run_timer();
    hostdisk->held = false;
}

/* Another opener, beside hostdisk_backend; requests wait. */
static struct blk_backend *share(void)
{
    struct blk_backend *other;

    hostdisk_backend->close(hostdisk_backend->ctx);
    hostdisk_backend = host_disk_open(0, true);
    other = host_disk_open(0, true);
    assert_true(hostdisk_backend && other);
    hostdisk->held = true;
    return other;
}

static void unshare(struct blk_backend *other)
{
    hostdisk->held = false;
    other->close(other->ctx);
    hostdisk_backend->close(hostdisk_backend->ctx);
    hostdisk_open();
    if (fake_timer)
        hostdev_run_timer();
}

/* One request beside many of another's: it is not made to wait. Indices wrap. */
static void test_coalesced_beside(void **state)
{
    (void)state;
    enum { N = 12 };
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r[N], single;
    struct blk_backend *other = share();
    for (unsigned round = 0; round < 65536 / N + 3; round++) {
        uint16_t old = hostdisk->used_idx;
        hostdisk_done_count = 0;
        submit_together(hostdisk_backend, r, &seg, N);
        single = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
        assert_int_equal(other->submit(other->ctx, &single), 0);
        hostdev_complete(hostdisk, N);
        assert_true(hostdev_wants_interrupt(hostdisk, old));
        hostdev_interrupt(hostdisk);
        assert_ptr_equal(single.owner, &single);
        assert_int_equal(hostdisk_done_count, 1);
        for (unsigned i = 1; i <= N; i++)
            if (completes_with_interrupt(hostdisk))
                hostdev_interrupt(hostdisk);
        assert_int_equal(hostdisk_done_count, N + 1);
    }
    unshare(other);
}

/* One that is offered before another one commits, and committed after it, is not made to wait for that one's. */
static void test_coalesced_across(void **state)
{
    (void)state;
    enum { N = 12 };
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r[N], single = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
    uint16_t old = hostdisk->used_idx;
    struct blk_backend *other = share();
    hostdisk_done_count = 0;
    single.more = true;
    assert_int_equal(other->submit(other->ctx, &single), 0);
    submit_together(hostdisk_backend, r, &seg, N);
    other->commit(other->ctx, 0);
    hostdev_complete(hostdisk, 0);
    assert_true(hostdev_wants_interrupt(hostdisk, old));
    hostdev_interrupt(hostdisk);
    assert_int_equal(hostdisk_done_count, 1);
    hostdev_finish(hostdisk);
    assert_int_equal(hostdisk_done_count, N + 1);
    unshare(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coalesced),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_coalesced_beside),
        cmocka_unit_test(test_coalesced_across),
    };
    return cmocka_run_group_tests(tests, hostdisk_setup, NULL);
}
