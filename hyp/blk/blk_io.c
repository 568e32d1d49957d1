// SPDX-License-Identifier: BSD-2-Clause
#include "blk/blk_io.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/arch.h"
#include "mem/heap.h"
#include "sched/thread.h"

enum { ZERO_PIECE = 64 * 1024, RANGE_SECTORS = 128 * 1024 };

enum { WAITED_FOR, WAKING, LEFT }; /* done */

static void wake(struct blk_request *r)
{
    struct blk_waited *w = CONTAINER_OF(r, struct blk_waited, r);

    atomic_store(&w->done, WAKING);
    thread_wake(w->thread);
    atomic_store(&w->done, LEFT);
}

void blk_wait_begin(struct blk_waited *w)
{
    w->thread = thread_current();
    w->r.done = wake;
    atomic_store(&w->done, WAITED_FOR);
}

int blk_wait(struct blk_waited *w)
{
    while (atomic_load(&w->done) == WAITED_FOR)
        thread_block();
    while (atomic_load(&w->done) != LEFT) /* neither w nor the thread may go before */
        arch_pause();
    return w->r.result;
}

int blk_do(struct blk_backend *b, struct blk_waited *w)
{
    blk_wait_begin(w);
    while (b->submit(b->ctx, &w->r) == -EAGAIN)
        thread_yield(); /* other requests end, and make room */
    return blk_wait(w);
}

static int transfer(struct blk_backend *b, enum blk_op op, uint64_t at, void *data, size_t len)
{
    struct blk_segment seg = {data, (uint32_t)len};
    struct blk_waited w = {.r = {.op = op,
                                 .sector = at / BLK_SECTOR,
                                 .sectors = len / BLK_SECTOR,
                                 .seg = &seg,
                                 .seg_count = 1}};

    return blk_do(b, &w);
}

int blk_read(struct blk_backend *b, uint64_t at, void *to, size_t len)
{
    return transfer(b, BLK_READ, at, to, len);
}

int blk_write(struct blk_backend *b, uint64_t at, const void *from, size_t len)
{
    return transfer(b, BLK_WRITE, at, (void *)(uintptr_t)from, len);
}

int blk_flush(struct blk_backend *b)
{
    struct blk_waited w = {.r = {.op = BLK_FLUSH}};

    return b->can_flush ? blk_do(b, &w) : 0;
}

static int range(struct blk_backend *b, enum blk_op op, uint64_t at, uint64_t len)
{
    int error = 0;

    while (len && !error) {
        uint64_t n = min_u64(len, (uint64_t)RANGE_SECTORS * BLK_SECTOR);
        struct blk_waited w = {
            .r = {.op = op, .sector = at / BLK_SECTOR, .sectors = n / BLK_SECTOR}};

        error = blk_do(b, &w);
        at += n;
        len -= n;
    }
    return error;
}

int blk_zero(struct blk_backend *b, uint64_t at, uint64_t len)
{
    char *zeros;
    int error = 0;

    if (b->can_write_zeroes)
        return range(b, BLK_WRITE_ZEROES, at, len);
    zeros = heap_alloc(min_u64(len, ZERO_PIECE));
    if (!zeros)
        return -ENOMEM;
    while (len && !error) {
        uint64_t n = min_u64(len, ZERO_PIECE);

        error = blk_write(b, at, zeros, n);
        at += n;
        len -= n;
    }
    heap_free(zeros);
    return error;
}

void blk_discard(struct blk_backend *b, uint64_t at, uint64_t len)
{
    if (b->can_discard && range(b, BLK_DISCARD, at, len))
        return;
}
