// SPDX-License-Identifier: BSD-2-Clause
// How much of an image is used: all its reference counts, read in large pieces and counted by the word, since a full image of a
// TiB has 16 million of them. It ends when it has taken long enough.
#include <errno.h>

#include "base/arch.h"
#include "blk/blk_io.h"
#include "blk/qcow2.h"
#include "mem/heap.h"
#include "sched/thread.h"

enum { PIECE = 64 * 1024 };

/* The highest bit of each count in a word. */
static uint64_t tops(unsigned bits)
{
    uint64_t each = bits < 64 ? UINT64_MAX / ((1ul << bits) - 1) : 1;

    return each << (bits - 1);
}

static uint64_t count_bits(uint64_t v)
{
    uint64_t n = 0;

    for (; v; v &= v - 1)
        n++;
    return n;
}

/* How many counts of so many bits are not 0. In which order their bytes are does not matter. */
static uint64_t count_used(const uint64_t *word, uint64_t words, unsigned bits)
{
    uint64_t top = tops(bits), rest = ~top, used = 0;

    for (; words; words--, word++) {
        uint64_t v = *word, set = (((v & rest) + rest) | v) & top;

        if (set == top)
            used += 64 / bits;
        else if (v)
            used += count_bits(set);
    }
    return used;
}

/* One piece of a block: the counts from a cluster on. */
static int count_piece(struct qcow2 *q, uint64_t at, uint64_t cluster, uint64_t *piece,
                       uint64_t len, uint64_t *used)
{
    uint64_t counts = (len * 8) >> q->refcount_order;
    int error = blk_read(q->file, at, piece, len);

    if (error)
        return error;
    for (uint64_t i = q->clusters - cluster; i < counts; i++) /* those beyond the file's end */
        qcow2_put_count(q, (uint8_t *)piece + (i << q->refcount_order) / 8, cluster + i, 0);
    *used += count_used(piece, len / 8, 1u << q->refcount_order);
    return 0;
}

static int count_block(struct qcow2 *q, uint64_t block, uint64_t first, uint64_t *piece,
                       uint64_t *used)
{
    uint64_t len = min_u64(qcow2_cluster(q), PIECE), each = (len * 8) >> q->refcount_order;
    int error = 0;

    for (uint64_t at = 0; at < qcow2_cluster(q) && first < q->clusters && !error; at += len) {
        error = count_piece(q, block + at, first, piece, len, used);
        first += each;
        sched_point();
    }
    return error;
}

int qcow2_count_used(struct qcow2 *q, uint64_t until, uint64_t *used, bool *all)
{
    uint64_t per_block = (qcow2_cluster(q) * 8) >> q->refcount_order, cluster = 0, block;
    uint64_t *piece = heap_alloc(PIECE);
    int error = piece ? 0 : -ENOMEM;

    *used = 0;
    while (!error && cluster < q->clusters && arch_time() < until) {
        error = qcow2_find_block(q, cluster, &block);
        if (!error && block)
            error = count_block(q, block, cluster, piece, used);
        cluster += per_block;
        sched_point();
    }
    heap_free(piece);
    *all = error == -ENOSPC ||
           cluster >= q->clusters; /* the table may end: what is behind it is free */
    return error == -ENOSPC ? 0 : error;
}
