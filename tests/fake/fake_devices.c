// SPDX-License-Identifier: BSD-2-Clause
#include "fake_devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vdev/irqchip/vplic.h"
#include "vdev/ramdisk.h"
#include "vdev/rtc.h"
#include "vdev/virtio/virtio_dev.h"
#include "vdev/watchdog.h"

struct fake_chr fake_device_uart[FAKE_TWINS], fake_device_console[FAKE_TWINS];
struct fake_blk fake_device_disk[FAKE_TWINS];
struct fake_net fake_device_net[FAKE_TWINS];
unsigned fake_device_contexts = 2;
bool fake_device_changes_only;
bool fake_device_external[FAKE_TWINS][4];
uint64_t fake_device_clock[FAKE_TWINS];
uint64_t fake_device_day;

static void set_external(void *owner, unsigned context, bool level)
{
    bool *external = owner;

    assert_true(context < fake_device_contexts);
    assert_true(!fake_device_changes_only || external[context] != level);
    external[context] = level;
}

static struct vdev *plic_make(unsigned n)
{
    memset(fake_device_external[n], 0, sizeof(fake_device_external[n]));
    return vplic_create(fake_device_contexts, set_external, fake_device_external[n]);
}

static struct vdev *uart_make(unsigned n)
{
    fake_chr_init(&fake_device_uart[n]);
    return ns16550_create(&fake_device_uart[n].chr);
}

static struct vdev *console_make(unsigned n)
{
    fake_chr_init(&fake_device_console[n]);
    return virtio_console_create(&fake_gm_s2, &fake_device_console[n].chr);
}

static struct vdev *rng_make(unsigned n)
{
    (void)n;
    return virtio_rng_create(&fake_gm_s2, fake_entropy());
}

static struct vdev *blk_make(unsigned n)
{
    fake_blk_free(&fake_device_disk[n]);
    fake_blk_init(&fake_device_disk[n], 64);
    return virtio_blk_create(&fake_gm_s2, &fake_device_disk[n].blk);
}

static struct vdev *ramdisk_make(unsigned n)
{
    static const char image[4096] = "image";

    (void)n;
    return virtio_blk_create(&fake_gm_s2,
                             ramdisk_create(image, sizeof(image), 32768, false, "ram"));
}

static void clock_start(void *ctx, uint64_t us) { *(uint64_t *)ctx = us; }
static void clock_stop(void *ctx) { *(uint64_t *)ctx = UINT64_MAX; }
static uint64_t clock_left(void *ctx) { return *(uint64_t *)ctx; }

static struct vdev *watchdog_make(unsigned n)
{
    static struct watchdog_backend clock[FAKE_TWINS];

    clock[n] = (struct watchdog_backend){clock_start, clock_stop, clock_left, clock_stop,
                                         &fake_device_clock[n]};
    return watchdog_create(&clock[n]);
}

static uint64_t day_now(void *ctx) { return *(uint64_t *)ctx; }

static struct vdev *rtc_make(unsigned n)
{
    static const struct clock_backend day = {day_now, &fake_device_day};

    (void)n;
    return rtc_create(&day);
}

static struct vdev *net_make(unsigned n)
{
    fake_net_init(&fake_device_net[n]);
    return virtio_net_create(&fake_gm_s2, &fake_device_net[n].net);
}

/* New ones at the end: corpora name devices by their places. */
const struct fake_device fake_devices[] = {
    {"plic", plic_make, 0, 0, NULL},
    {"uart", uart_make, 0, 0, fake_device_uart},
    {"console", console_make, 2, 1, fake_device_console},
    {"rng", rng_make, 1, 1, NULL},
    {"blk", blk_make, 1, 3, NULL},
    {"ramdisk", ramdisk_make, 1, 3, NULL},
    {"watchdog", watchdog_make, 0, 0, NULL},
    {"net", net_make, 3, 1, NULL},
    {"rtc", rtc_make, 0, 0, NULL},
};
const unsigned fake_device_count = ARRAY_LEN(fake_devices);

unsigned fake_device_find(const char *name)
{
    unsigned i = 0;

    while (i < fake_device_count && strcmp(fake_devices[i].name, name))
        i++;
    if (i == fake_device_count)
        fail_msg("no device %s in the list", name);
    return i;
}

void fake_device_end(struct vdev *dev)
{
    for (unsigned n = 0; n < FAKE_TWINS; n++)
        while (fake_device_disk[n].queued)
            fake_blk_complete(&fake_device_disk[n], 0);
    assert_false(vdev_busy(dev));
    dev->ops->destroy(dev);
}

void fake_devices_free(void)
{
    for (unsigned n = 0; n < FAKE_TWINS; n++)
        fake_blk_free(&fake_device_disk[n]);
}
