// SPDX-License-Identifier: BSD-2-Clause
#include "blk/limit.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arch.h"
#include "base/spinlock.h"
#include "mem/heap.h"
#include "net/bucket.h"

enum { SECTOR = 512, LARGEST = 4 << 20, BURSTS = 10 };

struct limited {
    struct blk_backend blk;
    struct blk_backend *below;
    struct spinlock lock;
    _Atomic unsigned on; /* there is a limit; else the buckets are not looked at */
    struct bucket ops, bytes; /* rate 0: no limit */
    struct timer timer;
};

/* Ticks until n units are there; 0: now. */
static uint64_t wait_for(struct bucket *b, uint64_t n, uint64_t now)
{
    uint64_t want = min_u64(n * timer_hz, b->most);

    if (!b->rate)
        return 0;
    bucket_refill(b, now);
    return b->credit >= want ? 0 : (want - b->credit + b->rate - 1) / b->rate;
}

static void take(struct bucket *b, uint64_t n)
{
    b->credit -= min_u64(b->credit, b->rate ? n * timer_hz : 0);
}

static uint64_t bytes_of(const struct blk_request *r)
{
    return r->op == BLK_READ || r->op == BLK_WRITE ? r->sectors * SECTOR : 0;
}

/* Whether the request may go now; else the timer is set for when it may. */
static bool admit(struct limited *l, const struct blk_request *r)
{
    uint64_t now = arch_time(), wait;

    spin_lock(&l->lock);
    wait = max_u64(wait_for(&l->ops, 1, now), wait_for(&l->bytes, bytes_of(r), now));
    if (wait) {
        timer_set(&l->timer, now + wait);
    } else {
        take(&l->ops, 1);
        take(&l->bytes, bytes_of(r));
    }
    spin_unlock(&l->lock);
    return !wait;
}

/* What was taken for a request that the backend below did not take. */
static void give_back(struct limited *l, const struct blk_request *r)
{
    spin_lock(&l->lock);
    l->ops.credit = min_u64(l->ops.most, l->ops.credit + timer_hz);
    l->bytes.credit = min_u64(l->bytes.most, l->bytes.credit + bytes_of(r) * timer_hz);
    spin_unlock(&l->lock);
}

/* A flush is what makes writes sure that were let through: it is not counted. */
static int limited_submit(void *ctx, struct blk_request *r)
{
    struct limited *l = ctx;
    bool counts = r->op != BLK_FLUSH;
    int error;

    if (!atomic_load_explicit(&l->on, memory_order_relaxed))
        return l->below->submit(l->below->ctx, r);
    if (counts && !admit(l, r))
        return -EAGAIN;
    error = l->below->submit(l->below->ctx, r);
    if (error == -EAGAIN && counts)
        give_back(l, r);
    return error;
}

static void limited_commit(void *ctx, unsigned wanted)
{
    struct limited *l = ctx;

    l->below->commit(l->below->ctx, wanted);
}

static void say_ready(struct limited *l)
{
    if (l->blk.ready)
        l->blk.ready(l->blk.device);
}

static void below_is_ready(void *device) { say_ready(device); }
static void on_timer(struct timer *t) { say_ready(CONTAINER_OF(t, struct limited, timer)); }

static void limited_close(void *ctx)
{
    struct limited *l = ctx;

    timer_cancel_wait(&l->timer);
    l->below->close(l->below->ctx);
    heap_free(l);
}

static void limited_save(void *ctx, struct state_writer *w)
{
    struct limited *l = ctx;

    l->below->save(l->below->ctx, w);
}

static int limited_load(void *ctx, struct state_reader *r)
{
    struct limited *l = ctx;

    return l->below->load(l->below->ctx, r);
}

static void limited_revert(void *ctx)
{
    struct limited *l = ctx;

    l->below->revert(l->below->ctx);
}

static uint64_t limited_memory(void *ctx)
{
    const struct limited *l = ctx;

    return heap_takes(sizeof(*l)) + (l->below->memory ? l->below->memory(l->below->ctx) : 0);
}

static int limited_grow(void *ctx, struct blk_growth *g)
{
    struct limited *l = ctx;
    int error = l->below->grow(l->below->ctx, g);

    if (!error)
        __atomic_store_n(&l->blk.sectors, l->below->sectors, __ATOMIC_RELEASE);
    return error;
}

/* Each bucket begins with a burst. */
static void set_buckets(struct limited *l, const struct blk_limit *limit)
{
    uint64_t now = arch_time();

    spin_lock(&l->lock);
    bucket_init(&l->ops, limit->iops, max_u64(limit->iops / BURSTS, 1), now);
    bucket_init(&l->bytes, limit->bytes, max_u64(limit->bytes / BURSTS, LARGEST), now);
    atomic_store_explicit(&l->on, limit->iops || limit->bytes, memory_order_relaxed);
    spin_unlock(&l->lock);
}

void blk_limit_set(struct blk_backend *limited, const struct blk_limit *limit)
{
    struct limited *l = limited->ctx;

    set_buckets(l, limit);
    say_ready(l);
}

struct blk_backend *blk_limit_create(struct blk_backend *below, const struct blk_limit *limit)
{
    struct limited *l = heap_alloc(sizeof(*l));

    if (!l)
        return NULL;
    spin_init(&l->lock, LOCK_BACKEND);
    timer_init(&l->timer, on_timer);
    set_buckets(l, limit);
    l->below = below;
    l->blk = *below;
    l->blk.submit = limited_submit;
    l->blk.commit = below->commit ? limited_commit : NULL;
    l->blk.close = limited_close;
    l->blk.save = below->save ? limited_save : NULL;
    l->blk.load = below->load ? limited_load : NULL;
    l->blk.revert = below->revert ? limited_revert : NULL;
    l->blk.memory = limited_memory;
    l->blk.grow = below->grow ? limited_grow : NULL;
    l->blk.ctx = l;
    below->ready = below_is_ready;
    below->device = l;
    return &l->blk;
}
