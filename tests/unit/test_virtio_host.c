// SPDX-License-Identifier: BSD-2-Clause
// units: hyp/drv/virtio_host.c hyp/drv/virtio_serial_host.c hyp/drv/virtio_blk_host.c hyp/drv/virtio_rng_host.c hyp/drv/virtio_net_host.c hyp/base/log.c hyp/base/fmt.c hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c hyp/mem/heap.c tests/fake/fake_base.c tests/fake/fake_mem.c
// The drivers of the host's virtio devices against a device of the test's own, which completes requests
// in the order, with the status and with the mistakes that the test wants.
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "base/spinlock.h"
#include "drv/drv.h"
#include "drv/virtio_host.h"
#include "fake_mem.h"
#include "mem/frame.h"
#include "mem/hostmap.h"
#include "sched/thread.h"
#include "sched/timer.h"

unsigned fake_highest_lock(void);

/* --- the device --- */

enum { WINDOWS = 16, DISK_SECTORS = 256, PENDING = 256 };
struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

struct device {
    uint32_t version, id, queue_max, status, isr, generation;
    uint64_t offered, accepted;
    uint32_t driver_sel, device_sel, queue_num, align, ready;
    uint64_t ring[3];
    uint8_t config[64];
    uint16_t avail_seen, used_idx;
    uint16_t pending[PENDING];
    unsigned pending_count, kicks, most_segments;
    bool held; /* requests wait for the test */
    bool refuse_features;
    uint8_t answer; /* status of requests; 0xFE: leave it as it is */
    void (*handler)(void *arg);
    void *arg;
    uint8_t disk[DISK_SECTORS * 512];
};
static struct device device[WINDOWS];
static char window[WINDOWS][4096] __attribute__((aligned(4096)));
static unsigned devices;
static uint32_t last_flags, last_discard_sectors;

static void *at_pa(uint64_t v) { return pa_to_hva(pa(v)); }
static struct desc *desc_of(struct device *d) { return at_pa(d->ring[0]); }
static volatile uint16_t *avail_of(struct device *d) { return at_pa(d->ring[1]); }
static volatile uint16_t *used_of(struct device *d) { return at_pa(d->ring[2]); }

static void put_used(struct device *d, uint32_t head, uint32_t len)
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

static void serve_block(struct device *d, uint16_t head)
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
            last_flags = range.flags;
            last_discard_sectors = range.sectors;
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
    put_used(d, head, written);
}

static void serve(struct device *d, uint16_t head)
{
    if (d->id == VIRTIO_ID_BLOCK) {
        serve_block(d, head);
        return;
    }
    struct desc *t = &desc_of(d)[head];
    assert_true(t->flags == 2);
    memset(at_pa(t->addr), 0xA5, t->len);
    put_used(d, head, t->len);
}

static void take_offers(struct device *d)
{
    volatile uint16_t *avail = avail_of(d);
    for (; d->avail_seen != avail[1]; d->avail_seen++)
        d->pending[d->pending_count++] = avail[2 + d->avail_seen % d->queue_num];
    used_of(d)[2 + 4 * d->queue_num] = d->avail_seen; /* avail_event */
}

/* By used_event: whether the device has to interrupt for what it has used since `old`. */
static bool wants_interrupt(struct device *d, uint16_t old)
{
    uint16_t event = avail_of(d)[2 + d->queue_num];
    return (uint16_t)(d->used_idx - event - 1) < (uint16_t)(d->used_idx - old);
}

/* Completes the nth request that waits, and interrupts. */
static void complete_nth(struct device *d, unsigned n)
{
    assert_true(n < d->pending_count);
    uint16_t head = d->pending[n];
    d->pending_count--;
    memmove(&d->pending[n], &d->pending[n + 1], (d->pending_count - n) * sizeof(d->pending[0]));
    serve(d, head);
}

static void interrupt(struct device *d)
{
    assert_non_null(d->handler);
    d->handler(d->arg);
    assert_int_equal(d->isr, 0); /* acknowledged */
}

static void finish_all(struct device *d)
{
    while (d->pending_count > 0) {
        complete_nth(d, 0);
        interrupt(d);
    }
}

static struct device *device_at(const volatile void *p, unsigned *reg)
{
    uintptr_t off = (uintptr_t)p - (uintptr_t)window;
    assert_true(off < sizeof(window));
    *reg = off % 4096;
    return &device[off / 4096];
}

static uint64_t on_read(const volatile void *p, unsigned width)
{
    unsigned reg;
    struct device *d = device_at(p, &reg);
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
    struct device *d = device_at(p, &reg);
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
            complete_nth(d, 0);
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

/* --- what the drivers use --- */

void *hostmap_device(pa_t base, uint64_t size)
{
    assert_true(size <= 4096);
    return window[base.v / 4096];
}

int host_irq_register(uint32_t irq, void (*fn)(void *arg), void *arg)
{
    if (irq == 0)
        return -EINVAL;
    device[irq - 1].handler = fn;
    device[irq - 1].arg = arg;
    return 0;
}

/* The drivers' thread: runs when it is woken, until it blocks. */
static struct thread thread;
static jmp_buf blocked;
static unsigned sched_points;
static bool no_thread;

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
    (void)name;
    thread.fn = fn;
    thread.arg = arg;
    return no_thread ? NULL : &thread;
}

void thread_wake(struct thread *t)
{
    assert_int_equal(fake_highest_lock(), 0);
    if (!setjmp(blocked))
        t->fn(t->arg);
}

uint64_t timer_hz = 1000000;
static struct timer *timer;
static uint64_t timer_when;

void timer_init(struct timer *t, void (*fn)(struct timer *t)) { t->fn = fn; }

void timer_set(struct timer *t, uint64_t when)
{
    timer = t;
    timer_when = when;
}

static void run_timer(void)
{
    struct timer *t = timer;
    assert_non_null(t);
    timer = NULL;
    t->fn(t);
}

void thread_block(void) { longjmp(blocked, 1); }
void thread_yield(void) {}

void sched_point(void)
{
    assert_int_equal(fake_highest_lock(), 0);
    sched_points++;
}

/* --- helpers --- */

static void config32(struct device *d, unsigned at, uint32_t v) { memcpy(d->config + at, &v, 4); }

enum { F_ALL = 1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14 };
#define F_V1 (1ull << 32)
#define F_EVENT_IDX (1ull << 29)

static struct device *new_disk(void)
{
    struct device *d = &device[devices++];
    d->version = 2;
    d->id = VIRTIO_ID_BLOCK;
    d->queue_max = 256;
    d->offered = F_ALL | F_V1 | F_EVENT_IDX | 1ull << 28; /* and one that the driver must leave */
    config32(d, 0, DISK_SECTORS);
    config32(d, 12, 126);
    config32(d, 20, 4096);
    config32(d, 36, 64);
    config32(d, 48, 100);
    d->config[56] = 1;
    for (unsigned i = 0; i < sizeof(d->disk); i++)
        d->disk[i] = (uint8_t)(i / 512 + i);
    return d;
}

static void attach(struct device *d)
{
    struct platform p = {.virtio_count = 1};
    p.virtio[0].regs = (struct platform_range){(uint64_t)(d - device) * 4096, 4096};
    p.virtio[0].irq = (uint32_t)(d - device) + 1;
    virtio_host_init(&p);
}

static unsigned done_count, ready_count;

static void on_done(struct blk_request *r)
{
    assert_int_equal(fake_highest_lock(), 0);
    r->owner = r; /* marks it done */
    done_count++;
}

static void on_ready(void *dev)
{
    (void)dev;
    assert_int_equal(fake_highest_lock(), 0);
    ready_count++;
}

static struct blk_request request(enum blk_op op, uint64_t sector, uint64_t sectors,
                                  struct blk_segment *seg, unsigned count)
{
    return (struct blk_request){.op = op,
                                .sector = sector,
                                .sectors = sectors,
                                .seg = seg,
                                .seg_count = count,
                                .done = on_done,
                                .result = 77};
}

static int run(struct device *d, struct blk_backend *b, struct blk_request *r)
{
    assert_int_equal(b->submit(b->ctx, r), 0);
    if (d->used_idx && !r->owner)
        interrupt(d);
    assert_ptr_equal(r->owner, r);
    return r->result;
}

static struct device *disk; /* the one most tests use */
static struct blk_backend *backend;
static char *page;

static int set_up(void **state)
{
    (void)state;
    fake_mem_start(MIB(64));
    fake_mmio_read = on_read;
    fake_mmio_write = on_write;
    page = frame_alloc_page();
    disk = new_disk();
    attach(disk);
    assert_int_equal(host_disk_count(), 1);
    backend = host_disk_open(0, false);
    assert_non_null(backend);
    backend->ready = on_ready;
    return 0;
}

/* --- tests --- */

static void test_facts(void **state)
{
    (void)state;
    assert_int_equal(disk->accepted, F_ALL | F_V1 | F_EVENT_IDX);
    assert_int_equal(disk->status, 1 | 2 | 4 | 8);
    assert_int_equal(disk->ready, 1);
    assert_int_equal(disk->queue_num, 256);
    assert_int_equal(backend->sectors, DISK_SECTORS);
    assert_int_equal(backend->block_size, 4096);
    assert_true(backend->can_flush && backend->can_discard && backend->can_write_zeroes);
    assert_false(backend->read_only);
    assert_string_equal(backend->serial, "serial-number-123456"); /* 20 bytes, ended */
    assert_int_equal(disk->isr, 0);
}

static void test_read_write(void **state)
{
    (void)state;
    struct blk_segment seg[3] = {{page, 512}, {page + 1024, 1000}, {page + 3000, 24}};
    struct blk_request r = request(BLK_READ, 5, 3, seg, 3);
    assert_int_equal(run(disk, backend, &r), 0);
    assert_memory_equal(page, disk->disk + 5 * 512, 512);
    assert_memory_equal(page + 1024, disk->disk + 6 * 512, 1000);
    assert_memory_equal(page + 3000, disk->disk + 6 * 512 + 1000, 24);

    memset(page, 0xEE, 4096);
    r = request(BLK_WRITE, 255, 1, seg, 1);
    assert_int_equal(run(disk, backend, &r), 0);
    assert_memory_equal(disk->disk + 255 * 512, page, 512);
    assert_int_not_equal(disk->disk[255 * 512 - 1], 0xEE);

    r = request(BLK_FLUSH, 0, 0, NULL, 0);
    assert_int_equal(run(disk, backend, &r), 0);
}

static void test_zeroes_and_discard(void **state)
{
    (void)state;
    struct blk_request r = request(BLK_WRITE_ZEROES, 10, 3, NULL, 0);
    assert_int_equal(run(disk, backend, &r), 0);
    assert_int_equal(last_flags, 0);
    for (unsigned i = 0; i < 3 * 512; i++)
        assert_int_equal(disk->disk[10 * 512 + i], 0);
    assert_int_not_equal(disk->disk[13 * 512 + 1], 0);
    r.unmap = true;
    r.owner = NULL;
    assert_int_equal(run(disk, backend, &r), 0);
    assert_int_equal(last_flags, 1);

    /* 150 sectors, 64 at a time */
    unsigned kicks = disk->kicks;
    disk->held = true;
    r = request(BLK_DISCARD, 0, 150, NULL, 0);
    assert_int_equal(backend->submit(backend->ctx, &r), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_null(r.owner);
        complete_nth(disk, 0);
        interrupt(disk);
    }
    disk->held = false;
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, 0);
    assert_int_equal(disk->kicks, kicks + 3);
    assert_int_equal(last_discard_sectors, 150 - 128);
    assert_int_equal(last_flags, 0);
}

static void expect(struct blk_request r, int result)
{
    unsigned kicks = disk->kicks;
    assert_int_equal(backend->submit(backend->ctx, &r), 0);
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, result);
    assert_int_equal(disk->kicks, kicks); /* the device heard nothing of it */
}

static void test_bad_requests(void **state)
{
    (void)state;
    struct blk_segment seg[3] = {{page, 512}, {page, 512}, {page, 0}};
    expect(request(BLK_READ, 255, 2, seg, 2), -EIO);
    expect(request(BLK_READ, 256, 1, seg, 1), -EIO);
    expect(request(BLK_READ, UINT64_MAX, 1, seg, 1), -EIO);
    expect(request(BLK_READ, 0, 0, seg, 0), -EIO);
    expect(request(BLK_READ, 0, 2, seg, 1), -EIO); /* less memory than sectors */
    expect(request(BLK_READ, 0, 1, seg, 2), -EIO);
    expect(request(BLK_WRITE, 0, 2, seg, 3), -EIO); /* an empty segment */
    expect(request(BLK_DISCARD, 200, 57, NULL, 0), -EIO);
}

static void test_device_errors(void **state)
{
    (void)state;
    static const struct {
        uint8_t status;
        int result;
    } in[] = {{1, -EIO}, {2, -ENOTSUP}, {3, -EIO}, {0xFF, -EIO}, {0xFE, -EIO}, {0, 0}};
    struct blk_segment seg = {page, 512};
    for (unsigned i = 0; i < 6; i++) {
        struct blk_request r = request(BLK_READ, 0, 1, &seg, 1);
        disk->answer = in[i].status;
        assert_int_equal(run(disk, backend, &r), in[i].result);
    }
    disk->answer = 1; /* the first part fails: the rest is not sent */
    unsigned kicks = disk->kicks;
    struct blk_request r = request(BLK_DISCARD, 0, 150, NULL, 0);
    assert_int_equal(run(disk, backend, &r), -EIO);
    assert_int_equal(disk->kicks, kicks + 1);
    disk->answer = 0;
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
    disk->held = true;
    for (unsigned i = 0; i < N; i++) {
        seg[i] = (struct blk_segment){memory + 512 * i, 512};
        r[i] = request(BLK_READ, i * 3, 1, &seg[i], 1);
        assert_int_equal(backend->submit(backend->ctx, &r[i]), 0);
    }
    assert_int_equal(disk->pending_count, N);
    done_count = 0;
    for (unsigned left = N; left > 0; left--) {
        complete_nth(disk, left * 7 % disk->pending_count);
        if (left % 3 == 0) {
            interrupt(disk);
            assert_int_equal(done_count, N - left + 1);
        }
    }
    interrupt(disk);
    assert_int_equal(done_count, N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(r[i].result, 0);
        assert_memory_equal(memory + 512 * i, disk->disk + i * 3 * 512, 512);
    }
    disk->held = false;
    frame_put(p);
}

/* Requests of one page's first sector, all offered before the device is told. */
static void submit_together(struct blk_backend *b, struct blk_request *r, struct blk_segment *seg,
                            unsigned n)
{
    unsigned kicks = disk->kicks;
    for (unsigned i = 0; i < n; i++) {
        r[i] = request(BLK_READ, i, 1, seg, 1);
        r[i].more = true;
        assert_int_equal(b->submit(b->ctx, &r[i]), 0);
    }
    assert_int_equal(disk->kicks, kicks);
    b->commit(b->ctx);
    assert_int_equal(disk->kicks, kicks + 1);
    b->commit(b->ctx); /* there is nothing to tell */
    assert_int_equal(disk->kicks, kicks + 1);
}

/* Completes one request; whether the device has to interrupt then. */
static bool completes_with_interrupt(struct device *d)
{
    uint16_t old = d->used_idx;
    complete_nth(d, 0);
    return wants_interrupt(d, old);
}

static void test_coalesced(void **state)
{
    (void)state;
    enum { N = 8 };
    struct blk_segment seg = {page, 512};
    struct blk_request r[N + 2];
    disk->held = true;
    done_count = 0;
    submit_together(backend, r, &seg, N);
    for (unsigned i = 1; i <= 5; i++)
        assert_false(completes_with_interrupt(disk));
    assert_int_equal(done_count, 0);
    assert_true(completes_with_interrupt(disk)); /* three quarters */
    interrupt(disk);
    assert_int_equal(done_count, 6);
    for (unsigned i = 7; i <= N; i++) { /* few are left: each, and the last in any case */
        assert_true(completes_with_interrupt(disk));
        interrupt(disk);
        assert_int_equal(done_count, i);
    }

    /* Those that ended while others take long: by the timer. */
    done_count = 0;
    submit_together(backend, r, &seg, N);
    for (unsigned i = 1; i <= 3; i++)
        assert_false(completes_with_interrupt(disk));
    run_timer();
    assert_int_equal(done_count, 3);

    /* All of them, and more than what the next submission would wait for. */
    for (unsigned i = 4; i <= N; i++)
        complete_nth(disk, 0);
    r[N] = request(BLK_READ, 0, 1, &seg, 1);
    assert_int_equal(backend->submit(backend->ctx, &r[N]), 0);
    assert_int_equal(done_count, N);

    /* A flush is waited for by nobody else. */
    r[N + 1] = request(BLK_FLUSH, 0, 0, NULL, 0);
    assert_int_equal(backend->submit(backend->ctx, &r[N + 1]), 0);
    assert_true(completes_with_interrupt(disk));
    interrupt(disk);
    assert_true(completes_with_interrupt(disk));
    interrupt(disk);
    assert_int_equal(done_count, N + 2);
    if (timer)
        run_timer();
    disk->held = false;
}

/* One request beside many of another's: it is not made to wait. Indices wrap. */
static void test_coalesced_beside(void **state)
{
    (void)state;
    enum { N = 12 };
    struct blk_segment seg = {page, 512};
    struct blk_request r[N], single;
    backend->close(backend->ctx);
    backend = host_disk_open(0, true);
    struct blk_backend *other = host_disk_open(0, true);
    assert_true(backend && other);
    disk->held = true;
    for (unsigned round = 0; round < 65536 / N + 3; round++) {
        uint16_t old = disk->used_idx;
        done_count = 0;
        submit_together(backend, r, &seg, N);
        single = request(BLK_READ, 0, 1, &seg, 1);
        assert_int_equal(other->submit(other->ctx, &single), 0);
        complete_nth(disk, N);
        assert_true(wants_interrupt(disk, old));
        interrupt(disk);
        assert_ptr_equal(single.owner, &single);
        assert_int_equal(done_count, 1);
        for (unsigned i = 1; i <= N; i++)
            if (completes_with_interrupt(disk))
                interrupt(disk);
        assert_int_equal(done_count, N + 1);
    }
    disk->held = false;
    other->close(other->ctx);
    backend->close(backend->ctx);
    backend = host_disk_open(0, false);
    assert_non_null(backend);
    backend->ready = on_ready;
    if (timer)
        run_timer();
}

/* One that is offered before another one commits, and committed after it, is not made to wait for that one's. */
static void test_coalesced_across(void **state)
{
    (void)state;
    enum { N = 12 };
    struct blk_segment seg = {page, 512};
    struct blk_request r[N], single = request(BLK_READ, 0, 1, &seg, 1);
    uint16_t old = disk->used_idx;
    backend->close(backend->ctx);
    backend = host_disk_open(0, true);
    struct blk_backend *other = host_disk_open(0, true);
    assert_true(backend && other);
    disk->held = true;
    done_count = 0;
    single.more = true;
    assert_int_equal(other->submit(other->ctx, &single), 0);
    submit_together(backend, r, &seg, N);
    other->commit(other->ctx);
    complete_nth(disk, 0);
    assert_true(wants_interrupt(disk, old));
    interrupt(disk);
    assert_int_equal(done_count, 1);
    finish_all(disk);
    assert_int_equal(done_count, N + 1);
    disk->held = false;
    other->close(other->ctx);
    backend->close(backend->ctx);
    backend = host_disk_open(0, false);
    assert_non_null(backend);
    backend->ready = on_ready;
    if (timer)
        run_timer();
}

static unsigned again;
static void on_done_again(struct blk_request *r)
{
    on_done(r);
    if (!again--)
        return;
    r->owner = NULL;
    assert_int_equal(backend->submit(backend->ctx, r), 0);
}

/* Who asks for more at each end, and gets it at once, keeps nobody from a hart. */
static void test_without_end(void **state)
{
    (void)state;
    struct blk_segment seg = {page, 512};
    struct blk_request r = request(BLK_READ, 0, 1, &seg, 1);
    r.done = on_done_again;
    again = 1000;
    sched_points = 0;
    assert_int_equal(backend->submit(backend->ctx, &r), 0);
    disk->handler(disk->arg);
    assert_int_equal(again, UINT_MAX);
    assert_true(sched_points >= 100);
}

/* Fills the queue by slots, then by descriptors; ready comes once, when there is room, and nothing is lost. */
static void test_full(void **state)
{
    (void)state;
    static struct blk_segment seg[126];
    static struct blk_request r[200];
    for (unsigned i = 0; i < 126; i++)
        seg[i] = (struct blk_segment){page, 512};
    for (unsigned round = 0; round < 2; round++) {
        unsigned segments = round ? 60 : 1, n = 0;
        disk->held = true;
        ready_count = done_count = 0;
        do
            r[n] = request(BLK_WRITE, 0, segments, seg, segments);
        while (backend->submit(backend->ctx, &r[n++]) == 0 && n < 200);
        n--;
        assert_int_equal(n, round ? 4 : 64); /* 4 * 62 of 256 descriptors; 64 slots */
        assert_int_equal(r[n].result, 77);
        assert_int_equal(backend->submit(backend->ctx, &r[n]), -EAGAIN);
        assert_int_equal(ready_count, 0);
        complete_nth(disk, 0);
        interrupt(disk);
        assert_int_equal(ready_count, 1);
        assert_int_equal(done_count, 1);
        assert_int_equal(backend->submit(backend->ctx, &r[n]), 0);
        finish_all(disk);
        assert_int_equal(done_count, n + 1);
        assert_int_equal(ready_count, 1); /* nobody was turned away since */
        disk->held = false;
    }
}

/* Another disk, whose device takes few segments and whose queue is small. */
static void test_parts(void **state)
{
    (void)state;
    struct device *d = new_disk();
    config32(d, 12, 6);
    d->queue_max = 20; /* the driver must use 16 */
    attach(d);
    assert_int_equal(d->queue_num, 16);
    struct blk_backend *b = host_disk_open(host_disk_count() - 1, false);
    assert_non_null(b);

    /* Pieces of 128 bytes: parts must end on a sector, after 4 of them. */
    static struct blk_segment seg[40];
    for (unsigned i = 0; i < 40; i++)
        seg[i] = (struct blk_segment){page + 100 * (i % 8), 128};
    struct blk_request r = request(BLK_WRITE, 7, 10, seg, 40);
    d->most_segments = 0;
    d->held = true;
    assert_int_equal(b->submit(b->ctx, &r), 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_null(r.owner);
        complete_nth(d, 0);
        interrupt(d);
    }
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, 0);
    assert_int_equal(d->most_segments, 4);
    for (unsigned i = 0; i < 40; i++)
        assert_memory_equal(d->disk + 7 * 512 + 128 * i, page + 100 * (i % 8), i % 8 ? 100 : 128);

    /* No sector ends within 6 pieces. */
    for (unsigned i = 0; i < 40; i++)
        seg[i].len = 64;
    r = request(BLK_WRITE, 0, 5, seg, 40);
    assert_int_equal(b->submit(b->ctx, &r), 0);
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, -EIO);

    /* A second part that needs more than the first, in a queue that others have filled: it waits. */
    static struct blk_segment big[] = {{NULL, 512}, {NULL, 100}, {NULL, 100}, {NULL, 100},
                                       {NULL, 100}, {NULL, 100}, {NULL, 12}};
    for (unsigned i = 0; i < 7; i++)
        big[i].hva = page;
    r = request(BLK_READ, 0, 2, big, 7);
    struct blk_segment one = {page, 512};
    struct blk_request other[4];
    assert_int_equal(b->submit(b->ctx, &r), 0); /* 3 of 16 */
    for (unsigned i = 0; i < 4; i++) {
        other[i] = request(BLK_READ, 0, 1, &one, 1);
        assert_int_equal(b->submit(b->ctx, &other[i]), 0); /* 15 of 16 */
    }
    complete_nth(d, 0);
    interrupt(d);
    assert_null(r.owner);
    assert_int_equal(d->pending_count, 4); /* needs 8, free 4 */
    complete_nth(d, 0);
    interrupt(d);
    complete_nth(d, 0);
    interrupt(d);
    assert_int_equal(d->pending_count, 3); /* now it is there */
    finish_all(d);
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(other[i].result, 0);
    b->close(b->ctx);
}

static void test_bad_device(void **state)
{
    (void)state;
    struct blk_segment seg = {page, 512};
    struct blk_request r = request(BLK_READ, 0, 1, &seg, 1);
    disk->held = true;
    done_count = 0;
    assert_int_equal(backend->submit(backend->ctx, &r), 0);
    uint16_t real = disk->pending[0];
    put_used(disk, (real + 1u) % 256, 0); /* not in flight */
    put_used(disk, 256, 0);
    put_used(disk, UINT32_MAX, 0);
    interrupt(disk);
    assert_int_equal(done_count, 0);
    complete_nth(disk, 0);
    interrupt(disk);
    assert_int_equal(done_count, 1);
    put_used(disk, real, 0); /* twice */
    interrupt(disk);
    assert_int_equal(done_count, 1);
    disk->held = false;
    r = request(BLK_READ, 0, 1, &seg, 1);
    assert_int_equal(run(disk, backend, &r), 0);
}

static void test_open_exclusive(void **state)
{
    (void)state;
    assert_null(host_disk_open(0, false));
    assert_null(host_disk_open(0, true));
    assert_null(host_disk_open(host_disk_count(), true));
    backend->close(backend->ctx);
    struct blk_backend *a = host_disk_open(0, true), *b = host_disk_open(0, true);
    assert_true(a && b && a->read_only && b->read_only);
    assert_null(host_disk_open(0, false));
    struct blk_segment seg = {page, 512};
    struct blk_request r = request(BLK_WRITE, 0, 1, &seg, 1);
    assert_int_equal(a->submit(a->ctx, &r), 0);
    assert_int_equal(r.result, -EACCES);
    r = request(BLK_READ, 0, 1, &seg, 1);
    assert_int_equal(run(disk, b, &r), 0);
    a->close(a->ctx);
    assert_null(host_disk_open(0, false));
    b->close(b->ctx);
    backend = host_disk_open(0, false);
    assert_non_null(backend);
    backend->ready = on_ready;
}

/* Ranges of one disk: each is a disk of its own, and nobody gets what another one may write. */
static void test_ranges(void **state)
{
    (void)state;
    assert_int_equal(host_disk_sectors(0), DISK_SECTORS);
    backend->close(backend->ctx);
    struct blk_backend *a = host_disk_open_range(0, 16, 16, HOST_DISK_WRITE),
                       *b = host_disk_open_range(0, 32, 16, HOST_DISK_READ);
    assert_true(a && b && a->sectors == 16 && !a->read_only && b->read_only);
    assert_null(host_disk_open_range(0, 31, 2, HOST_DISK_READ));
    assert_null(host_disk_open_range(0, 47, 1, HOST_DISK_WRITE));
    assert_null(host_disk_open_range(0, DISK_SECTORS, 1, HOST_DISK_READ));
    assert_null(host_disk_open_range(0, 1, UINT64_MAX, HOST_DISK_READ));
    assert_null(host_disk_open(0, true));
    struct blk_backend *c = host_disk_open_range(0, 40, 8, HOST_DISK_READ),
                       *look = host_disk_open_range(0, 0, DISK_SECTORS, HOST_DISK_LOOK);
    assert_true(c && look && look->read_only);
    c->close(c->ctx);

    struct blk_segment seg = {page, 512};
    memset(page, 0x5a, 512);
    struct blk_request r = request(BLK_WRITE, 3, 1, &seg, 1);
    assert_int_equal(run(disk, a, &r), 0);
    r = request(BLK_READ, 19, 1, &seg, 1);
    memset(page, 0, 512);
    assert_int_equal(run(disk, look, &r), 0);
    assert_int_equal(page[511], 0x5a);
    r = request(BLK_READ, 16, 1, &seg, 1);
    assert_int_equal(a->submit(a->ctx, &r), 0);
    assert_int_equal(r.result, -EIO);
    r = request(BLK_WRITE, 0, 1, &seg, 1);
    assert_int_equal(look->submit(look->ctx, &r), 0);
    assert_int_equal(r.result, -EACCES);
    a->close(a->ctx);
    b->close(b->ctx);
    backend = host_disk_open(0, false);
    assert_non_null(backend); /* beside one that looks */
    look->close(look->ctx);
    backend->ready = on_ready;
}

/* close takes what the device has already finished, though the interrupt has not come. */
static void test_close_with_requests(void **state)
{
    (void)state;
    struct blk_segment seg = {page, 512};
    struct blk_request r = request(BLK_READ, 0, 1, &seg, 1);
    assert_int_equal(backend->submit(backend->ctx, &r), 0);
    assert_null(r.owner);
    backend->close(backend->ctx);
    assert_ptr_equal(r.owner, &r);
    backend = host_disk_open(0, false);
    assert_non_null(backend);
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
        g->seg[i] = (struct blk_segment){page, 512};
    for (unsigned i = 0; i < requests; i++) {
        g->r[i] = request(BLK_WRITE, 0, segments, g->seg, segments);
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
    backend->close(backend->ctx);
    for (unsigned row = 0; row < ARRAY_LEN(rows); row++) {
        disk->held = true;
        greedy_start(&greedy, 8, rows[row].segments[0]);
        greedy_start(&modest, 8, rows[row].segments[1]);
        if (rows[row].polls)
            modest.b->ready = NULL;
        for (unsigned i = 0; i < 64; i++) {
            complete_nth(disk, 0);
            interrupt(disk);
            if (rows[row].polls)
                submit_all(&modest);
        }
        assert_in_range(modest.done, 8, 56);
        assert_in_range(greedy.done, 8, 56);
        for (unsigned i = 0; i < 8; i++) { /* no more from here on */
            greedy.r[i].done = on_done;
            modest.r[i].done = on_done;
        }
        greedy.idle_count = modest.idle_count = 0;
        finish_all(disk);
        greedy_end(&greedy);
        greedy_end(&modest);
        disk->held = false;
    }
    backend = host_disk_open(0, false);
    assert_non_null(backend);
    backend->ready = on_ready;
}

/* A serial number that comes when nobody waits for it any more ends no request, and gives its slot back. */
static void test_late_serial(void **state)
{
    (void)state;
    struct device *d = new_disk();
    d->held = true;
    attach(d);
    struct blk_backend *b = host_disk_open(host_disk_count() - 1, false);
    assert_non_null(b);
    struct blk_segment seg = {page, 512};
    struct blk_request r = request(BLK_READ, 3, 1, &seg, 1);
    memset(page, 0, 512);
    assert_int_equal(b->submit(b->ctx, &r), 0);
    assert_int_equal(d->pending_count, 2);
    complete_nth(d, 0);
    interrupt(d);
    assert_null(r.owner);
    complete_nth(d, 0);
    interrupt(d);
    assert_ptr_equal(r.owner, &r);
    assert_int_equal(r.result, 0);
    assert_memory_equal(page, d->disk + 3 * 512, 512);
    b->close(b->ctx);
}

static void test_legacy(void **state)
{
    (void)state;
    struct device *d = new_disk();
    d->version = 1;
    d->offered = 1 << 5 | 1 << 24;
    attach(d);
    assert_int_equal(d->accepted, 1 << 5);
    assert_int_equal(d->status, 1 | 2 | 4);
    struct blk_backend *b = host_disk_open(host_disk_count() - 1, false);
    assert_non_null(b);
    assert_true(b->read_only && !b->can_flush && !b->can_discard && !b->can_write_zeroes);
    assert_int_equal(b->block_size, 512);
    struct blk_segment seg = {page, 1024};
    struct blk_request r = request(BLK_READ, 9, 2, &seg, 1);
    assert_int_equal(run(d, b, &r), 0);
    assert_memory_equal(page, d->disk + 9 * 512, 1024);
    r = request(BLK_FLUSH, 0, 0, NULL, 0);
    assert_int_equal(b->submit(b->ctx, &r), 0);
    assert_int_equal(r.result, -ENOTSUP);
    b->close(b->ctx);
}

/* Devices that cannot be used leave no disk and no memory behind. */
static void test_refused(void **state)
{
    (void)state;
    uint64_t count = host_disk_count(), frames = frame_free_count();
    struct device *d = new_disk();
    d->refuse_features = true;
    attach(d);
    d->refuse_features = false;
    d->queue_max = 0;
    attach(d);
    d->queue_max = 2;
    attach(d);
    d->queue_max = 256;
    d->offered = F_ALL; /* version 2 without VERSION_1 */
    attach(d);
    d->offered |= F_V1;
    d->version = 3;
    attach(d);
    d->version = 2;
    d->id = 0;
    attach(d);
    d->id = 16;
    attach(d);
    d->id = VIRTIO_ID_BLOCK;
    struct platform p = {.virtio_count = 1};
    p.virtio[0].regs = (struct platform_range){(uint64_t)(d - device) * 4096, 4096};
    virtio_host_init(&p); /* no interrupt */
    assert_int_equal(d->status, 0);
    assert_int_equal(host_disk_count(), count);
    assert_true(frame_free_count() + 2 >= frames); /* a page or two that the heap keeps */
}

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
    struct device *d = &device[devices++];
    d->version = 2;
    d->id = VIRTIO_ID_RNG;
    d->queue_max = 8;
    d->offered = F_V1;
    attach(d);
    assert_int_equal(virtio_rng_host_read(b, 32), 32);
    assert_int_equal(b[31], 0xA5);
    assert_int_equal(b[32], 0);
    interrupt(d); /* late: nothing more to take */
    d->held = true;
    virtio_rng_host_request(on_random);
    virtio_rng_host_request(on_random);
    assert_int_equal(d->pending_count, 1);
    assert_int_equal(received_len, 0);
    finish_all(d);
    assert_int_equal(received_len, 64);
    /* A device that never answers does not hang the boot. */
    assert_int_equal(virtio_rng_host_read(b, 32), 0);
}

static void test_many_disks(void **state)
{
    (void)state;
    while (host_disk_count() < 8) {
        unsigned n = host_disk_count();
        attach(new_disk());
        assert_int_equal(host_disk_count(), n + 1);
    }
    attach(new_disk());
    assert_int_equal(host_disk_count(), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_read_write),
        cmocka_unit_test(test_zeroes_and_discard),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_device_errors),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_coalesced),
        cmocka_unit_test(test_coalesced_beside),
        cmocka_unit_test(test_coalesced_across),
        cmocka_unit_test(test_without_end),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_bad_device),
        cmocka_unit_test(test_open_exclusive),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_close_with_requests),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_late_serial),
        cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_rng),
        cmocka_unit_test(test_many_disks),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
