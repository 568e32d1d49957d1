// SPDX-License-Identifier: BSD-2-Clause
// virtio block over a backend under the test's control, and over the RAM disk.
// units: vdev/virtio/virtq.c vdev/virtio/virtio_mmio.c vdev/virtio/blk.c vdev/virtio/blk_gather.c vdev/ramdisk.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c vdev/bus.c hyp/base/state.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/arch.h"
#include "fake_vdev.h"
#include "sched/timer.h"
#include "vdev/ramdisk.h"
#include "vdev/virtio/virtio_dev.h"

#define V1 (1ull << 32)
#define EVENT (1ull << 29)
#define INDIR (1ull << 28)
#define ALL ~0ull
#define HEADER (DRV_DATA)
#define STATUS (DRV_DATA + 0x800)
#define BUFFER (DRV_DATA + 0x1000)

static struct vdev *dev;
static struct fake_blk disk;
enum { SECTORS = 8192 }; /* 4 MiB */

static int setup(void **state)
{
    fake_gm_start(*state != NULL);
    fake_blk_init(&disk, SECTORS);
    for (unsigned i = 0; i < SECTORS * 512; i++)
        disk.data[i] = (uint8_t)(i / 512 + i);
    dev = virtio_blk_create(&fake_gm_s2, &disk.blk);
    fake_bus_put(dev, "disk0");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    while (disk.queued)
        fake_blk_complete(&disk, 0);
    dev->ops->destroy(dev);
    assert_true(disk.closed);
    fake_blk_free(&disk);
    fake_gm_stop();
    assert_int_equal(fake_heap_objects, 0);
    return 0;
}

static void put_header(uint64_t at, uint32_t type, uint64_t sector)
{
    uint32_t h[4] = {type, 0, (uint32_t)sector, (uint32_t)(sector >> 32)};

    fake_gm_put(at, h, 16);
}

/* Offers a request without a kick; slot keeps header and status of several apart. */
static uint16_t offer(unsigned slot, uint32_t type, uint64_t sector, uint64_t data, uint32_t len,
                      bool indirect)
{
    bool in = type == 0 || type == 8;
    struct drv_buf b[3] = {
        {HEADER + 16 * slot, 16, false}, {data, len, in}, {STATUS + slot, 1, true}};

    put_header(HEADER + 16 * slot, type, sector);
    fake_gm_put(STATUS + slot, "\xee", 1);
    if (!len)
        b[1] = b[2];
    return drv_add(0, b, len ? 3 : 2, indirect);
}

static uint8_t status_of(unsigned slot)
{
    uint8_t s;

    fake_gm_get(STATUS + slot, &s, 1);
    return s;
}

/* One request to its end; its status. */
static uint8_t request(uint32_t type, uint64_t sector, uint64_t data, uint32_t len)
{
    uint32_t id, used;

    offer(0, type, sector, data, len, false);
    assert_int_equal(drv_kick(0), MMIO_OK);
    while (disk.queued)
        fake_blk_complete(&disk, 0);
    assert_true(drv_used(0, &id, &used));
    if (type == 0 && status_of(0) == 0)
        assert_int_equal(used, len + 1);
    else if (type != 8)
        assert_int_equal(used, 1);
    return status_of(0);
}

static void check_data(uint64_t at, uint64_t sector, uint32_t len)
{
    uint8_t *got = malloc(len);

    fake_gm_get(at, got, len);
    assert_memory_equal(got, disk.data + sector * 512, len);
    free(got);
}

static void config(void **state)
{
    uint64_t v;

    (void)state;
    assert_int_equal(reg_read(8), 2);
    assert_int_equal(drv_offered() & 0xffff,
                     1 << 2 | 1 << 6 | 1 << 9 | 1 << 11 | 1 << 13 | 1 << 14);
    assert_int_equal(reg_read(0x100), SECTORS);
    assert_int_equal(reg_read(0x104), 0);
    assert_int_equal(reg_read(0x10c), 60);
    assert_int_equal(reg_read(0x114), 512);
    assert_true(reg_read(0x124) > 0);
    v = 0;
    reg_access(0x100, 8, false, &v);
    assert_int_equal(v, SECTORS);
}

/* 5.2.5.2: a disk that has become larger: another generation, an interrupt, the new size; and what is there can be had. */
static void grows(void **state)
{
    uint64_t generation;

    (void)state;
    disk.blk.sectors = SECTORS / 2;
    virtio_blk_grown(dev); /* no driver yet: nobody is told */
    assert_int_equal(reg_read(0x60), 0);
    assert_int_equal(reg_read(0x100), SECTORS / 2);
    assert_true(drv_init(ALL & ~EVENT, 1, 16));
    assert_int_equal(request(0, SECTORS / 2, BUFFER, 512), 1);
    reg_write(0x64, 3);
    generation = reg_read(0xfc);
    disk.blk.sectors = SECTORS;
    virtio_blk_grown(dev);
    assert_int_equal(reg_read(0x60), 2);
    assert_int_not_equal(reg_read(0xfc), generation);
    assert_int_equal(reg_read(0x100), SECTORS);
    reg_write(0x64, 2);
    assert_int_equal(reg_read(0x60), 0);
    assert_int_equal(request(0, SECTORS - 1, BUFFER, 512), 0);
    check_data(BUFFER, SECTORS - 1, 512);
}

static void read_and_write(void **state)
{
    uint32_t id, used;
    char serial[20];
    uint8_t *pattern = malloc(65536);

    (void)state;
    assert_true(drv_init(ALL & ~EVENT, 1, 16));
    assert_int_equal(request(0, 7, BUFFER, 512), 0);
    check_data(BUFFER, 7, 512);
    assert_int_equal(request(0, 100, BUFFER + 512, 65536), 0);
    check_data(BUFFER + 512, 100, 65536);
    for (unsigned i = 0; i < 65536; i++)
        pattern[i] = (uint8_t)(i * 31 >> 3);
    fake_gm_put(BUFFER, pattern, 65536);
    assert_int_equal(request(1, 200, BUFFER, 65536), 0);
    assert_memory_equal(disk.data + 200 * 512, pattern, 65536);
    free(pattern);
    assert_int_equal(request(4, 0, 0, 0), 0);
    assert_int_equal(disk.flushes, 1);
    offer(0, 8, 0, BUFFER, 20, true);
    drv_kick(0);
    assert_true(drv_used(0, &id, &used));
    assert_int_equal(used, 21);
    fake_gm_get(BUFFER, serial, 20);
    assert_string_equal(serial, "fake-disk");
    /* Firmware reads much at once: carried out in rounds. */
    assert_int_equal(request(0, 0, BUFFER + 0x200, 3 << 20), 0);
    check_data(BUFFER + 0x200, 0, 3 << 20);
    assert_int_equal(fake_gm_pins, 3);
    assert_int_equal(dev->account.operations[VDEV_READ], 3);
    assert_int_equal(dev->account.bytes[VDEV_READ], 512 + 65536 + (3 << 20));
    assert_int_equal(dev->account.operations[VDEV_WRITE], 1);
    assert_int_equal(dev->account.bytes[VDEV_WRITE], 65536);
    assert_int_equal(dev->account.flushes, 1);
}

/* The header in pieces, the data glued to the status: framing is free (2.7.4). */
static void odd_framing(void **state)
{
    struct drv_buf b[6] = {
        {HEADER, 3, false},      {HEADER + 3, 13, false},          {BUFFER, 100, true},
        {BUFFER + 100, 0, true}, {BUFFER + 4000, 412 + 512, true}, {BUFFER + 8192, 513, true}};
    struct drv_buf w[3] = {{HEADER, 16 + 100, false}, {BUFFER, 412, false}, {STATUS, 1, true}};
    uint32_t id, used;
    uint8_t got[513];

    (void)state;
    assert_true(drv_init(ALL, 1, 16));
    put_header(HEADER, 0, 3);
    fake_gm_put(BUFFER + 8192 + 512, "\xee", 1);
    drv_add(0, b, 6, true);
    drv_kick(0);
    assert_true(drv_used(0, &id, &used));
    assert_int_equal(used, 3 * 512 + 1);
    fake_gm_get(BUFFER, got, 100);
    assert_memory_equal(got, disk.data + 3 * 512, 100);
    fake_gm_get(BUFFER + 4000, got, 412);
    assert_memory_equal(got, disk.data + 3 * 512 + 100, 412);
    fake_gm_get(BUFFER + 8192, got, 513);
    assert_memory_equal(got, disk.data + 5 * 512, 512);
    assert_int_equal(got[512], 0);
    put_header(HEADER, 1, 9);
    drv_add(0, w, 3, false);
    drv_kick(0);
    assert_int_equal(status_of(0), 0);
    fake_gm_get(HEADER + 16, got, 100);
    assert_memory_equal(got, disk.data + 9 * 512, 100);
    assert_int_equal(fake_gm_pins, 3);
}

static void errors(void **state)
{
    (void)state;
    assert_true(drv_init(ALL, 1, 16));
    assert_int_equal(request(0, SECTORS, BUFFER, 512), 1);
    assert_int_equal(request(0, SECTORS - 1, BUFFER, 1024), 1);
    assert_int_equal(request(0, ~0ull, BUFFER, 512), 1);
    assert_int_equal(request(1, 1ull << 55, BUFFER, 512), 1);
    assert_int_equal(request(0, 0, BUFFER, 100), 1);
    assert_int_equal(request(77, 0, BUFFER, 512), 2);
    disk.fail = -EIO;
    assert_int_equal(request(0, 0, BUFFER, 512), 1);
    disk.fail = -ENOTSUP;
    assert_int_equal(request(4, 0, 0, 0), 2);
    disk.fail = 0;
    fake_gm_error = -ENOMEM;
    assert_int_equal(request(0, 0, BUFFER, 512), 1);
    fake_gm_error = 0;
    fake_gm_errors_at = 0;
    assert_int_equal(fake_gm_pins, 3);
    assert_int_equal(request(0, 0, BUFFER, 512), 0);
    /* Without the features their requests are unknown. */
    assert_true(drv_init(V1, 1, 16));
    assert_int_equal(request(4, 0, 0, 0), 2);
    assert_int_equal(request(11, 0, BUFFER, 16), 2);
    assert_int_equal(request(13, 0, BUFFER, 16), 2);
}

static uint8_t range_request(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } r = {sector, sectors, flags};

    fake_gm_put(BUFFER, &r, sizeof(r));
    return request(type, 0, BUFFER, 16);
}

static void ranges(void **state)
{
    (void)state;
    assert_true(drv_init(ALL, 1, 16));
    assert_int_equal(range_request(11, 10, 5, 0), 0);
    assert_int_equal(disk.data[10 * 512 + 9], 0);
    assert_int_equal(disk.data[15 * 512], (uint8_t)15);
    assert_int_equal(range_request(13, 20, 1, 1), 0);
    assert_int_equal(disk.data[20 * 512 + 3], 0);
    assert_int_equal(range_request(11, 0, 1, 1), 2);
    assert_int_equal(range_request(13, 0, 1, 2), 2);
    assert_int_equal(range_request(13, SECTORS, 1, 0), 1);
    assert_int_equal(range_request(13, 1, ~0u, 0), 1);
    assert_int_equal(range_request(13, ~0ull, 2, 0), 1);
    assert_int_equal(range_request(11, 0, 0, 0), 1);
    assert_int_equal(request(11, 0, BUFFER, 32), 1);
    assert_int_equal(request(11, 0, BUFFER, 15), 1);
}

static void write_through(void **state)
{
    uint64_t off = 0, v = 9;

    (void)state;
    assert_true(drv_init(ALL, 1, 16));
    assert_int_equal(request(1, 0, BUFFER, 512), 0);
    assert_int_equal(disk.flushes, 0);
    reg_access(0x120, 1, false, &v);
    assert_int_equal(v, 1);
    reg_access(0x120, 1, true, &off);
    disk.async = true;
    assert_int_equal(request(1, 0, BUFFER, 512), 0);
    assert_int_equal(disk.flushes, 1);
    assert_true(drv_init(V1, 1, 16)); /* a driver that knows no flush */
    assert_int_equal(request(1, 0, BUFFER, 512), 0);
    assert_int_equal(disk.flushes, 2);
}

static void many_in_flight(void **state)
{
    uint32_t id, used, seen = 0;

    (void)state;
    disk.async = true;
    disk.capacity = 5; /* fewer than the device would like */
    assert_true(drv_init(ALL, 1, 64));
    for (unsigned i = 0; i < 20; i++)
        offer(i, 0, 8 * i, BUFFER + 4096 * i, 4096, false);
    assert_int_equal(reg_write(0x50, 0), MMIO_OK);
    assert_int_equal(disk.queued, 5);
    assert_true(vdev_busy(dev));
    assert_int_equal(drv_used_idx(0), 0);
    for (unsigned n = 0; disk.queued; n++)
        fake_blk_complete(&disk, (n * 3) % disk.queued); /* in any order */
    while (drv_used(0, &id, &used)) {
        assert_int_equal(used, 4097);
        assert_false(seen & (1u << (id / 3)));
        seen |= 1u << (id / 3);
    }
    assert_int_equal(seen, (1u << 20) - 1);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(status_of(i), 0);
        check_data(BUFFER + 4096 * i, 8 * i, 4096);
    }
    assert_false(vdev_busy(dev));
    assert_int_equal(fake_gm_pins, 3);
    /* A backend full from the start, which then says ready. */
    disk.capacity = 0;
    offer(0, 0, 1, BUFFER, 512, false);
    assert_int_equal(reg_write(0x50, 0), MMIO_OK);
    disk.capacity = 1;
    disk.blk.ready(disk.blk.device);
    assert_int_equal(disk.queued, 1);
    fake_blk_complete(&disk, 0);
    assert_int_equal(status_of(0), 0);
}

/* Requests behind one that was waited for end at once, more than one turn may do: they end all the same. */
static void ends_at_once(void **state)
{
    enum { N = 20, LEN = 512 * 1024 };
    unsigned turns = 0;
    uint32_t id, used;

    (void)state;
    assert_true(drv_init(V1, 1, 64));
    disk.async = true;
    offer(0, 0, 0, BUFFER, LEN, false);
    assert_int_equal(drv_kick(0), MMIO_OK);
    assert_int_equal(disk.queued, 1);
    disk.async = false;
    for (unsigned i = 1; i < N; i++)
        offer(i, 0, 1024 * (i % 8), BUFFER, LEN, false);
    fake_blk_complete(&disk, 0);
    for (; fake_timer; turns++)
        fake_timer_run();
    assert_in_range(turns, 1, N);
    for (unsigned i = 0; i < N; i++) {
        assert_true(drv_used(0, &id, &used));
        assert_int_equal(status_of(i), 0);
    }
    assert_false(vdev_busy(dev));
}

static void kicks_while_busy(void **state)
{
    uint16_t old;

    (void)state;
    disk.async = true;
    assert_true(drv_init(V1 | EVENT, 1, 64));
    for (unsigned i = 0; i < 20; i++) /* more than are taken: the rest follows by itself */
        offer(i, 0, i, BUFFER + 512 * i, 512, false);
    reg_write(0x50, 0);
    assert_int_equal(disk.queued, 16);
    assert_int_equal(disk.uncommitted, 0);
    old = drv_q[0].idx;
    offer(20, 0, 20, BUFFER + 512 * 20, 512, false);
    assert_false(drv_want_kick(0, old));
    while (disk.queued)
        fake_blk_complete(&disk, 0);
    assert_int_equal(drv_used_idx(0), 21);
    for (unsigned i = 0; fake_timer; i++, assert_true(i < 9))
        fake_timer_run(); /* so many at once were taken for the beginning of more */
    old = drv_q[0].idx;
    offer(0, 0, 0, BUFFER, 512, false);
    assert_true(drv_want_kick(0, old));
}

static void offer_one(unsigned i) { offer(i % 32, 0, i % 32, BUFFER + 512 * (i % 32), 512, false); }

/* With many in flight: an interrupt for several, the last never waited with; a kick for several; all ends of a batch in one. */
static void coalesces(void **state)
{
    struct blk_batch batch = {0};
    uint16_t old;
    uint32_t id, used;

    (void)state;
    disk.async = true;
    assert_true(drv_init(V1 | EVENT, 1, 256));
    for (unsigned i = 0; i < 8; i++)
        offer_one(i);
    reg_write(0x50, 0);
    for (unsigned i = 0; i < 3; i++) { /* 7 in flight, 6, 5: worth an interrupt are 3, 3, 2 */
        assert_false(fake_irq_level);
        fake_blk_complete(&disk, 0);
    }
    assert_true(fake_irq_level);

    old = drv_q[0].idx; /* 5 in flight: a kick for 2 */
    offer_one(8);
    assert_false(drv_want_kick(0, old));
    old = drv_q[0].idx;
    offer_one(9);
    assert_true(drv_want_kick(0, old));
    assert_non_null(fake_timer);
    fake_timer_run(); /* had the driver not kicked */
    assert_int_equal(disk.queued, 7);

    reg_write(0x64, 1);
    while (drv_used(0, &id, &used))
        drv_set_used_event(0, drv_used_idx(0));
    disk.batch = &batch;
    while (disk.queued) {
        fake_blk_complete(&disk, 0);
        assert_false(fake_irq_level);
        assert_true(vdev_busy(dev));
    }
    disk.batch = NULL;
    blk_batch_end(&batch);
    assert_true(fake_irq_level);
    assert_false(vdev_busy(dev));
}

/* The end of a request is held back, and the driver is told of it by the timer when the others take long. */
static void held_back_not_long(void **state)
{
    (void)state;
    disk.async = true;
    assert_true(drv_init(V1 | EVENT, 1, 64));
    for (unsigned i = 0; i < 16; i++)
        offer_one(i);
    reg_write(0x50, 0);
    fake_blk_complete(&disk, 3);
    assert_false(fake_irq_level);
    fake_timer_run();
    assert_true(fake_irq_level);
}

static uint32_t random_state;
static unsigned below(unsigned n)
{
    random_state = random_state * 1664525 + 1013904223;
    return (unsigned)((random_state >> 8) % n);
}

struct sleeper {
    unsigned offered, taken; /* by the driver, from the used ring */
    bool look_late; /* what the device does comes between the driver's last look and its enabling */
};

static void driver_interrupt(struct sleeper *s)
{
    uint32_t id, used;
    uint16_t seen;

    reg_write(0x64, 1);
    do {
        while (drv_used(0, &id, &used))
            s->taken++;
        seen = (uint16_t)s->taken;
        if (s->look_late && disk.queued)
            fake_blk_complete(&disk, below(disk.queued));
        drv_set_used_event(0, seen);
    } while (drv_used_idx(0) != seen); /* 2.7.7.1: once more after enabling */
}

static void driver_offers(struct sleeper *s)
{
    for (unsigned n = below(6); n && s->offered - s->taken < 30; n--) {
        uint16_t old = drv_q[0].idx;

        offer_one(s->offered++);
        if (drv_want_kick(0, old))
            reg_write(0x50, 0);
    }
}

static void device_completes(void)
{
    struct blk_batch batch = {0};

    if (!below(3))
        disk.batch = &batch;
    for (unsigned n = below(8); n && disk.queued; n--)
        fake_blk_complete(&disk, below(disk.queued));
    disk.batch = NULL;
    blk_batch_end(&batch);
}

/* A driver that sleeps until it is interrupted, and looks again after it enabled interrupts, at every moment that the device may
 * choose: whenever nothing is in flight it has all, or is about to be told. More than 65536 requests, so indices wrap. */
static void no_interrupt_is_lost(void **state)
{
    struct sleeper s = {0};

    random_state = 5;
    (void)state;
    disk.async = true;
    assert_true(drv_init(V1 | EVENT, 1, 128));
    while (s.taken < 66000) {
        driver_offers(&s);
        device_completes();
        if (!disk.queued)
            assert_true(s.taken == s.offered || fake_irq_level || fake_timer);
        if (!disk.queued && !fake_irq_level && s.taken != s.offered)
            fake_timer_run(); /* the driver sleeps */
        s.look_late = below(2);
        if (fake_irq_level && below(2))
            driver_interrupt(&s);
    }
    while (s.taken != s.offered) {
        if (disk.queued)
            fake_blk_complete(&disk, 0);
        else if (fake_irq_level)
            driver_interrupt(&s);
        else
            fake_timer_run();
    }
    assert_true(fake_irq_rises < s.taken / 2); /* and it is coalesced */
}

/* A driver that keeps `depth` requests out at once, one new one for each that ended, beside a disk that ends each before the
 * next is made. */
struct steady {
    unsigned depth, offered, taken, kicks, interrupts, stops;
};

static void steady_takes(struct steady *s)
{
    uint32_t id, used;

    s->interrupts++;
    reg_write(0x64, 1);
    while (drv_used(0, &id, &used))
        s->taken++;
    drv_set_used_event(0, (uint16_t)s->taken);
}

/* Offers one, and the disk ends what it has; or sleeps until it is told of an end. */
static void steady_step(struct steady *s)
{
    uint16_t old = drv_q[0].idx;

    fake_time += timer_us(20);
    if (fake_irq_level) {
        steady_takes(s);
    } else if (s->offered - s->taken == s->depth) {
        s->stops++;
        fake_timer_run();
    } else {
        offer_one(s->offered++);
        if (drv_want_kick(0, old)) {
            s->kicks++;
            reg_write(0x50, 0);
        }
    }
    while (disk.queued)
        fake_blk_complete(&disk, 0);
    if (fake_timer && fake_timer->when <= fake_time)
        fake_timer_run();
}

static struct steady steady(unsigned depth, unsigned requests)
{
    struct steady s = {.depth = depth};

    disk.async = true;
    assert_true(drv_init(V1 | EVENT, 1, 64));
    while (s.taken < requests)
        steady_step(&s);
    return s;
}

/* What a driver has out at once is found, and a kick and an interrupt are for half of that; and it hardly ever sleeps for what is
 * held back. */
static void gathers(void **state)
{
    struct steady s;

    (void)state;
    s = steady(16, 20000);
    assert_in_range(s.kicks, 1, s.offered / 7);
    assert_in_range(s.interrupts, 1, s.offered / 7);
    assert_in_range(s.stops, 0, 40);
    s = steady(6, 20000);
    assert_in_range(s.interrupts, 1, s.offered / 2);
    assert_in_range(s.stops, 0, 40);
}

/* One request at a time: each has its kick and its interrupt at once, but for one in some hundreds. */
static void gathers_nothing(void **state)
{
    struct steady s;

    (void)state;
    s = steady(1, 20000);
    assert_in_range(s.interrupts, s.offered - 1, s.offered);
    assert_in_range(s.stops, 1, s.offered / 500);
}

/* A driver that had many out, and has one: the time that its requests are held back for is short, and soon over. */
static void gathers_no_more(void **state)
{
    struct steady s = {.depth = 16};
    uint64_t before;

    (void)state;
    disk.async = true;
    assert_true(drv_init(V1 | EVENT, 1, 64));
    while (s.taken < 2000)
        steady_step(&s);
    s.depth = 1;
    s.stops = 0;
    before = fake_time;
    while (s.taken < 2040)
        steady_step(&s);
    assert_in_range(s.stops, 0, 8);
    assert_in_range(fake_time - before, 0, timer_us(10000));
}

/* A disk that takes long is looked after now and then, and its driver is not taken to have stopped. */
static void gathers_on_slow_disks(void **state)
{
    struct steady s = {.depth = 16};

    (void)state;
    disk.async = true;
    assert_true(drv_init(V1 | EVENT, 1, 64));
    while (s.taken < 2000 || fake_irq_level)
        steady_step(&s);
    for (unsigned i = 0; i < 16; i++)
        offer_one(s.offered++);
    reg_write(0x50, 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_false(fake_irq_level);
        fake_timer_run();
    }
    for (unsigned i = 0; i < 3; i++)
        fake_blk_complete(&disk, 0);
    for (unsigned i = 0; i < 2 && !fake_irq_level; i++)
        fake_timer_run();
    assert_true(fake_irq_level); /* late enough */
    while (disk.queued)
        fake_blk_complete(&disk, 0);
    s.interrupts = 0;
    while (s.taken < 4000)
        steady_step(&s);
    assert_in_range(s.interrupts, 1, 2000 / 6); /* groups are as large as they were */
}

/* A flush is not held back, nor what ended beside it. */
static void flush_is_not_gathered(void **state)
{
    struct steady s = {.depth = 16};
    uint64_t before;

    (void)state;
    disk.async = true;
    assert_true(drv_init(ALL, 1, 64));
    while (s.taken < 2000 || fake_irq_level)
        steady_step(&s);
    assert_true(s.interrupts < s.taken / 4);
    before = fake_time;
    offer(40, 4, 0, 0, 0, false); /* fills no group: late by no more than a group is */
    while (!disk.queued)
        fake_timer_run();
    assert_in_range(fake_time - before, 0, timer_us(4000));
    while (disk.queued)
        fake_blk_complete(&disk, 0);
    assert_true(fake_irq_level);
}

/* Many who use the disk, each waiting for its own request before it makes the next. */
enum { USERS = 16 };
struct user {
    uint64_t at; /* when it offers the next; UINT64_MAX: it waits */
    unsigned think, done; /* us from an end to the next */
};

static struct user *next_user(struct user *u)
{
    struct user *next = u;

    for (unsigned i = 1; i < USERS; i++)
        if (u[i].at < next->at)
            next = &u[i];
    return next;
}

static void user_offers(struct user *u, struct steady *s, struct user **whose)
{
    uint16_t old = drv_q[0].idx;

    fake_time = max_u64(fake_time, u->at);
    u->at = UINT64_MAX;
    whose[s->offered % 64] = u;
    offer_one(s->offered++);
    if (drv_want_kick(0, old))
        reg_write(0x50, 0);
}

static void users_take(struct steady *s, struct user **whose)
{
    unsigned taken = s->taken;

    for (steady_takes(s); taken < s->taken; taken++) {
        struct user *u = whose[taken % 64];

        u->done++;
        u->at = fake_time + timer_us(u->think / 2 + below(u->think));
    }
}

/* For a second. */
static void use(struct user *u)
{
    uint64_t end = fake_time + timer_hz;
    struct user *whose[64];
    struct steady s = {0};

    while (fake_time < end) {
        struct user *next = next_user(u);

        if (fake_timer && fake_timer->when <= next->at)
            fake_timer_run();
        else
            user_offers(next, &s, whose);
        while (disk.queued)
            fake_blk_complete(&disk, 0);
        if (fake_irq_level)
            users_take(&s, whose);
    }
}

/* Who is quick does not have to wait for those who are slow, until a group is there. */
static void gathers_not_the_quick(void **state)
{
    struct user u[USERS];

    (void)state;
    random_state = 5;
    disk.async = true;
    assert_true(drv_init(V1 | EVENT, 1, 64));
    for (unsigned i = 0; i < USERS; i++)
        u[i] = (struct user){.at = fake_time + i, .think = i ? 1000 : 20};
    use(u);
    assert_in_range(u[0].done, 40000, 51000);
    for (unsigned i = 1; i < USERS; i++)
        assert_in_range(u[i].done, 900, 1100);
}

/* As long as a disk takes to close, timers run on. */
static void close_slowly(void *ctx)
{
    ((struct fake_blk *)ctx)->closed = true;
    if (fake_timer)
        fake_timer_run();
}

/* The timer that looks after late groups does not look at a disk that is closed. */
static void destroyed_while_gathering(void **state)
{
    struct steady s = {.depth = 16};

    (void)state;
    disk.async = true;
    disk.blk.close = close_slowly;
    assert_true(drv_init(V1 | EVENT, 1, 64));
    while (s.taken < 2000 || !fake_timer)
        steady_step(&s);
    assert_true(disk.wanted);
    dev->ops->reset(dev);
}

/* Resets while data moves: the access waits; a reset from outside drops. */
static void reset_in_flight(void **state)
{
    (void)state;
    disk.async = true;
    assert_true(drv_init(ALL, 1, 16));
    offer(0, 0, 0, BUFFER, 512, false);
    offer(1, 0, 1, BUFFER + 512, 512, false);
    reg_write(0x50, 0);
    assert_int_equal(reg_write(0x70, 0), MMIO_RETRY);
    offer(2, 0, 1, BUFFER + 512, 512, false);
    fake_blk_complete(&disk, 0);
    assert_int_equal(disk.queued, 1); /* nothing new is begun */
    assert_int_equal(reg_write(0x70, 0), MMIO_RETRY);
    fake_blk_complete(&disk, 0);
    assert_int_equal(reg_write(0x70, 0), MMIO_OK);
    assert_int_equal(reg_read(0x70), 0);
    assert_int_equal(fake_gm_pins, 0);

    assert_true(drv_init(ALL, 1, 16));
    offer(0, 0, 0, BUFFER, 512, false);
    reg_write(0x50, 0);
    reg_write(0x30, 0);
    assert_int_equal(reg_write(0xc0, 1), MMIO_RETRY);
    fake_blk_complete(&disk, 0);
    assert_int_equal(reg_write(0xc0, 1), MMIO_OK);
    drv_setup_queue(0, 32);
    offer(0, 0, 0, BUFFER, 512, false);
    reg_write(0x50, 0);

    dev->ops->reset(dev);
    assert_true(vdev_busy(dev));
    assert_true(drv_q[0].size == 32 && fake_gm_pins == 1);
    /* The next driver is there already when the request from before the reset ends. */
    reg_write(0x70, 1);
    reg_write(0x70, 3);
    reg_write(0x24, 1);
    reg_write(0x20, 1);
    reg_write(0x70, 11);
    drv_setup_queue(0, 16);
    reg_write(0x70, 15);
    assert_int_equal(reg_read(0x70), 15);
    assert_int_equal(fake_gm_pins, 4);
    fake_blk_complete(&disk, 0);
    assert_int_equal(fake_gm_pins, 3);
    assert_int_equal(status_of(0), 0xee);
    assert_int_equal(drv_used_idx(0), 0);
    assert_true(drv_init(ALL, 1, 16));
    disk.async = false;
    assert_int_equal(request(0, 0, BUFFER, 512), 0);
}

static void malformed(void **state)
{
    struct drv_buf b[80];

    (void)state;
    for (unsigned which = 0; which < 6; which++) {
        unsigned n = 3;

        assert_true(drv_init(ALL, 1, 128));
        put_header(HEADER, 0, 0);
        b[0] = (struct drv_buf){HEADER, 16, false};
        b[1] = (struct drv_buf){BUFFER, 512, true};
        b[2] = (struct drv_buf){STATUS, 1, true};
        switch (which) {
        case 0:
            b[0].len = 15;
            break;
        case 1:
            b[0].addr = 0;
            break;
        case 2:
            b[1].addr = GM_BASE + GM_SIZE - 16;
            break;
        case 3:
            b[2].addr = 8;
            break;
        case 4:
            n = 1; /* nowhere to put the status */
            break;
        default:
            b[2].write = false;
            break;
        }
        drv_add(0, b, n, which & 1);
        drv_kick(0);
        assert_true(drv_needs_reset());
        assert_int_equal(fake_gm_pins, 3);
        assert_false(vdev_busy(dev));
    }
    /* Longer than SEG_MAX: an error, no more. */
    assert_true(drv_init(ALL, 1, 128));
    for (unsigned i = 1; i < 79; i++)
        b[i] = (struct drv_buf){BUFFER + 512 * i, 512, true};
    b[0] = (struct drv_buf){HEADER, 16, false};
    b[79] = (struct drv_buf){STATUS, 1, true};
    fake_gm_put(STATUS, "\xee", 1);
    drv_add(0, b, 80, false);
    drv_kick(0);
    assert_false(drv_needs_reset());
    assert_int_equal(status_of(0), 1);
}

static void bounded_work(void **state)
{
    unsigned exits = 0;

    (void)state;
    assert_true(drv_init(ALL & ~INDIR, 1, 256));
    for (unsigned i = 0; i < 80; i++)
        offer(i, 0, 0, BUFFER, 1 << 20, false);
    while (reg_write(0x50, 0) == MMIO_RETRY) {
        assert_true(disk.submitted <= 60 * (exits + 1));
        assert_true(++exits < 100);
    }
    assert_true(exits >= 15);
    assert_int_equal(drv_used_idx(0), 80);
}

/* A queue full of the longest chains there are, that ask for nothing known. */
static void offer_junk(unsigned n)
{
    put_header(HEADER, 99, 0);
    for (unsigned i = 0; i < 256; i++) {
        struct {
            uint64_t addr;
            uint32_t len;
            uint16_t flags, next;
        } d = {i < 255 ? HEADER : STATUS, i ? i / 255 : 16, (uint16_t)(i < 255 ? NEXT : WRITE),
               (uint16_t)(i + 1)};

        fake_gm_put(drv_q[0].table + 0x1000 + 16 * i, &d, 16);
    }
    for (unsigned i = 0; i < n; i++) {
        drv_desc(0, 255 - i, drv_q[0].table + 0x1000, 16 * 256, INDIRECT, 0);
        drv_offer(0, (uint16_t)(255 - i));
    }
}

enum { JUNK_COPIED = 256 * 17 + 64 }; /* for one */

static void bounded_junk(void **state)
{
    enum mmio_result result;
    unsigned exits = 0;

    (void)state;
    assert_true(drv_init(ALL & ~EVENT, 1, 256));
    offer_junk(200);
    do {
        fake_gm_copied = 0;
        result = reg_write(0x50, 0);
        assert_true(fake_gm_copied <= 130 * JUNK_COPIED);
        assert_true(++exits < 10);
    } while (result == MMIO_RETRY);
    assert_int_equal(drv_used_idx(0), 200);
    assert_false(drv_needs_reset());
}

/* The same when the disk calls back: what is left goes on with the end of the next that is in flight. */
static void bounded_callback(void **state)
{
    (void)state;
    disk.async = true;
    assert_true(drv_init(ALL & ~EVENT, 1, 256));
    for (unsigned i = 0; i < 8; i++)
        offer(i, 0, 8 * i, BUFFER + 4096 * i, 512, false);
    assert_int_equal(reg_write(0x50, 0), MMIO_OK);
    offer_junk(200);
    for (unsigned left = 8; left; left--) {
        fake_gm_copied = 0;
        fake_blk_complete(&disk, 0);
        assert_true(fake_gm_copied <= 130 * JUNK_COPIED);
        assert_false(drv_needs_reset());
    }
    assert_int_equal(drv_used_idx(0), 208);
}

/* Data that cannot be cut at sectors is pinned for nothing: that is work, too. */
static void bounded_pins(void **state)
{
    struct drv_buf b[62];
    unsigned exits = 0;

    (void)state;
    assert_true(drv_init(ALL & ~EVENT & ~INDIR, 1, 256));
    put_header(HEADER, 1, 0);
    b[0] = (struct drv_buf){HEADER, 16, false};
    for (unsigned i = 1; i < 61; i++)
        b[i] = (struct drv_buf){BUFFER + 8192 * i, i == 1 ? 16641 : i == 60 ? 16127 : 16384, false};
    b[61] = (struct drv_buf){STATUS, 1, true};
    drv_add(0, b, 62, false);
    for (unsigned i = 0; i < 254; i++)
        drv_offer(0, 0);
    while (reg_write(0x50, 0) == MMIO_RETRY)
        assert_true(++exits < 100);
    assert_false(drv_needs_reset());
    assert_int_equal(disk.submitted, 0);
    assert_int_equal(status_of(0), 1);
    assert_true(exits >= 3);
}

static void out_of_memory(void **state)
{
    (void)state;
    for (int left = 0; left < 9; left++) {
        int objects = fake_heap_objects;

        fake_memory_left = left;
        assert_null(virtio_blk_create(&fake_gm_s2, &disk.blk));
        assert_int_equal(fake_heap_objects, objects);
    }
    fake_memory_left = -1;
}

/* ---- the RAM disk ---- */

static struct blk_backend *rd;
static int rd_done;

static void rd_did(struct blk_request *r)
{
    (void)r;
    rd_done++;
}

static int rd_do(enum blk_op op, uint64_t sector, uint64_t sectors, void *data)
{
    struct blk_segment seg[2] = {{data, (uint32_t)(sectors * 512 / 3)}, {NULL, 0}};
    struct blk_request r = {
        .op = op, .sector = sector, .sectors = sectors, .seg = seg, .done = rd_did};

    if (data) {
        seg[1].hva = (char *)data + seg[0].len;
        seg[1].len = (uint32_t)(sectors * 512 - seg[0].len);
        r.seg_count = 2;
    }
    rd_done = 0;
    assert_int_equal(rd->submit(rd->ctx, &r), 0);
    assert_int_equal(rd_done, 1);
    return r.result;
}

static void ramdisk_copy_on_write(void **state)
{
    enum { IMAGE = 10000, SIZE = 5 << 20 };
    uint8_t *image = malloc(IMAGE), *model = calloc(1, SIZE), *got = malloc(SIZE),
            *data = malloc(SIZE);
    uint32_t seed = 7;

    (void)state;
    for (unsigned i = 0; i < IMAGE; i++)
        model[i] = image[i] = (uint8_t)(i * 7 + 1);
    rd = ramdisk_create(image, IMAGE, SIZE - 100, false, "a serial that is far too long");
    assert_int_equal(rd->sectors, SIZE / 512);
    assert_int_equal(strlen(rd->serial), 20);
    assert_int_equal(*rd->frames, 0);
    for (unsigned i = 0; i < 600; i++) {
        uint64_t sector, n;

        seed = seed * 1103515245 + 12345;
        sector = (seed >> 8) % (SIZE / 512);
        if (i & 1)
            sector %= 40; /* where the image is */
        n = (seed >> 3) % 30 + 1;
        if (sector + n > SIZE / 512)
            n = SIZE / 512 - sector;
        memset(data, (int)i, n * 512);
        switch (seed >> 29) {
        case 0:
            assert_int_equal(rd_do(BLK_WRITE_ZEROES, sector, n, NULL), 0);
            memset(model + sector * 512, 0, n * 512);
            break;
        case 1:
            assert_int_equal(rd_do(BLK_DISCARD, sector / 8 * 8, 8, NULL), 0);
            memset(model + sector / 8 * 4096, 0, 4096);
            break;
        case 2:
            assert_int_equal(rd_do(BLK_READ, sector, n, got), 0);
            assert_memory_equal(got, model + sector * 512, n * 512);
            break;
        default:
            assert_int_equal(rd_do(BLK_WRITE, sector, n, data), 0);
            memcpy(model + sector * 512, data, n * 512);
            break;
        }
    }
    assert_int_equal(rd_do(BLK_READ, 0, SIZE / 512, got), 0);
    assert_memory_equal(got, model, SIZE);
    assert_int_equal(image[0], 1);
    assert_int_equal(*rd->frames, (uint64_t)fake_frames);

    /* Save, load into another, compare; and refuse what is cut or senseless. */
    {
        struct fake_stream s = {0};
        struct state_writer w = fake_stream_writer(&s);
        struct state_reader r;
        struct blk_backend *first = rd;

        rd->save(rd->ctx, &w);
        rd = ramdisk_create(image, IMAGE, SIZE, false, "b");
        r = fake_stream_reader(&s);
        assert_int_equal(rd->load(rd->ctx, &r), 0);
        assert_int_equal(s.at, s.len);
        assert_int_equal(rd_do(BLK_READ, 0, SIZE / 512, data), 0);
        assert_memory_equal(data, model, SIZE);
        s.len -= 1;
        r = fake_stream_reader(&s);
        assert_true(rd->load(rd->ctx, &r) < 0);
        assert_int_equal(*rd->frames, 0);
        s.data[0] = 9;
        r = fake_stream_reader(&s);
        assert_int_equal(rd->load(rd->ctx, &r), -EINVAL);
        rd->close(rd->ctx);
        rd = first;
        free(s.data);
    }

    /* Discard gives frames back; out of memory is -ENOSPC and loses nothing. */
    assert_int_equal(rd_do(BLK_DISCARD, 0, SIZE / 512, NULL), 0);
    assert_int_equal(*rd->frames, 3); /* tables */
    fake_memory_left = 2;
    assert_int_equal(rd_do(BLK_WRITE, 0, 32, data), -ENOSPC);
    fake_memory_left = 0;
    assert_int_equal(rd_do(BLK_WRITE, 0, 8, data), 0); /* it has that page */
    fake_memory_left = -1;
    assert_int_equal(rd_do(BLK_READ, SIZE / 512, 1, got), -EIO);
    assert_int_equal(rd_do(BLK_READ, ~0ull, 2, got), -EIO);
    assert_int_equal(rd_do(BLK_WRITE, 1ull << 55, 8, got), -EIO);
    rd->close(rd->ctx);
    assert_int_equal(fake_frames, 0);
    rd = ramdisk_create(image, IMAGE, IMAGE, true, "");
    assert_int_equal(rd_do(BLK_WRITE, 0, 1, data), -EACCES);
    rd->close(rd->ctx);
    assert_null(ramdisk_create(NULL, 0, 0, false, ""));
    free(image);
    free(model);
    free(got);
    free(data);
}

static int scatter;
#define BLK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define BLK_SCATTERED(f) {#f " scattered", f, setup, teardown, &scatter}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK(config),
        BLK(grows),
        BLK(read_and_write),
        BLK(odd_framing),
        BLK(errors),
        BLK(ranges),
        BLK(write_through),
        BLK(many_in_flight),
        BLK(ends_at_once),
        BLK(kicks_while_busy),
        BLK(gathers),
        BLK(gathers_nothing),
        BLK(gathers_no_more),
        BLK(gathers_not_the_quick),
        BLK(flush_is_not_gathered),
        BLK(gathers_on_slow_disks),
        BLK(destroyed_while_gathering),
        BLK(coalesces),
        BLK(held_back_not_long),
        BLK(no_interrupt_is_lost),
        BLK(reset_in_flight),
        BLK(malformed),
        BLK(bounded_work),
        BLK(bounded_junk),
        BLK(bounded_callback),
        BLK(bounded_pins),
        BLK(out_of_memory),
        BLK_SCATTERED(read_and_write),
        BLK_SCATTERED(odd_framing),
        BLK_SCATTERED(many_in_flight),
        BLK_SCATTERED(bounded_work),
        cmocka_unit_test(ramdisk_copy_on_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
