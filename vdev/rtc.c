// SPDX-License-Identifier: BSD-2-Clause
// Goldfish's clock, as Linux's driver (rtc-goldfish) and QEMU (hw/rtc/goldfish_rtc.c) have it: 32-bit registers, times in
// nanoseconds since 1970. Reading the low half of the time keeps the high half for the next read; writing the low
// half of the alarm's time sets the alarm, which interrupts once.
#include "vdev/rtc.h"

#include <errno.h>

#include "base/arch.h"
#include "mem/heap.h"
#include "sched/timer.h"

enum {
    REG_TIME_LOW = 0x00,
    REG_TIME_HIGH = 0x04,
    REG_ALARM_LOW = 0x08,
    REG_ALARM_HIGH = 0x0c,
    REG_IRQ_ENABLED = 0x10,
    REG_CLEAR_ALARM = 0x14,
    REG_ALARM_STATUS = 0x18,
    REG_CLEAR_INTERRUPT = 0x1c,
};
enum { ALARM_SET = 1, ALARM_RANG = 2, IRQ_ENABLED = 4, FLAGS = 7 };

#define SECOND 1000000000ul /* ns */
#define LONGEST_WAIT (3600 * SECOND) /* then the clock is looked at again */

struct rtc {
    struct vdev vdev; /* first */
    const struct clock_backend *clock;
    struct timer timer;
    uint64_t ahead; /* of the host's clock, modulo 2^64 */
    uint64_t alarm;
    uint32_t high; /* of the time at the last read of its low half */
    uint8_t flags;
};

static uint64_t now(const struct rtc *r) { return r->clock->now(r->clock->ctx) + r->ahead; }

static uint64_t with_low(uint64_t v, uint32_t low) { return v >> 32 << 32 | low; }
static uint64_t with_high(uint64_t v, uint32_t high) { return (uint64_t)high << 32 | (uint32_t)v; }

static void update_line(struct rtc *r)
{
    uint8_t both = ALARM_RANG | IRQ_ENABLED;

    irq_line_set(&r->vdev.irq, (r->flags & both) == both);
}

/* Rings, or sees to it that it is looked at again in time. A timer that was set for another alarm may come
 * besides, and does no harm. */
static void look(struct rtc *r)
{
    uint64_t at = now(r), wait;

    if (!(r->flags & ALARM_SET))
        return;
    if (r->alarm <= at) {
        r->flags = (r->flags & ~ALARM_SET) | ALARM_RANG;
        update_line(r);
        return;
    }
    wait = min_u64(r->alarm - at, LONGEST_WAIT);
    timer_set(&r->timer,
              arch_time() + 1 + wait / SECOND * timer_hz + wait % SECOND * timer_hz / SECOND);
}

static void on_timer(struct timer *t)
{
    struct rtc *r = CONTAINER_OF(t, struct rtc, timer);

    spin_lock(&r->vdev.lock);
    look(r);
    spin_unlock(&r->vdev.lock);
}

static uint32_t read_time(struct rtc *r)
{
    uint64_t at = now(r);

    r->high = (uint32_t)(at >> 32);
    return (uint32_t)at;
}

static uint32_t rtc_read(struct rtc *r, uint64_t offset)
{
    switch (offset) {
    case REG_TIME_LOW:
        return read_time(r);
    case REG_TIME_HIGH:
        return r->high;
    case REG_ALARM_LOW:
        return (uint32_t)r->alarm;
    case REG_ALARM_HIGH:
        return (uint32_t)(r->alarm >> 32);
    case REG_IRQ_ENABLED:
        return !!(r->flags & IRQ_ENABLED);
    case REG_ALARM_STATUS:
        return !!(r->flags & ALARM_SET);
    default:
        return 0;
    }
}

/* An alarm is a time on this clock: with another time it may be due. */
static void set_time(struct rtc *r, uint64_t to)
{
    r->ahead += to - now(r);
    look(r);
}

static void rtc_write(struct rtc *r, uint64_t offset, uint32_t v)
{
    switch (offset) {
    case REG_TIME_LOW:
        set_time(r, with_low(now(r), v));
        break;
    case REG_TIME_HIGH:
        set_time(r, with_high(now(r), v));
        break;
    case REG_ALARM_LOW:
        r->alarm = with_low(r->alarm, v);
        r->flags |= ALARM_SET;
        look(r);
        break;
    case REG_ALARM_HIGH:
        r->alarm = with_high(r->alarm, v);
        break;
    case REG_IRQ_ENABLED:
        r->flags = v & 1 ? r->flags | IRQ_ENABLED : r->flags & ~IRQ_ENABLED;
        update_line(r);
        break;
    case REG_CLEAR_ALARM:
        r->flags &= ~ALARM_SET;
        break;
    case REG_CLEAR_INTERRUPT:
        r->flags &= ~ALARM_RANG;
        update_line(r);
        break;
    default:
        break;
    }
}

static enum mmio_result rtc_access(struct vdev *dev, struct mmio_access *a)
{
    struct rtc *r = (struct rtc *)dev;
    bool whole = a->width == 4 && !(a->offset & 3);

    if (!a->write)
        a->value = whole ? rtc_read(r, a->offset) : 0;
    else if (whole)
        rtc_write(r, a->offset, (uint32_t)a->value);
    return MMIO_OK;
}

/* Its battery keeps the time; the rest is as new. */
static void forget_alarm(struct rtc *r)
{
    r->alarm = 0;
    r->high = 0;
    r->flags = 0;
    update_line(r);
}

static void rtc_reset(struct vdev *dev)
{
    spin_lock(&dev->lock);
    forget_alarm((struct rtc *)dev);
    spin_unlock(&dev->lock);
}

static void rtc_save(struct vdev *dev, struct state_writer *s)
{
    struct rtc *r = (struct rtc *)dev;

    spin_lock(&dev->lock);
    state_put_u64(s, r->ahead);
    state_put_u64(s, r->alarm);
    state_put_u32(s, r->high);
    state_put_u8(s, r->flags);
    spin_unlock(&dev->lock);
}

static int rtc_load(struct vdev *dev, struct state_reader *s)
{
    struct rtc *r = (struct rtc *)dev;

    spin_lock(&dev->lock);
    r->ahead = state_get_u64(s);
    r->alarm = state_get_u64(s);
    r->high = state_get_u32(s);
    r->flags = state_get_u8(s);
    if (r->flags & ~FLAGS)
        state_fail(s, -EINVAL);
    if (s->error) {
        r->ahead = 0;
        forget_alarm(r);
    }
    update_line(r);
    spin_unlock(&dev->lock);
    return s->error;
}

static void rtc_resume(struct vdev *dev)
{
    spin_lock(&dev->lock);
    look((struct rtc *)dev);
    spin_unlock(&dev->lock);
}

static void rtc_destroy(struct vdev *dev)
{
    struct rtc *r = (struct rtc *)dev;

    timer_cancel_wait(&r->timer);
    heap_free(r);
}

static uint64_t rtc_memory(struct vdev *dev)
{
    (void)dev;
    return heap_takes(sizeof(struct rtc));
}

static const struct vdev_ops rtc_ops = {
    .type = "goldfish-rtc",
    .access = rtc_access,
    .reset = rtc_reset,
    .save = rtc_save,
    .load = rtc_load,
    .destroy = rtc_destroy,
    .memory = rtc_memory,
    .resume = rtc_resume,
};

struct vdev *rtc_create(const struct clock_backend *clock)
{
    struct rtc *r = heap_alloc(sizeof(*r));

    if (!r)
        return NULL;
    r->vdev.ops = &rtc_ops;
    r->vdev.size = RTC_SIZE;
    spin_init(&r->vdev.lock, LOCK_DEVICE);
    timer_init(&r->timer, on_timer);
    r->clock = clock;
    return &r->vdev;
}
