// SPDX-License-Identifier: BSD-2-Clause
// Saving and loading of every device, in the middle of its work too: the loaded one goes on where the
// saved one was, and a stream that is cut short or altered is refused or at least harmless.
// units: vdev/watchdog.c vdev/rtc.c vdev/ns16550.c vdev/irqchip/vplic.c vdev/ramdisk.c vdev/virtio/virtq.c vdev/virtio/virtio_mmio.c vdev/virtio/blk.c vdev/virtio/blk_gather.c vdev/virtio/console.c vdev/virtio/rng.c vdev/virtio/net.c vdev/virtio/net_ctrl.c hyp/net/offload.c hyp/net/packet.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_devices.c tests/fake/fake_guest_mem.c vdev/bus.c hyp/base/state.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "fake_devices.h"
#include "vdev/irqchip/vplic.h"

#define ALL ~0ull

static struct fake_chr *const typed = fake_device_uart, *const console = fake_device_console;
static struct fake_blk *const disk = fake_device_disk;

/* ---- one entry a device: bring the first into the middle of work, and see that the second goes on ---- */

static void uart_work(void)
{
    reg_write(2, 0x41);
    reg_write(1, 3);
    reg_write(7, 0x77);
    fake_chr_type(&typed[0], "abcdefghijklmnopqrstuvwxyz", 26);
    for (unsigned i = 0; i < 20; i++)
        reg_read(0); /* the FIFO's head is somewhere in its middle */
    reg_write(3, 0x83);
}

static void uart_goes_on(void)
{
    uint64_t v;

    assert_true(fake_irq_level);
    assert_int_equal(reg_read(7), 0x77);
    reg_write(3, 3);
    assert_int_equal(reg_read(1), 3);
    for (unsigned i = 20; i < 26; i++) {
        v = 0;
        reg_access(0, 1, false, &v);
        assert_int_equal(v, 'a' + i);
    }
}

static void plic_work(void)
{
    struct irq_line a = vplic_line(fake_bus.dev[0], 7), b = vplic_line(fake_bus.dev[0], 40);

    reg_write(4 * 7, 2);
    reg_write(4 * 40, 5);
    reg_write(0x2000, 1 << 7);
    reg_write(0x2084, 1 << 8);
    reg_write(0x201000, 3);
    irq_line_set(&a, true);
    irq_line_set(&b, true);
    assert_int_equal(reg_read(0x200004), 7); /* in service */
}

static void plic_goes_on(void)
{
    assert_false(fake_device_external[1][0]);
    assert_true(fake_device_external[1][1]);
    assert_int_equal(reg_read(0x201000), 3);
    assert_int_equal(reg_read(0x201004), 40);
    assert_false(fake_device_external[1][1]);
    reg_write(0x200004, 7); /* the line is high: again */
    assert_true(fake_device_external[1][0]);
}

static void rng_work(void)
{
    struct drv_buf b = {DRV_DATA, 8, true};

    assert_true(drv_init(ALL, 1, 8));
    for (unsigned i = 0; i < 3; i++) {
        drv_set_used_event(0, i);
        drv_add(0, &b, 1, true);
        drv_kick(0);
    }
    drv_add(0, &b, 1, false); /* offered, not kicked yet */
}

static void rng_goes_on(void)
{
    uint32_t id, len;

    assert_true(fake_irq_level);
    assert_int_equal(reg_read(0x60), 1);
    assert_int_equal(drv_used_idx(0), 3);
    drv_kick(0);
    for (unsigned i = 0; i < 4; i++)
        assert_true(drv_used(0, &id, &len));
    assert_false(drv_needs_reset());
}

static void console_work(void)
{
    struct drv_buf b = {DRV_DATA, 10, false};

    assert_true(drv_init(ALL, 2, 8));
    fake_gm_put(DRV_DATA, "0123456789", 10);
    console[0].out_room = 4;
    drv_add(1, &b, 1, false);
    assert_int_equal(reg_write(0x50, 1), MMIO_RETRY); /* four are out */
    fake_chr_type(&console[0], "typed", 5); /* and no buffer for input */
}

static void console_goes_on(void)
{
    struct drv_buf b = {DRV_DATA + 100, 10, true};
    uint32_t id, len;
    char got[5];

    assert_int_equal(reg_write(0x50, 1), MMIO_OK);
    assert_int_equal(console[1].out_len, 6);
    assert_memory_equal(console[1].out, "456789", 6);
    drv_add(0, &b, 1, false);
    drv_kick(0);
    assert_true(drv_used(0, &id, &len));
    assert_int_equal(len, 5);
    fake_gm_get(DRV_DATA + 100, got, 5);
    assert_memory_equal(got, "typed", 5);
}

static void fill_disks(void)
{
    for (unsigned n = 0; n < 2; n++) {
        for (unsigned i = 0; disk[n].data && i < 64 * 512; i++)
            disk[n].data[i] = (uint8_t)(i / 512 + 1);
        disk[n].async = true;
    }
}

static void blk_work(void)
{
    struct drv_buf b[3] = {
        {DRV_DATA, 16, false}, {DRV_DATA + 0x1000, 512, true}, {DRV_DATA + 0x100, 1, true}};

    assert_true(drv_init(ALL, 1, 64));
    for (unsigned i = 0; i < 5; i++) {
        uint64_t header[2] = {0, i};

        b[0].addr = DRV_DATA + 16 * i;
        b[1].addr = DRV_DATA + 0x1000 + 512 * i;
        b[2].addr = DRV_DATA + 0x100 + i;
        fake_gm_put(b[0].addr, header, 16);
        drv_add(0, b, 3, i & 1);
        if (i != 4)
            assert_int_equal(reg_write(0x50, 0), MMIO_OK);
    }
    fake_blk_complete(&disk[0], 1); /* three in flight, one done, one offered */
    assert_true(disk[0].queued >= 3);
}

static void blk_goes_on(void)
{
    uint32_t id, len, seen = 0;
    uint8_t b;

    reg_write(0x50, 0);
    assert_true(disk[1].queued >= 3);
    while (disk[1].queued)
        fake_blk_complete(&disk[1], disk[1].queued - 1);
    while (drv_used(0, &id, &len))
        seen++;
    assert_int_equal(seen, 5); /* each once */
    for (unsigned i = 0; i < 5; i++) {
        fake_gm_get(DRV_DATA + 0x1000 + 512 * i, &b, 1);
        assert_int_equal(b, i + 1);
    }
    assert_false(drv_needs_reset());
}

static void ramblk_request(uint32_t type, uint64_t sector)
{
    struct drv_buf b[3] = {
        {DRV_DATA, 16, false}, {DRV_DATA + 0x1000, 512, type == 0}, {DRV_DATA + 0x100, 1, true}};
    uint64_t header[2] = {type, sector};
    uint8_t status = 0xee;

    fake_gm_put(DRV_DATA, header, 16);
    drv_add(0, b, 3, false);
    drv_kick(0);
    fake_gm_get(DRV_DATA + 0x100, &status, 1);
    assert_int_equal(status, 0);
}

static void ramblk_work(void)
{
    assert_true(drv_init(ALL, 1, 64));
    fake_gm_put(DRV_DATA + 0x1000, "written", 8);
    ramblk_request(1, 1);
}

static void ramblk_goes_on(void)
{
    char got[8];

    ramblk_request(0, 1);
    fake_gm_get(DRV_DATA + 0x1000, got, 8);
    assert_string_equal(got, "written");
    ramblk_request(0, 0);
    fake_gm_get(DRV_DATA + 0x1000, got, 5);
    assert_memory_equal(got, "image", 5);
}

static void watchdog_work(void)
{
    reg_write(0x18, 0x16aa0071);
    fake_device_clock[0] -= 1000000;
}

static void watchdog_goes_on(void)
{
    assert_int_equal(reg_read(0x18), 0x71);
    reg_write(0x10, 0x14af);
}

static void rtc_work(void)
{
    reg_write(0x04, 5); /* some 21 s later than the host's, and an alarm at the sixth 2^32 ns */
    reg_write(0x0c, 6);
    reg_write(0x08, 0);
    reg_write(0x10, 1);
    reg_read(0x00);
}

static void rtc_goes_on(void)
{
    assert_int_equal(reg_read(0x04), 5);
    assert_int_equal(reg_read(0x18), 1);
    assert_false(fake_irq_level);
    fake_device_day += 1ull << 32;
    fake_timer_run();
    assert_true(fake_irq_level);
}

static void net_work(void)
{
    struct drv_buf rx[2] = {{DRV_DATA, 100, true}, {DRV_DATA + 0x1000, 2000, true}};
    struct drv_buf command[2] = {{DRV_DATA + 0x3000, 3, false}, {DRV_DATA + 0x3800, 1, true}};

    assert_true(drv_init(ALL, 3, 8));
    fake_gm_put(DRV_DATA + 0x3000, "\0\0\0", 3); /* not promiscuous */
    drv_add(2, command, 2, false);
    drv_kick(2);
    for (unsigned i = 0; i < 4; i++)
        drv_add(0, rx, 2, i & 1);
    assert_int_equal(fake_net_give(&fake_device_net[0], "\2\0\0\0\0\1......\x88\xb5", 14,
                                   (struct net_offload){.gso = 0}),
                     NET_TAKEN);
    fake_device_net[0].net.link = false;
    fake_device_net[0].net.link_changed(fake_device_net[0].net.device);
}

static void net_goes_on(void)
{
    struct net_offload none = {.gso = 0};
    uint32_t id, len;

    assert_int_equal(reg_read(0x60), 3); /* the link is up here */
    assert_int_equal(fake_net_give(&fake_device_net[1], "\2\0\0\0\0\1......\x88\xb5", 14, none),
                     NET_TAKEN);
    assert_int_equal(fake_net_give(&fake_device_net[1], "\2\0\0\0\0\2......\x88\xb5", 14, none),
                     NET_FILTERED);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(drv_used(0, &id, &len));
        assert_int_equal(len, 26);
    }
    assert_int_equal(atomic_load(&fake_device_net[1].net.can), 15);
    assert_false(drv_needs_reset());
}

static const struct {
    const char *name;
    void (*work)(void);
    void (*goes_on)(void);
} steps[] = {
    {"watchdog", watchdog_work, watchdog_goes_on},
    {"rtc", rtc_work, rtc_goes_on},
    {"uart", uart_work, uart_goes_on},
    {"plic", plic_work, plic_goes_on},
    {"rng", rng_work, rng_goes_on},
    {"console", console_work, console_goes_on},
    {"blk", blk_work, blk_goes_on},
    {"net", net_work, net_goes_on},
    {"ramdisk", ramblk_work, ramblk_goes_on},
};

/* Of the device at this place of the list: none goes without. */
static unsigned steps_of(unsigned device)
{
    for (unsigned i = 0; i < ARRAY_LEN(steps); i++)
        if (!strcmp(steps[i].name, fake_devices[device].name))
            return i;
    fail_msg("%s: neither work nor goes_on are known", fake_devices[device].name);
    return 0;
}

static struct vdev *make(unsigned device, unsigned n)
{
    struct vdev *dev = fake_devices[device].make(n);

    fake_bus_put(dev, n ? "second" : "first");
    fill_disks();
    return dev;
}

static void save(struct vdev *dev, struct fake_stream *s)
{
    struct state_writer w = fake_stream_writer(s);

    dev->ops->save(dev, &w);
    assert_int_equal(w.error, 0);
}

static int load(struct vdev *dev, struct fake_stream *s)
{
    struct state_reader r = fake_stream_reader(s);
    int error = dev->ops->load(dev, &r);

    assert_int_equal(error, r.error);
    return error;
}

static void round_trip(void **state)
{
    (void)state;
    for (unsigned d = 0; d < fake_device_count; d++)
        for (unsigned worked = 0; worked < 2; worked++) {
            struct vdev *first, *second;
            struct fake_stream s = {0}, again = {0};

            fake_gm_start(false);
            first = make(d, 0);
            if (worked)
                steps[steps_of(d)].work();
            save(first, &s);
            second = make(d, 1);
            if (load(second, &s))
                fail_msg("%s: not loaded", fake_devices[d].name);
            assert_int_equal(s.at, s.len);
            save(second, &again); /* nothing lost, nothing added, before it runs */
            assert_int_equal(s.len, again.len);
            assert_memory_equal(s.data, again.data, s.len);
            vdev_resume(second);
            if (worked)
                steps[steps_of(d)].goes_on();
            first->ops->reset(first);
            fake_device_end(first);
            fake_device_end(second);
            fake_gm_stop();
            free(s.data);
            free(again.data);
        }
    assert_int_equal(fake_heap_objects, 0);
    assert_int_equal(fake_frames, 0);
}

static void cut_short(void **state)
{
    (void)state;
    for (unsigned d = 0; d < fake_device_count; d++) {
        struct fake_stream s = {0};
        struct vdev *first, *second;
        size_t whole;

        fake_gm_start(false);
        first = make(d, 0);
        steps[steps_of(d)].work();
        save(first, &s);
        whole = s.len;
        second = make(d, 1);
        for (size_t n = 0; n < whole; n += n > 300 ? 97 : 1) {
            s.len = n;
            if (!load(second, &s))
                fail_msg("%s: %zu of %zu bytes were enough", fake_devices[d].name, n, whole);
            assert_false(vdev_busy(second));
            vdev_resume(second);
        }
        first->ops->reset(first);
        fake_device_end(first);
        fake_device_end(second);
        fake_gm_stop();
        free(s.data);
    }
    assert_int_equal(fake_heap_objects, 0);
    assert_int_equal(fake_frames, 0);
}

/* Any byte changed: refused, or a device that does no harm. */
static void altered(void **state)
{
    (void)state;
    for (unsigned d = 0; d < fake_device_count; d++) {
        struct fake_stream s = {0};
        struct vdev *first, *second;

        fake_gm_start(false);
        first = make(d, 0);
        steps[steps_of(d)].work();
        save(first, &s);
        second = make(d, 1);
        for (size_t at = 0; at < s.len; at += at > 300 ? 61 : 1)
            for (unsigned bit = 0; bit < 8; bit++) {
                s.data[at] ^= 1 << bit;
                if (!load(second, &s)) {
                    vdev_resume(second);
                    for (uint64_t off = 0; off < min_u64(second->size, 0x130); off += 4)
                        if (off != 0x70) {
                            reg_write(off, 0);
                            reg_read(off);
                        }
                    reg_write(0x50, 1);
                    reg_write(0x50, 2);
                    while (disk[1].queued)
                        fake_blk_complete(&disk[1], 0);
                }
                s.data[at] ^= 1 << bit;
                second->ops->reset(second);
            }
        first->ops->reset(first);
        fake_device_end(first);
        fake_device_end(second);
        fake_gm_stop();
        free(s.data);
    }
}

/* A stream of another kind of device; those of virtio devices tell theirs. */
static void mixed_up(void **state)
{
    (void)state;
    for (unsigned a = 0; a < fake_device_count; a++)
        for (unsigned b = 0; b < fake_device_count; b++) {
            struct fake_stream s = {0};
            struct vdev *first, *second;

            if (a == b || !fake_devices[a].queues || !fake_devices[b].queues)
                continue;
            fake_gm_start(false);
            first = make(a, 0);
            save(first, &s);
            second = make(b, 1);
            assert_int_equal(load(second, &s), -EINVAL);
            fake_device_end(first);
            fake_device_end(second);
            fake_gm_stop();
            free(s.data);
        }
}

static int free_disks(void **state)
{
    (void)state;
    fake_devices_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(altered),
        cmocka_unit_test(mixed_up),
    };

    return cmocka_run_group_tests(tests, NULL, free_disks);
}
