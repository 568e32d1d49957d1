// SPDX-License-Identifier: BSD-2-Clause
// Allwinner D1's watchdog, as Linux's and U-Boot's drivers (sunxi_wdt) use it: three 32-bit registers.
// CFG and MODE take a write only with their key, CTRL restarts the interval with its own. A CFG that does
// not reset the system is kept and does nothing: there is no interrupt line.
#include "vdev/watchdog.h"

#include <errno.h>

#include "mem/heap.h"

enum { REG_CTRL = 0x10, REG_CFG = 0x14, REG_MODE = 0x18 };
enum { CTRL_RESTART = 0x0a57 << 1 | 1 };
enum { CFG_MASK = 3, CFG_RESET_SYSTEM = 1 };
enum { MODE_ENABLE = 1, MODE_INTERVAL_SHIFT = 4, MODE_MASK = 0xf1 };
#define KEY 0x16aau /* in the upper half */

struct watchdog {
    struct vdev vdev; /* first */
    struct watchdog_backend *backend;
    uint8_t cfg, mode;
    uint64_t left; /* us, of a load: until it is resumed */
};

/* Of MODE's interval; 0 for those that are reserved: nothing runs then. */
static uint64_t interval_us(uint8_t mode)
{
    static const uint8_t half_seconds[16] = {1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32};

    return half_seconds[mode >> MODE_INTERVAL_SHIFT] * 500000ul;
}

static bool is_running(const struct watchdog *w)
{
    return (w->mode & MODE_ENABLE) && w->cfg == CFG_RESET_SYSTEM && interval_us(w->mode);
}

/* The interval begins, or ends for good. */
static void restart(struct watchdog *w)
{
    if (is_running(w))
        w->backend->start(w->backend->ctx, interval_us(w->mode));
    else
        w->backend->stop(w->backend->ctx);
}

static uint32_t watchdog_read(const struct watchdog *w, uint64_t offset)
{
    return offset == REG_CFG ? w->cfg : offset == REG_MODE ? w->mode : 0;
}

static void watchdog_write(struct watchdog *w, uint64_t offset, uint32_t v)
{
    uint8_t cfg = w->cfg, mode = w->mode;

    if (offset == REG_CTRL && v == CTRL_RESTART) {
        restart(w);
    } else if (v >> 16 == KEY) {
        if (offset == REG_CFG)
            w->cfg = v & CFG_MASK;
        else if (offset == REG_MODE)
            w->mode = v & MODE_MASK;
        if (cfg != w->cfg || mode != w->mode)
            restart(w);
    }
}

static enum mmio_result watchdog_access(struct vdev *dev, struct mmio_access *a)
{
    struct watchdog *w = (struct watchdog *)dev;
    bool whole = a->width == 4 && !(a->offset & 3);

    if (!a->write)
        a->value = whole ? watchdog_read(w, a->offset) : 0;
    else if (whole)
        watchdog_write(w, a->offset, (uint32_t)a->value);
    return MMIO_OK;
}

static void power_on(struct watchdog *w)
{
    w->cfg = CFG_RESET_SYSTEM;
    w->mode = 0;
    w->left = UINT64_MAX;
    restart(w);
}

static void watchdog_reset(struct vdev *dev)
{
    spin_lock(&dev->lock);
    power_on((struct watchdog *)dev);
    spin_unlock(&dev->lock);
}

static void watchdog_save(struct vdev *dev, struct state_writer *s)
{
    struct watchdog *w = (struct watchdog *)dev;

    spin_lock(&dev->lock);
    state_put_u8(s, w->cfg);
    state_put_u8(s, w->mode);
    /* Loaded and saved again before it ran: what was loaded. */
    state_put_u64(s, w->left != UINT64_MAX ? w->left : w->backend->left(w->backend->ctx));
    spin_unlock(&dev->lock);
}

static int watchdog_load(struct vdev *dev, struct state_reader *r)
{
    struct watchdog *w = (struct watchdog *)dev;

    spin_lock(&dev->lock);
    power_on(w);
    w->cfg = state_get_u8(r) & CFG_MASK;
    w->mode = state_get_u8(r) & MODE_MASK;
    w->left = state_get_u64(r);
    if (is_running(w) ? w->left > interval_us(w->mode) : w->left != UINT64_MAX)
        state_fail(r, -EINVAL);
    if (r->error)
        power_on(w);
    spin_unlock(&dev->lock);
    return r->error;
}

static void watchdog_resume(struct vdev *dev)
{
    struct watchdog *w = (struct watchdog *)dev;

    spin_lock(&dev->lock);
    if (w->left != UINT64_MAX)
        w->backend->start(w->backend->ctx, w->left);
    w->left = UINT64_MAX;
    spin_unlock(&dev->lock);
}

static void watchdog_destroy(struct vdev *dev)
{
    struct watchdog *w = (struct watchdog *)dev;

    w->backend->close(w->backend->ctx);
    heap_free(w);
}

static uint64_t watchdog_memory(struct vdev *dev)
{
    (void)dev;
    return heap_takes(sizeof(struct watchdog));
}

static const struct vdev_ops watchdog_ops = {
    .type = "watchdog",
    .access = watchdog_access,
    .reset = watchdog_reset,
    .save = watchdog_save,
    .load = watchdog_load,
    .destroy = watchdog_destroy,
    .memory = watchdog_memory,
    .resume = watchdog_resume,
};

struct vdev *watchdog_create(struct watchdog_backend *backend)
{
    struct watchdog *w = heap_alloc(sizeof(*w));

    if (!w)
        return NULL;
    w->vdev.ops = &watchdog_ops;
    w->vdev.size = WATCHDOG_SIZE;
    spin_init(&w->vdev.lock, LOCK_DEVICE);
    w->backend = backend;
    power_on(w);
    return &w->vdev;
}
