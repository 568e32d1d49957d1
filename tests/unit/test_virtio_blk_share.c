// SPDX-License-Identifier: BSD-2-Clause
// Several openers of one of the host's disks: who may have it, or a range of it; each gets its turn.
// units: tests/fake/hostdev.units
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_hostdisk.h"

static void test_open_exclusive(void **state)
{
    (void)state;
    assert_null(host_disk_open(0, false));
    assert_null(host_disk_open(0, true));
    assert_null(host_disk_open(host_disk_count(), true));
    hostdisk_backend->close(hostdisk_backend->ctx);
    struct blk_backend *a = host_disk_open(0, true), *b = host_disk_open(0, true);
    assert_true(a && b && a->read_only && b->read_only);
    assert_null(host_disk_open(0, false));
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r = hostdisk_request(BLK_WRITE, 0, 1, &seg, 1);
    assert_int_equal(a->submit(a->ctx, &r), 0);
    assert_int_equal(r.result, -EACCES);
    r = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
    assert_int_equal(hostdisk_run(hostdisk, b, &r), 0);
    a->close(a->ctx);
    assert_null(host_disk_open(0, false));
    b->close(b->ctx);
    hostdisk_open();
}

/* Ranges of one disk: each is a disk of its own, and nobody gets what another one may write. */
static void test_ranges(void **state)
{
    (void)state;
    assert_int_equal(host_disk_sectors(0), HOSTDEV_SECTORS);
    hostdisk_backend->close(hostdisk_backend->ctx);
    struct blk_backend *a = host_disk_open_range(0, 16, 16, HOST_DISK_WRITE),
                       *b = host_disk_open_range(0, 32, 16, HOST_DISK_READ);
    assert_true(a && b && a->sectors == 16 && !a->read_only && b->read_only);
    assert_null(host_disk_open_range(0, 31, 2, HOST_DISK_READ));
    assert_null(host_disk_open_range(0, 47, 1, HOST_DISK_WRITE));
    assert_null(host_disk_open_range(0, HOSTDEV_SECTORS, 1, HOST_DISK_READ));
    assert_null(host_disk_open_range(0, 1, UINT64_MAX, HOST_DISK_READ));
    assert_null(host_disk_open(0, true));
    struct blk_backend *c = host_disk_open_range(0, 40, 8, HOST_DISK_READ),
                       *look = host_disk_open_range(0, 0, HOSTDEV_SECTORS, HOST_DISK_LOOK);
    assert_true(c && look && look->read_only);
    c->close(c->ctx);

    struct blk_segment seg = {hostdisk_page, 512};
    memset(hostdisk_page, 0x5a, 512);
    struct blk_request r = hostdisk_request(BLK_WRITE, 3, 1, &seg, 1);
    assert_int_equal(hostdisk_run(hostdisk, a, &r), 0);
    r = hostdisk_request(BLK_READ, 19, 1, &seg, 1);
    memset(hostdisk_page, 0, 512);
    assert_int_equal(hostdisk_run(hostdisk, look, &r), 0);
    assert_int_equal(hostdisk_page[511], 0x5a);
    r = hostdisk_request(BLK_READ, 16, 1, &seg, 1);
    assert_int_equal(a->submit(a->ctx, &r), 0);
    assert_int_equal(r.result, -EIO);
    r = hostdisk_request(BLK_WRITE, 0, 1, &seg, 1);
    assert_int_equal(look->submit(look->ctx, &r), 0);
    assert_int_equal(r.result, -EACCES);
    a->close(a->ctx);
    b->close(b->ctx);
    hostdisk_backend = host_disk_open(0, false);
    assert_non_null(hostdisk_backend); /* beside one that looks */
    look->close(look->ctx);
    hostdisk_backend->ready = hostdisk_ready;
}

/* A range that reaches further: as far as nobody else has the disk; and it can be used there. */
static void test_range_grows(void **state)
{
    struct blk_growth g = {.room = 33};
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r = hostdisk_request(BLK_READ, 16, 1, &seg, 1);

    (void)state;
    hostdisk_backend->close(hostdisk_backend->ctx);
    struct blk_backend *a = host_disk_open_range(0, 16, 16, HOST_DISK_WRITE),
                       *b = host_disk_open_range(0, 48, 16, HOST_DISK_READ),
                       *look = host_disk_open_range(0, 0, HOSTDEV_SECTORS, HOST_DISK_LOOK);
    assert_true(a && b && look);
    assert_int_equal(a->grow(a->ctx, &g), -EBUSY);
    assert_non_null(strstr(g.why, "not free"));
    g.room = 32;
    g.only_check = true;
    assert_int_equal(a->grow(a->ctx, &g), 0);
    assert_int_equal(a->sectors, 16);
    assert_int_equal(a->submit(a->ctx, &r), 0);
    assert_int_equal(r.result, -EIO);
    g.only_check = false;
    assert_int_equal(a->grow(a->ctx, &g), 0);
    assert_int_equal(a->sectors, 32);
    r = hostdisk_request(BLK_READ, 31, 1, &seg, 1);
    assert_int_equal(hostdisk_run(hostdisk, a, &r), 0);
    assert_memory_equal(hostdisk_page, hostdisk->disk + 47 * 512, 512);
    assert_null(host_disk_open_range(0, 47, 1, HOST_DISK_READ)); /* it is a's now */
    b->close(b->ctx);
    g.room = HOSTDEV_SECTORS - 15;
    assert_int_equal(a->grow(a->ctx, &g), -EINVAL); /* beyond the disk's end */
    g.room--;
    assert_int_equal(a->grow(a->ctx, &g), 0);
    g.room--;
    assert_int_equal(a->grow(a->ctx, &g), -EINVAL);
    a->close(a->ctx);
    look->close(look->ctx);
    hostdisk_open();
}

/* close takes what the device has already finished, though the interrupt has not come. */
static void test_close_with_requests(void **state)
{
    (void)state;
    struct blk_segment seg = {hostdisk_page, 512};
    struct blk_request r = hostdisk_request(BLK_READ, 0, 1, &seg, 1);
    assert_int_equal(hostdisk_backend->submit(hostdisk_backend->ctx, &r), 0);
    assert_null(r.owner);
    hostdisk_backend->close(hostdisk_backend->ctx);
    assert_ptr_equal(r.owner, &r);
    hostdisk_backend = host_disk_open(0, false);
    assert_non_null(hostdisk_backend);
}

/* Who fills the queue, and submits again from within done, does not keep another opener out. */
static struct greedy {
    struct blk_backend *b;
    struct blk_segment seg[60];
    struct blk_request r[8], *idle[8];
    unsigned idle_count, done;
} greedy, modest;

static void submit_all(struct greedy *g)
{
    while (g->idle_count) {
        struct blk_request *r = g->idle[g->idle_count - 1];
        if (g->b->submit(g->b->ctx, r) == -EAGAIN)
            return;
        g->idle_count--;
    }
}

static void greedy_done(struct blk_request *r)
{
    struct greedy *g = r->owner;
    g->done++;
    g->idle[g->idle_count++] = r;
    submit_all(g);
}

static void greedy_ready(void *g) { submit_all(g); }

static void greedy_start(struct greedy *g, unsigned requests, unsigned segments)
{
    memset(g, 0, sizeof(*g));
    g->b = host_disk_open_range(0, g == &greedy ? 0 : 64, 64, HOST_DISK_WRITE);
    assert_non_null(g->b);
    g->b->ready = greedy_ready;
    g->b->device = g;
    for (unsigned i = 0; i < segments; i++)
        g->seg[i] = (struct blk_segment){hostdisk_page, 512};
    for (unsigned i = 0; i < requests; i++) {
        g->r[i] = hostdisk_request(BLK_WRITE, 0, segments, g->seg, segments);
        g->r[i].done = greedy_done;
        g->r[i].owner = g;
        g->idle[g->idle_count++] = &g->r[i];
    }
    submit_all(g);
}

static void greedy_end(struct greedy *g)
{
    g->idle_count = 0;
    g->b->close(g->b->ctx);
}

static void test_turns(void **state)
{
    (void)state;
    static const struct {
        unsigned segments[2];
        bool polls;
    } rows[] = {{{60, 60}, false}, {{30, 60}, false}, {{28, 1}, false}, {{60, 20}, true}};
    hostdisk_backend->close(hostdisk_backend->ctx);
    for (unsigned row = 0; row < ARRAY_LEN(rows); row++) {
        hostdisk->held = true;
        greedy_start(&greedy, 8, rows[row].segments[0]);
        greedy_start(&modest, 8, rows[row].segments[1]);
        if (rows[row].polls)
            modest.b->ready = NULL;
        for (unsigned i = 0; i < 64; i++) {
            hostdev_complete(hostdisk, 0);
            hostdev_interrupt(hostdisk);
            if (rows[row].polls)
                submit_all(&modest);
        }
        assert_in_range(modest.done, 8, 56);
        assert_in_range(greedy.done, 8, 56);
        for (unsigned i = 0; i < 8; i++) { /* no more from here on */
            greedy.r[i].done = hostdisk_done;
            modest.r[i].done = hostdisk_done;
        }
        greedy.idle_count = modest.idle_count = 0;
        hostdev_finish(hostdisk);
        greedy_end(&greedy);
        greedy_end(&modest);
        hostdisk->held = false;
    }
    hostdisk_open();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_exclusive), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_range_grows),    cmocka_unit_test(test_close_with_requests),
        cmocka_unit_test(test_turns),
    };
    return cmocka_run_group_tests(tests, hostdisk_setup, NULL);
}
