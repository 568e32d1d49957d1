// SPDX-License-Identifier: BSD-2-Clause
#include "fake_vdev.h"
#include "base/arch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/frame.h"
#include "mem/heap.h"

int fake_heap_objects, fake_frames, fake_memory_left = -1;

static bool memory_left(void)
{
    if (fake_memory_left > 0)
        fake_memory_left--;
    else if (!fake_memory_left)
        return false;
    return true;
}

void *heap_alloc(size_t size)
{
    if (!memory_left())
        return NULL;
    fake_heap_objects++;
    return calloc(1, size);
}

void heap_free(void *p)
{
    if (p)
        fake_heap_objects--;
    free(p);
}

void *frame_alloc_page(void)
{
    void *p;

    if (!memory_left())
        return NULL;
    fake_frames++;
    p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    return memset(p, 0, PAGE_SIZE);
}

bool frame_guests_may_have(uint64_t n, bool at_once)
{
    (void)n;
    (void)at_once;
    return true;
}

void frame_free_page(void *page)
{
    fake_frames--;
    free(page);
}

/* ---- interrupt line ---- */

bool fake_irq_level;
unsigned fake_irq_rises;

static void irq_set(void *chip, uint32_t source, bool level)
{
    (void)chip;
    assert_int_equal(source, 5);
    fake_irq_rises += level && !fake_irq_level;
    fake_irq_level = level;
}

struct irq_line fake_irq(void) { return (struct irq_line){.set = irq_set, .source = 5}; }

/* ---- backends ---- */

static size_t chr_write(void *ctx, const char *data, size_t len)
{
    struct fake_chr *c = ctx;
    size_t n = min_u64(len, min_u64(c->out_room, sizeof(c->out) - c->out_len));

    c->writes++;
    memcpy(c->out + c->out_len, data, n);
    c->out_len += n;
    c->out_room -= n;
    return n;
}

static size_t chr_read(void *ctx, char *to, size_t max)
{
    struct fake_chr *c = ctx;
    size_t n = min_u64(max, c->in_len - c->in_at);

    memcpy(to, c->in + c->in_at, n);
    c->in_at += n;
    return n;
}

static void chr_size(void *ctx, uint16_t *columns, uint16_t *rows)
{
    struct fake_chr *c = ctx;

    *columns = c->columns;
    *rows = c->rows;
}

void fake_chr_init(struct fake_chr *c)
{
    memset(c, 0, sizeof(*c));
    c->chr = (struct chr_backend){.write = chr_write, .read = chr_read, .size = chr_size, .ctx = c};
    c->out_room = sizeof(c->out);
    c->columns = 100;
    c->rows = 40;
}

void fake_chr_type(struct fake_chr *c, const char *text, size_t len)
{
    if (c->in_at == c->in_len)
        c->in_at = c->in_len = 0;
    assert_true(c->in_len + len <= sizeof(c->in));
    memcpy(c->in + c->in_len, text, len);
    c->in_len += len;
    c->chr.ready(c->chr.device);
}

__attribute__((weak)) uint64_t timer_hz = 10000000;
struct timer *fake_timer;

__attribute__((weak)) void timer_init(struct timer *t, void (*fn)(struct timer *t)) { t->fn = fn; }

__attribute__((weak)) void timer_set(struct timer *t, uint64_t when)
{
    assert_true(when > fake_time); /* in the past it would run again and again */
    t->when = when;
    fake_timer = t;
}

__attribute__((weak)) void timer_cancel_wait(struct timer *t)
{
    if (fake_timer == t)
        fake_timer = NULL;
}

void fake_timer_run(void)
{
    struct timer *t = fake_timer;

    fake_timer = NULL;
    if (fake_time < t->when)
        fake_time = t->when;
    t->fn(t);
}

static void blk_do(struct fake_blk *b, struct blk_request *r)
{
    uint64_t at = r->sector * 512, total = 0;

    r->result = b->fail;
    b->flushes += r->op == BLK_FLUSH;
    if (r->op != BLK_FLUSH)
        assert_true(range_ok(r->sector, r->sectors, b->blk.sectors) && r->sectors);
    if (b->fail)
        return;
    if (r->op == BLK_DISCARD || r->op == BLK_WRITE_ZEROES)
        memset(b->data + at, 0, r->sectors * 512);
    if (r->op != BLK_READ && r->op != BLK_WRITE)
        return;
    for (unsigned i = 0; i < r->seg_count; i++) {
        if (r->op == BLK_READ)
            memcpy(r->seg[i].hva, b->data + at + total, r->seg[i].len);
        else
            memcpy(b->data + at + total, r->seg[i].hva, r->seg[i].len);
        total += r->seg[i].len;
    }
    assert_int_equal(total, r->sectors * 512);
}

static int blk_submit(void *ctx, struct blk_request *r)
{
    struct fake_blk *b = ctx;

    if (b->async && b->queued == b->capacity)
        return -EAGAIN;
    b->submitted++;
    assert_null(r->batch);
    b->uncommitted += r->more;
    if (b->async) {
        b->queue[b->queued++] = r;
        return 0;
    }
    blk_do(b, r);
    r->done(r);
    return 0;
}

static void blk_commit(void *ctx, unsigned wanted)
{
    struct fake_blk *b = ctx;

    assert_false(b->closed);
    b->uncommitted = 0;
    b->wanted = wanted;
}

static void blk_close(void *ctx) { ((struct fake_blk *)ctx)->closed = true; }

void fake_blk_init(struct fake_blk *b, uint64_t sectors)
{
    memset(b, 0, sizeof(*b));
    b->data = calloc(sectors, 512);
    b->capacity = FAKE_BLK_QUEUE;
    b->blk = (struct blk_backend){.submit = blk_submit,
                                  .commit = blk_commit,
                                  .close = blk_close,
                                  .ctx = b,
                                  .sectors = sectors,
                                  .block_size = 512,
                                  .can_discard = true,
                                  .can_write_zeroes = true,
                                  .can_flush = true,
                                  .serial = "fake-disk"};
}

void fake_blk_free(struct fake_blk *b)
{
    free(b->data);
    b->data = NULL;
}

void fake_blk_complete(struct fake_blk *b, unsigned which)
{
    struct blk_request *r = b->queue[which];

    assert_true(which < b->queued);
    memmove(&b->queue[which], &b->queue[which + 1], (b->queued - which - 1) * sizeof(b->queue[0]));
    b->queued--;
    blk_do(b, r);
    r->batch = b->batch;
    r->done(r);
}

static uint64_t net_send(void *ctx, struct net_frame *f)
{
    struct fake_net *n = ctx;

    assert_true(f->head_len <= NET_HEAD && f->head_len <= f->len && f->len <= NET_FRAME_MAX);
    assert_true(f->len >= NET_ETHERNET);
    n->sent++;
    n->len = f->len;
    n->offload = f->offload;
    memcpy(n->frame, f->head, f->head_len);
    if (f->len > f->head_len)
        assert_int_equal(
            f->data->read(f->data, f->data_at, n->frame + f->head_len, f->len - f->head_len), 0);
    if (n->loop) {
        enum net_fate fate = n->net.receive(n->net.device, f);

        n->taken += fate == NET_TAKEN;
        n->full += fate == NET_FULL;
    }
    n->unflushed = true;
    return f->len;
}

static void net_flush(void *ctx)
{
    struct fake_net *n = ctx;

    n->unflushed = false;
    if (n->loop)
        n->net.received(n->net.device);
}

static bool net_set_mac(void *ctx, const uint8_t mac[NET_MAC])
{
    struct fake_net *n = ctx;

    return !n->fixed_mac || !memcmp(mac, n->net.mac, NET_MAC);
}

static void net_close(void *ctx) { ((struct fake_net *)ctx)->closed = true; }

void fake_net_init(struct fake_net *n)
{
    memset(n, 0, sizeof(*n));
    n->net.send = net_send;
    n->net.flush = net_flush;
    n->net.set_mac = net_set_mac;
    n->net.close = net_close;
    n->net.ctx = n;
    memcpy(n->net.mac, "\2\0\0\0\0\1", NET_MAC);
    n->net.mtu = NET_MTU;
    n->net.link = true;
}

enum net_fate fake_net_give(struct fake_net *n, const void *bytes, uint32_t len,
                            struct net_offload offload)
{
    uint32_t head = (uint32_t)min_u64(len, NET_HEAD), half = (len - head) / 2;
    const struct net_piece piece[2] = {
        {.hva = (const char *)bytes + head, .len = half},
        {.hva = (const char *)bytes + head + half, .len = len - head - half}};
    const struct net_data data = {.piece = piece, .pieces = 2};
    _Alignas(8) uint8_t room[NET_HEADROOM + NET_HEAD];
    struct net_frame f = {.head = room + NET_HEADROOM,
                          .head_len = head,
                          .len = len,
                          .data = &data,
                          .offload = offload};
    enum net_fate fate;

    memcpy(f.head, bytes, head);
    fate = n->net.receive(n->net.device, &f);
    n->net.received(n->net.device);
    return fate;
}

unsigned fake_entropy_fills;

static void entropy_fill(void *ctx, void *to, size_t len)
{
    fake_entropy_fills++;
    static uint8_t next;

    (void)ctx;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = next = next == 255 ? 1 : next + 1;
}

struct entropy_backend *fake_entropy(void)
{
    static struct entropy_backend e = {.fill = entropy_fill};

    return &e;
}

/* ---- state streams ---- */

static int stream_write(void *ctx, const void *data, size_t len)
{
    struct fake_stream *s = ctx;

    s->data = realloc(s->data, s->len + len);
    memcpy(s->data + s->len, data, len);
    s->len += len;
    return 0;
}

static int stream_read(void *ctx, void *data, size_t len)
{
    struct fake_stream *s = ctx;

    if (!range_ok(s->at, len, s->len))
        return -EIO;
    memcpy(data, s->data + s->at, len);
    s->at += len;
    return 0;
}

struct state_writer fake_stream_writer(struct fake_stream *s)
{
    return (struct state_writer){.write = stream_write, .ctx = s};
}

struct state_reader fake_stream_reader(struct fake_stream *s)
{
    s->at = 0;
    return (struct state_reader){.read = stream_read, .ctx = s};
}

/* ---- bus ---- */

struct bus fake_bus;

void fake_bus_put(struct vdev *dev, const char *name)
{
    fake_bus = (struct bus){.count = 0};
    snprintf(dev->name, sizeof(dev->name), "%s", name);
    dev->base = gpa(DEV_BASE);
    if (!dev->irq.set)
        dev->irq = fake_irq();
    fake_irq_level = false;
    fake_irq_rises = 0;
    assert_int_equal(bus_add(&fake_bus, dev), 0);
    dev->ops->reset(dev); /* as a VM does before it starts */
}

/* The guest, which has the page mapped, sees there what an access would give. */
void fake_check_page(const struct vdev *dev, const struct mmio_access *a)
{
    uint64_t at = a->gpa.v - dev->base.v - dev->page.offset;
    uint32_t shown;

    if (!dev->page.hva || a->write || a->width != 4 || at % 4 || at >= PAGE_SIZE)
        return;
    memcpy(&shown, (const char *)dev->page.hva + at, sizeof(shown));
    assert_int_equal(shown, a->value);
}

enum mmio_result reg_access(uint64_t off, unsigned width, bool write, uint64_t *value)
{
    struct mmio_access a = {
        .gpa = gpa(DEV_BASE + off), .width = (uint8_t)width, .write = write, .value = *value};
    enum mmio_result r = bus_access(&fake_bus, &a);

    *value = a.value;
    if (r == MMIO_OK)
        fake_check_page(fake_bus.dev[0], &a);
    return r;
}

uint32_t reg_read(uint64_t off)
{
    uint64_t v = 0;

    assert_int_equal(reg_access(off, 4, false, &v), MMIO_OK);
    return (uint32_t)v;
}

enum mmio_result reg_write(uint64_t off, uint32_t v)
{
    uint64_t value = v;

    return reg_access(off, 4, true, &value);
}

/* ---- a driver ---- */

struct drv_queue drv_q[3];
uint64_t drv_features;

static void put16(uint64_t at, uint16_t v) { fake_gm_put(at, &v, 2); }
static uint16_t get16(uint64_t at)
{
    uint16_t v;

    fake_gm_get(at, &v, 2);
    return v;
}

uint64_t drv_offered(void)
{
    uint64_t f;

    reg_write(0x14, 0);
    f = reg_read(0x10);
    reg_write(0x14, 1);
    return f | (uint64_t)reg_read(0x10) << 32;
}

void drv_setup_queue(unsigned queue, uint16_t size)
{
    struct drv_queue *q = &drv_q[queue];
    uint64_t at = GM_BASE + queue * 0x10000;

    *q = (struct drv_queue){
        .desc = at, .avail = at + 0x2000, .used = at + 0x4000, .table = at + 0x8000, .size = size};
    for (uint64_t i = 0; i < 0x10000; i += 8)
        fake_gm_put(at + i, "\0\0\0\0\0\0\0\0", 8);
    reg_write(0x30, queue);
    reg_write(0x38, size);
    reg_write(0x80, (uint32_t)q->desc);
    reg_write(0x84, (uint32_t)(q->desc >> 32));
    reg_write(0x90, (uint32_t)q->avail);
    reg_write(0x94, (uint32_t)(q->avail >> 32));
    reg_write(0xa0, (uint32_t)q->used);
    reg_write(0xa4, (uint32_t)(q->used >> 32));
    reg_write(0x44, 1);
    assert_int_equal(reg_read(0x44), 1);
}

bool drv_init(uint64_t features, unsigned queues, uint16_t size)
{
    assert_int_equal(reg_write(0x70, 0), MMIO_OK);
    assert_int_equal(reg_read(0x70), 0);
    reg_write(0x70, 1);
    reg_write(0x70, 3);
    features &= drv_offered();
    drv_features = features;
    reg_write(0x24, 0);
    reg_write(0x20, (uint32_t)features);
    reg_write(0x24, 1);
    reg_write(0x20, (uint32_t)(features >> 32));
    reg_write(0x70, 11);
    if (reg_read(0x70) != 11)
        return false;
    for (unsigned i = 0; i < queues; i++)
        drv_setup_queue(i, size);
    reg_write(0x70, 15);
    return reg_read(0x70) == 15;
}

static void put_desc(uint64_t at, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
    fake_gm_put(at, &addr, 8);
    fake_gm_put(at + 8, &len, 4);
    put16(at + 12, flags);
    put16(at + 14, next);
}

void drv_desc(unsigned queue, unsigned index, uint64_t addr, uint32_t len, uint16_t flags,
              uint16_t next)
{
    put_desc(drv_q[queue].desc + 16 * index, addr, len, flags, next);
}

void drv_set_avail_idx(unsigned queue, uint16_t v) { put16(drv_q[queue].avail + 2, v); }

void drv_offer(unsigned queue, uint16_t head)
{
    struct drv_queue *q = &drv_q[queue];

    put16(q->avail + 4 + 2 * (q->idx % q->size), head);
    drv_set_avail_idx(queue, ++q->idx);
}

uint16_t drv_add(unsigned queue, const struct drv_buf *buf, unsigned n, bool indirect)
{
    struct drv_queue *q = &drv_q[queue];
    uint16_t head = q->next_desc % q->size;

    if (indirect) {
        uint64_t table = q->table + 16 * 64 * (head % 8);

        for (unsigned i = 0; i < n; i++)
            put_desc(table + 16 * i, buf[i].addr, buf[i].len,
                     (buf[i].write ? WRITE : 0) | (i + 1 < n ? NEXT : 0), (uint16_t)(i + 1));
        drv_desc(queue, head, table, 16 * n, INDIRECT, 0);
        q->next_desc++;
    } else {
        for (unsigned i = 0; i < n; i++) {
            unsigned at = (head + i) % q->size;

            drv_desc(queue, at, buf[i].addr, buf[i].len,
                     (buf[i].write ? WRITE : 0) | (i + 1 < n ? NEXT : 0),
                     (uint16_t)((at + 1) % q->size));
        }
        q->next_desc = (uint16_t)(q->next_desc + n);
    }
    drv_offer(queue, head);
    return head;
}

bool drv_want_kick(unsigned queue, uint16_t old)
{
    struct drv_queue *q = &drv_q[queue];
    uint16_t event = get16(q->used + 4 + 8 * q->size);

    if (!(drv_features & (1ull << 29)))
        return !(get16(q->used) & 1);
    return (uint16_t)(q->idx - event - 1) < (uint16_t)(q->idx - old);
}

enum mmio_result drv_kick(unsigned queue)
{
    enum mmio_result r;
    unsigned tries = 0;

    while ((r = reg_write(0x50, queue)) == MMIO_RETRY && tries++ < 100000)
        ;
    return r;
}

uint16_t drv_used_idx(unsigned queue) { return get16(drv_q[queue].used + 2); }

bool drv_used(unsigned queue, uint32_t *id, uint32_t *len)
{
    struct drv_queue *q = &drv_q[queue];

    if (q->seen == drv_used_idx(queue))
        return false;
    fake_gm_get(q->used + 4 + 8 * (q->seen % q->size), id, 4);
    fake_gm_get(q->used + 8 + 8 * (q->seen % q->size), len, 4);
    q->seen++;
    return true;
}

void drv_set_used_event(unsigned queue, uint16_t v)
{
    put16(drv_q[queue].avail + 4 + 2 * drv_q[queue].size, v);
}

bool drv_needs_reset(void) { return reg_read(0x70) & 64; }
