// SPDX-License-Identifier: BSD-2-Clause
#include "fake_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "mem/heap.h"
#include "sched/thread.h"

#define WEAK __attribute__((weak))

int fake_heap_left = -1; /* allocations that succeed; -1: all */
int fake_heap_blocks;

WEAK void *heap_alloc(size_t size)
{
    void *p;

    if (!fake_heap_left)
        return NULL;
    fake_heap_left -= fake_heap_left > 0;
    p = calloc(1, size);
    fake_heap_blocks += p != NULL;
    return p;
}
WEAK void heap_free(void *p)
{
    fake_heap_blocks -= p != NULL;
    free(p);
}

/* Nothing waits: requests end within submit. */
WEAK void thread_block(void) { fail(); }
WEAK void thread_yield(void) { fail(); }
WEAK void sched_point(void) {}
WEAK void thread_wake(struct thread *t) { (void)t; }
static struct hart hart;

static void log_op(struct fake_disk *d, bool flush, uint64_t at, const struct blk_request *r)
{
    struct fake_disk_op *op;
    uint32_t len = flush ? 0 : (uint32_t)(r->sectors * 512);

    if (!d->keep_log)
        return;
    if (d->logged == d->room) {
        d->room = d->room ? 2 * d->room : 64;
        d->log = realloc(d->log, d->room * sizeof(*d->log));
    }
    op = &d->log[d->logged++];
    *op = (struct fake_disk_op){flush, at, len, NULL};
    if (len) {
        op->data = malloc(len);
        memcpy(op->data, d->data + at, len);
    }
}

static void copy(struct fake_disk *d, const struct blk_request *r, bool write)
{
    uint8_t *at = d->data + r->sector * 512;

    for (unsigned i = 0; i < r->seg_count; i++) {
        memcpy(write ? (void *)at : r->seg[i].hva, write ? r->seg[i].hva : (void *)at,
               r->seg[i].len);
        at += r->seg[i].len;
    }
}

static bool breaks(struct fake_disk *d, enum blk_op op)
{
    bool now = op != BLK_READ && d->fail_after && --d->fail_after == 0;

    d->failing |= now && !d->fail_once;
    return now || d->failing;
}

static int carry_out(struct fake_disk *d, const struct blk_request *r)
{
    uint64_t bytes = 0;

    if (breaks(d, r->op))
        return -EIO;
    if (r->op == BLK_FLUSH) {
        d->flushes++;
        log_op(d, true, 0, r);
        return 0;
    }
    if (!r->sectors || !range_ok(r->sector, r->sectors, d->blk.sectors))
        return -EIO;
    if (r->op != BLK_READ && d->blk.read_only)
        return -EACCES;
    for (unsigned i = 0; i < r->seg_count; i++)
        bytes += r->seg[i].len;
    switch (r->op) {
    case BLK_READ:
    case BLK_WRITE:
        if (bytes != r->sectors * 512)
            return -EIO;
        copy(d, r, r->op == BLK_WRITE);
        break;
    default: /* what was discarded is not zeros */
        memset(d->data + r->sector * 512, r->op == BLK_DISCARD ? 0xdd : 0, r->sectors * 512);
    }
    d->reads += r->op == BLK_READ;
    d->writes += r->op == BLK_WRITE || r->op == BLK_WRITE_ZEROES;
    d->discards += r->op == BLK_DISCARD;
    if (r->op != BLK_READ)
        log_op(d, false, r->sector * 512, r);
    return 0;
}

static int submit(void *ctx, struct blk_request *r)
{
    struct fake_disk *d = ctx;

    if (d->async) {
        if (d->queued == ARRAY_LEN(d->queue))
            return -EAGAIN;
        d->queue[d->queued++] = r;
        return 0;
    }
    r->result = carry_out(d, r);
    r->done(r);
    return 0;
}

void fake_disk_complete(struct fake_disk *d, unsigned which)
{
    struct blk_request *r = d->queue[which];

    d->queue[which] = d->queue[--d->queued];
    r->result = carry_out(d, r);
    r->done(r);
}

static void close_disk(void *ctx) { (void)ctx; }

int fake_disk_grow(void *ctx, struct blk_growth *g)
{
    struct fake_disk *d = ctx;

    if (g->room * 512 > d->size)
        return -EBUSY;
    if (!g->only_check)
        d->blk.sectors = g->room;
    return 0;
}

void fake_disk_init(struct fake_disk *d, size_t size)
{
    memset(d, 0, sizeof(*d));
    d->data = calloc(1, size);
    d->size = size;
    d->blk = (struct blk_backend){.submit = submit,
                                  .close = close_disk,
                                  .ctx = d,
                                  .sectors = size / 512,
                                  .block_size = 512,
                                  .can_discard = true,
                                  .can_write_zeroes = true,
                                  .can_flush = true,
                                  .serial = "fake"};
    fake_hart_data[fake_hart] = &hart;
}

void fake_disk_start_log(struct fake_disk *d)
{
    for (unsigned i = 0; i < d->logged; i++)
        free(d->log[i].data);
    d->logged = 0;
    d->keep_log = true;
}

void fake_disk_free(struct fake_disk *d)
{
    fake_disk_start_log(d);
    free(d->log);
    free(d->data);
    memset(d, 0, sizeof(*d));
}

void fake_disk_load(struct fake_disk *d, const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(d->data, 1, d->size, f);
    assert_true(n > 0);
    assert_int_equal(fgetc(f), EOF); /* it fits */
    fclose(f);
}

void fake_disk_save(const struct fake_disk *d, const char *path)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(d->data, 1, d->size, f), d->size);
    assert_int_equal(fclose(f), 0);
}

void fake_disk_cut(const struct fake_disk *d, const uint8_t *from, unsigned n, uint64_t choices,
                   uint8_t *medium)
{
    unsigned stable = 0;

    for (unsigned i = 0; i < n; i++)
        if (d->log[i].flush)
            stable = i;
    memcpy(medium, from, d->size);
    for (unsigned i = 0; i < n; i++)
        if (d->log[i].len && (i < stable || choices >> ((i - stable) % 64) & 1))
            memcpy(medium + d->log[i].at, d->log[i].data, d->log[i].len);
}

int fake_disk_run(const char *fmt, ...)
{
    char command[1024];
    va_list ap;
    int status;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}
