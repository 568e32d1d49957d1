// SPDX-License-Identifier: BSD-2-Clause
// The host's virtio devices: how they are found, set up and refused; random numbers. Disks: test_virtio_blk_{host,share,coalesce}.c.
// units: tests/fake/hostdev.units
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_hostdisk.h"
#include "mem/frame.h"

static void test_facts(void **state)
{
    (void)state;
    assert_int_equal(hostdisk->accepted, F_ALL | F_V1 | F_EVENT_IDX);
    assert_int_equal(hostdisk->status, 1 | 2 | 4 | 8);
    assert_int_equal(hostdisk->ready, 1);
    assert_int_equal(hostdisk->queue_num, 256);
    assert_int_equal(hostdisk_backend->sectors, HOSTDEV_SECTORS);
    assert_int_equal(hostdisk_backend->block_size, 4096);
    assert_true(hostdisk_backend->can_flush && hostdisk_backend->can_discard &&
                hostdisk_backend->can_write_zeroes);
    assert_false(hostdisk_backend->read_only);
    assert_string_equal(hostdisk_backend->serial, "serial-number-123456"); /* 20 bytes, ended */
    assert_int_equal(hostdisk->isr, 0);
}

static void test_legacy(void **state)
{
    (void)state;
    struct hostdev *d = hostdev_disk();
    d->version = 1;
    d->offered = 1 << 5 | 1 << 24;
    hostdev_attach(d);
    assert_int_equal(d->accepted, 1 << 5);
    assert_int_equal(d->status, 1 | 2 | 4);
    struct blk_backend *b = host_disk_open(host_disk_count() - 1, false);
    assert_non_null(b);
    assert_true(b->read_only && !b->can_flush && !b->can_discard && !b->can_write_zeroes);
    assert_int_equal(b->block_size, 512);
    struct blk_segment seg = {hostdisk_page, 1024};
    struct blk_request r = hostdisk_request(BLK_READ, 9, 2, &seg, 1);
    assert_int_equal(hostdisk_run(d, b, &r), 0);
    assert_memory_equal(hostdisk_page, d->disk + 9 * 512, 1024);
    r = hostdisk_request(BLK_FLUSH, 0, 0, NULL, 0);
    assert_int_equal(b->submit(b->ctx, &r), 0);
    assert_int_equal(r.result, -ENOTSUP);
    b->close(b->ctx);
}

/* Devices that cannot be used leave no disk and no memory behind. */
static void test_refused(void **state)
{
    (void)state;
    uint64_t count = host_disk_count(), frames = frame_free_count();
    struct hostdev *d = hostdev_disk();
    d->refuse_features = true;
    hostdev_attach(d);
    d->refuse_features = false;
    d->queue_max = 0;
    hostdev_attach(d);
    d->queue_max = 2;
    hostdev_attach(d);
    d->queue_max = 256;
    d->offered = F_ALL; /* version 2 without VERSION_1 */
    hostdev_attach(d);
    d->offered |= F_V1;
    d->version = 3;
    hostdev_attach(d);
    d->version = 2;
    d->id = 0;
    hostdev_attach(d);
    d->id = 16;
    hostdev_attach(d);
    d->id = VIRTIO_ID_BLOCK;
    struct platform p = {.virtio_count = 1};
    p.virtio[0].regs = (struct platform_range){(uint64_t)(d - hostdevs) * 4096, 4096};
    virtio_host_init(&p); /* no interrupt */
    assert_int_equal(d->status, 0);
    assert_int_equal(host_disk_count(), count);
    assert_true(frame_free_count() + 2 >= frames); /* a page or two that the heap keeps */
}

unsigned fake_highest_lock(void);

static const uint8_t *received;
static size_t received_len;

static void on_random(const void *data, size_t len)
{
    assert_int_equal(fake_highest_lock(), 0);
    assert_int_equal(*(const uint8_t *)data, 0xA5);
    received = data;
    received_len = len;
}

static void test_rng(void **state)
{
    (void)state;
    uint8_t b[64] = {0};
    assert_int_equal(virtio_rng_host_read(b, 64), 0); /* no device yet */
    virtio_rng_host_request(on_random);
    struct hostdev *d = &hostdevs[hostdev_count++];
    d->version = 2;
    d->id = VIRTIO_ID_RNG;
    d->queue_max = 8;
    d->offered = F_V1;
    hostdev_attach(d);
    assert_int_equal(virtio_rng_host_read(b, 32), 32);
    assert_int_equal(b[31], 0xA5);
    assert_int_equal(b[32], 0);
    hostdev_interrupt(d); /* late: nothing more to take */
    d->held = true;
    virtio_rng_host_request(on_random);
    virtio_rng_host_request(on_random);
    assert_int_equal(d->pending_count, 1);
    assert_int_equal(received_len, 0);
    hostdev_finish(d);
    assert_int_equal(received_len, 64);
    /* A device that never answers does not hang the boot. */
    assert_int_equal(virtio_rng_host_read(b, 32), 0);
}

static void test_many_disks(void **state)
{
    (void)state;
    while (host_disk_count() < 8) {
        unsigned n = host_disk_count();
        hostdev_attach(hostdev_disk());
        assert_int_equal(host_disk_count(), n + 1);
    }
    hostdev_attach(hostdev_disk());
    assert_int_equal(host_disk_count(), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),      cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_rng),
        cmocka_unit_test(test_many_disks),
    };
    return cmocka_run_group_tests(tests, hostdisk_setup, NULL);
}
