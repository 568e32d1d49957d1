// SPDX-License-Identifier: BSD-2-Clause
#include "blk/qcow2_compressed.h"

#define Z_SOLO /* zlib has no allocator and no files of its own */
#include <errno.h>
#include <zlib.h>

#include "blk/blk_io.h"
#include "mem/heap.h"
#include "sched/thread.h"

enum {
    WINDOW = -12, /* bits; negative: without zlib's own header and checksum */
    PIECE = 32 * 1024, /* of what is stored, read at once */
    STRETCH = 64 * 1024, /* unpacked at once: then others may run */
    ARENA = 16 * 1024, /* zlib's state, some 7 KiB, and its window */
};

struct qcow2_inflate {
    uint64_t host, stored; /* whose contents are in `cluster`; stored 0: nobody's */
    uint8_t *cluster, *piece;
    size_t arena_used;
    _Alignas(16) uint8_t arena[ARENA];
};

static void *arena_alloc(void *opaque, unsigned n, unsigned size)
{
    struct qcow2_inflate *z = opaque;
    size_t bytes = align_up((uint64_t)n * size, 16);
    void *p = z->arena + z->arena_used;

    if (bytes > sizeof(z->arena) - z->arena_used)
        return NULL;
    z->arena_used += bytes;
    return p;
}

/* All at once, when the next cluster begins. */
static void arena_free(void *opaque, void *p)
{
    (void)opaque;
    (void)p;
}

void qcow2_inflate_free(struct qcow2_inflate *z)
{
    if (!z)
        return;
    heap_free(z->cluster);
    heap_free(z->piece);
    heap_free(z);
}

uint64_t qcow2_inflate_memory(const struct qcow2 *q)
{
    return q->inflate
               ? heap_takes(sizeof(*q->inflate)) + heap_takes(qcow2_cluster(q)) + heap_takes(PIECE)
               : 0;
}

static struct qcow2_inflate *create(const struct qcow2 *q)
{
    struct qcow2_inflate *z = heap_alloc(sizeof(*z));

    if (!z)
        return NULL;
    z->cluster = heap_alloc(qcow2_cluster(q));
    z->piece = heap_alloc(PIECE);
    if (z->cluster && z->piece)
        return z;
    qcow2_inflate_free(z);
    return NULL;
}

/* What is stored need not begin or end with a block of the disk. What is read is in the file, as qcow2_judge saw to. */
static int read_piece(struct qcow2 *q, uint64_t at, uint64_t end, z_stream *s)
{
    uint64_t block = max_u64(q->file->block_size, BLK_SECTOR), first = align_down(at, block);
    uint64_t len = min_u64(align_up(end, block) - first, PIECE);
    int error = blk_read(q->file, first, q->inflate->piece, len);

    s->next_in = q->inflate->piece + (at - first);
    s->avail_in = (unsigned)min_u64(len - (at - first), end - at);
    return error;
}

/* Until the cluster is full. What is stored behind that is another's, or nothing. Output is bounded as input is: 4 KiB may
 * hold 2 MiB. */
static int inflate_all(struct qcow2 *q, const struct qcow2_run *run, z_stream *s)
{
    uint64_t at = run->host, end = run->host + run->stored, left = qcow2_cluster(q);
    int got = Z_OK;

    while (left && got == Z_OK) {
        unsigned stretch = (unsigned)min_u64(left, STRETCH);

        if (!s->avail_in && at < end) {
            int error = read_piece(q, at, end, s);

            if (error)
                return error;
            at += s->avail_in;
        }
        s->avail_out = stretch;
        got = inflate(s, Z_SYNC_FLUSH); /* Z_BUF_ERROR: all was stored, and it is not enough */
        left -= stretch - s->avail_out;
        sched_point();
    }
    return left ? -EIO : 0;
}

int qcow2_read_compressed(struct qcow2 *q, const struct qcow2_run *run, const uint8_t **cluster)
{
    struct qcow2_inflate *z = q->inflate ? q->inflate : create(q);
    z_stream s = {.zalloc = arena_alloc, .zfree = arena_free, .opaque = z};
    int error;

    if (!z)
        return -ENOMEM;
    q->inflate = z;
    *cluster = z->cluster;
    if (z->stored == run->stored && z->host == run->host)
        return 0;
    z->stored = 0;
    z->arena_used = 0;
    s.next_out = z->cluster;
    if (inflateInit2(&s, WINDOW) != Z_OK)
        return -ENOMEM;
    error = inflate_all(q, run, &s);
    if (error)
        return error;
    z->host = run->host;
    z->stored = run->stored;
    return 0;
}
