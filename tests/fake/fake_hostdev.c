// SPDX-License-Identifier: BSD-2-Clause
#include "fake_hostdev.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "base/spinlock.h"
#include "fake_mem.h"
#include "mem/hostmap.h"
#include "sched/thread.h"

unsigned fake_highest_lock(void);
uint64_t timer_hz = 1000000;
struct hostdev hostdevs[HOSTDEVS];
unsigned hostdev_count, hostdev_sched_points;
static char window[HOSTDEVS][4096] __attribute__((aligned(4096)));

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

static void *at_pa(uint64_t v) { return pa_to_hva(pa(v)); }

static struct desc *desc_of(struct hostdev *d) { return at_pa(d->ring[0]); }

static volatile uint16_t *avail_of(struct hostdev *d) { return at_pa(d->ring[1]); }

static volatile uint16_t *used_of(struct hostdev *d) { return at_pa(d->ring[2]); }

void hostdev_put_used(struct hostdev *d, uint32_t head, uint32_t len)
{
    volatile uint16_t *used = used_of(d);
    uint32_t entry[2] = {head, len};
    memcpy((char *)used + 4 + 8 * (d->used_idx % d->queue_num), entry, 8);
    used[1] = ++d->used_idx;
    d->isr |= 1;
}

struct request {
    uint32_t type, reserved;
    uint64_t sector;
};

static void serve_block(struct hostdev *d, uint16_t head)
{
    struct desc *t = desc_of(d), *p = &t[head];
    struct request r;
    assert_int_equal(p->len, 16);
    assert_false(p->flags & 2);
    memcpy(&r, at_pa(p->addr), sizeof(r));
    uint64_t pos = r.sector * 512;
    unsigned segments = 0;
    uint32_t written = 1;
    while (p->flags & 1) {
        p = &t[p->next];
        if (!(p->flags & 1))
            break; /* the status */
        segments++;
        if (r.type == 0) {
            assert_true(p->flags & 2);
            memcpy(at_pa(p->addr), d->disk + pos, p->len);
            written += p->len;
            pos += p->len;
        } else if (r.type == 1) {
            assert_false(p->flags & 2);
            memcpy(d->disk + pos, at_pa(p->addr), p->len);
            pos += p->len;
        } else if (r.type == 8) {
            memcpy(at_pa(p->addr), "serial-number-12345678", p->len);
        } else {
            struct {
                uint64_t sector;
                uint32_t sectors, flags;
            } range;
            assert_int_equal(p->len, 16);
            memcpy(&range, at_pa(p->addr), 16);
            d->last_flags = range.flags;
            d->last_discard_sectors = range.sectors;
            if (r.type == 13)
                memset(d->disk + range.sector * 512, 0, range.sectors * 512);
        }
    }
    if (segments > d->most_segments)
        d->most_segments = segments;
    assert_true(p->flags & 2);
    assert_int_equal(p->len, 1);
    if (d->answer != 0xFE)
        *(uint8_t *)at_pa(p->addr) = d->answer;
    hostdev_put_used(d, head, written);
}

static void serve(struct hostdev *d, uint16_t head)
{
    if (d->id == VIRTIO_ID_BLOCK) {
        serve_block(d, head);
        return;
    }
    struct desc *t = &desc_of(d)[head];
    assert_true(t->flags == 2);
    memset(at_pa(t->addr), 0xA5, t->len);
    hostdev_put_used(d, head, t->len);
}

static void take_offers(struct hostdev *d)
{
    volatile uint16_t *avail = avail_of(d);
    for (; d->avail_seen != avail[1]; d->avail_seen++)
        d->pending[d->pending_count++] = avail[2 + d->avail_seen % d->queue_num];
    used_of(d)[2 + 4 * d->queue_num] = d->avail_seen; /* avail_event */
}

bool hostdev_wants_interrupt(struct hostdev *d, uint16_t old)
{
    uint16_t event = avail_of(d)[2 + d->queue_num];
    return (uint16_t)(d->used_idx - event - 1) < (uint16_t)(d->used_idx - old);
}

void hostdev_complete(struct hostdev *d, unsigned n)
{
    assert_true(n < d->pending_count);
    uint16_t head = d->pending[n];
    d->pending_count--;
    memmove(&d->pending[n], &d->pending[n + 1], (d->pending_count - n) * sizeof(d->pending[0]));
    serve(d, head);
}

void hostdev_interrupt(struct hostdev *d)
{
    assert_non_null(d->handler);
    d->handler(d->arg);
    assert_int_equal(d->isr, 0); /* acknowledged */
}

void hostdev_finish(struct hostdev *d)
{
    while (d->pending_count > 0) {
        hostdev_complete(d, 0);
        hostdev_interrupt(d);
    }
}

static struct hostdev *device_at(const volatile void *p, unsigned *reg)
{
    uintptr_t off = (uintptr_t)p - (uintptr_t)window;
    assert_true(off < sizeof(window));
    *reg = off % 4096;
    return &hostdevs[off / 4096];
}

static uint64_t on_read(const volatile void *p, unsigned width)
{
    unsigned reg;
    struct hostdev *d = device_at(p, &reg);
    uint32_t v = 0;
    if (reg >= 0x100) {
        memcpy(&v, d->config + reg - 0x100, width);
        return v;
    }
    switch (reg) {
    case 0x000:
        return 0x74726976;
    case 0x004:
        return d->version;
    case 0x008:
        return d->id;
    case 0x010:
        return (uint32_t)(d->offered >> (d->device_sel ? 32 : 0));
    case 0x034:
        return d->queue_max;
    case 0x060:
        return d->isr;
    case 0x070:
        return d->status;
    case 0x0FC:
        return d->generation;
    default:
        fail_msg("read of register %x", reg);
        return 0;
    }
}

static void on_write(volatile void *p, uint64_t v, unsigned width)
{
    unsigned reg;
    struct hostdev *d = device_at(p, &reg);
    assert_int_equal(width, 4);
    if ((reg & ~0x14u) >= 0x80 && reg < 0xA8) {
        uint64_t *ring = &d->ring[(reg - 0x80) / 0x10];
        assert_int_equal(d->version, 2);
        *ring = reg & 4 ? (*ring & UINT32_MAX) | v << 32 : (*ring & ~(uint64_t)UINT32_MAX) | v;
        return;
    }
    switch (reg) {
    case 0x014:
        d->device_sel = (uint32_t)v;
        break;
    case 0x020:
        d->accepted |= v << (d->driver_sel ? 32 : 0);
        break;
    case 0x024:
        d->driver_sel = (uint32_t)v;
        break;
    case 0x028:
        assert_int_equal(v, 4096);
        break;
    case 0x030:
        assert_int_equal(v, 0);
        break;
    case 0x038:
        d->queue_num = (uint32_t)v;
        break;
    case 0x03C:
        d->align = (uint32_t)v;
        break;
    case 0x040:
        assert_int_equal(d->version, 1);
        d->ring[0] = v << 12;
        d->ring[1] = d->ring[0] + 16 * d->queue_num;
        d->ring[2] = align_up(d->ring[1] + 2 * (3 + d->queue_num), d->align);
        break;
    case 0x044:
        d->ready = (uint32_t)v;
        break;
    case 0x050:
        d->kicks++;
        take_offers(d);
        while (!d->held && d->pending_count)
            hostdev_complete(d, 0);
        break;
    case 0x064:
        d->isr &= ~(uint32_t)v;
        break;
    case 0x070:
        d->status = (uint32_t)v;
        if (v == 0)
            d->accepted = 0;
        if (d->refuse_features)
            d->status &= ~8u;
        break;
    default:
        fail_msg("write of register %x", reg);
    }
}

void *hostmap_device(pa_t base, uint64_t size)
{
    assert_true(size <= 4096);
    return window[base.v / 4096];
}

int host_irq_register(uint32_t irq, void (*fn)(void *arg), void *arg)
{
    if (irq == 0)
        return -EINVAL;
    hostdevs[irq - 1].handler = fn;
    hostdevs[irq - 1].arg = arg;
    return 0;
}

/* The drivers' thread: runs when it is woken, until it blocks. */
static struct thread thread;
static jmp_buf blocked;

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
    (void)name;
    thread.fn = fn;
    thread.arg = arg;
    return &thread;
}

void thread_wake(struct thread *t)
{
    assert_int_equal(fake_highest_lock(), 0);
    if (!setjmp(blocked))
        t->fn(t->arg);
}

void thread_block(void) { longjmp(blocked, 1); }

void thread_yield(void) {}

void sched_point(void)
{
    assert_int_equal(fake_highest_lock(), 0);
    hostdev_sched_points++;
}

void hostdev_config32(struct hostdev *d, unsigned at, uint32_t v) { memcpy(d->config + at, &v, 4); }

struct hostdev *hostdev_disk(void)
{
    struct hostdev *d = &hostdevs[hostdev_count++];
    d->version = 2;
    d->id = VIRTIO_ID_BLOCK;
    d->queue_max = 256;
    d->offered = F_ALL | F_V1 | F_EVENT_IDX | 1ull << 28; /* and one that the driver must leave */
    hostdev_config32(d, 0, HOSTDEV_SECTORS);
    hostdev_config32(d, 12, 126);
    hostdev_config32(d, 20, 4096);
    hostdev_config32(d, 36, 64);
    hostdev_config32(d, 48, 100);
    d->config[56] = 1;
    for (unsigned i = 0; i < sizeof(d->disk); i++)
        d->disk[i] = (uint8_t)(i / 512 + i);
    return d;
}

void hostdev_attach(struct hostdev *d)
{
    struct platform p = {.virtio_count = 1};
    p.virtio[0].regs = (struct platform_range){(uint64_t)(d - hostdevs) * 4096, 4096};
    p.virtio[0].irq = (uint32_t)(d - hostdevs) + 1;
    virtio_host_init(&p);
}

void hostdev_start(void)
{
    fake_mem_start(MIB(64));
    fake_mmio_read = on_read;
    fake_mmio_write = on_write;
}

void hostdev_run_timer(void)
{
    assert_non_null(fake_timer);
    fake_time = fake_timer->when;
    fake_timer_run();
}
