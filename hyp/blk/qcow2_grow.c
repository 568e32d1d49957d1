// SPDX-License-Identifier: BSD-2-Clause
// The refcount table made longer: an image that qemu-img made has one for its own size, and its partition may be larger.
//
// The new table reaches to the partition's end, so this happens once for a partition's size. It lies, with the blocks that count it, in
// the first clusters that the old one does not reach, which are free since nothing counts them. The header's one write
// makes it the image's: before it a power cut leaves the old table and nothing lost, after it the old table's
// clusters as a leak.
#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/qcow2.h"
#include "mem/heap.h"

struct growth {
    uint64_t first; /* cluster that the old table does not reach */
    uint64_t blocks, tables; /* clusters of each, in this order from first on */
    uint64_t per_block; /* clusters that a block counts */
};

static uint64_t round_up_div(uint64_t n, uint64_t by) { return (n + by - 1) / by; }

static int plan(const struct qcow2 *q, struct growth *g)
{
    uint64_t entries, blocks = 0;

    g->per_block = (qcow2_cluster(q) * 8) >> q->refcount_order;
    g->first = q->refcount_table_len / 8 * g->per_block;
    entries = round_up_div(q->clusters, g->per_block);
    g->tables = round_up_div(8 * entries, qcow2_cluster(q));
    do { /* blocks count themselves, too */
        g->blocks = blocks;
        blocks = round_up_div(g->tables + g->blocks, g->per_block);
    } while (blocks != g->blocks);
    if (g->tables << q->cluster_bits > QCOW2_REFCOUNT_TABLE_MAX)
        return -ENOSPC;
    if (g->first + g->blocks + g->tables > q->clusters)
        return -ENOSPC;
    return qcow2_on_tables(q, g->first, g->blocks + g->tables) ? -EIO : 0;
}

/* Counts of 1 for all that is new, zeros behind. */
static int write_blocks(struct qcow2 *q, const struct growth *g, uint8_t *cluster)
{
    uint64_t left = g->blocks + g->tables;
    int error = 0;

    for (uint64_t b = 0; b < g->blocks && !error; b++) {
        memset(cluster, 0, qcow2_cluster(q));
        for (uint64_t i = 0; i < g->per_block && left; i++, left--)
            qcow2_put_count(q, cluster + (i << q->refcount_order) / 8, i, 1);
        error = blk_write(q->file, (g->first + b) << q->cluster_bits, cluster, qcow2_cluster(q));
    }
    return error;
}

/* The old entries, those of the new blocks, zeros. */
static int write_table(struct qcow2 *q, const struct growth *g, uint8_t *cluster)
{
    uint64_t old = q->refcount_table_len >> q->cluster_bits, entry = q->refcount_table_len / 8;
    uint64_t per_cluster = qcow2_cluster(q) / 8, end = entry + g->blocks;
    int error = 0;

    for (uint64_t t = 0; t < g->tables && !error; t++) {
        memset(cluster, 0, qcow2_cluster(q));
        if (t < old)
            error = blk_read(q->file, q->refcount_table_at + (t << q->cluster_bits), cluster,
                             qcow2_cluster(q));
        for (; !error && entry < end && entry / per_cluster == t; entry++)
            meta_put_be(cluster + entry % per_cluster * 8,
                        (g->first + (entry - q->refcount_table_len / 8)) << q->cluster_bits, 8);
        if (!error)
            error = blk_write(q->file, (g->first + g->blocks + t) << q->cluster_bits, cluster,
                              qcow2_cluster(q));
    }
    return error;
}

static int write_all(struct qcow2 *q, const struct growth *g)
{
    const struct qcow2_field header[] = {
        {QCOW2_H_REFCOUNT_TABLE, 8, (g->first + g->blocks) << q->cluster_bits},
        {QCOW2_H_REFCOUNT_CLUSTERS, 4, g->tables},
    };
    uint8_t *cluster = heap_alloc(qcow2_cluster(q));
    int error = cluster ? write_blocks(q, g, cluster) : -ENOMEM;

    if (!error)
        error = write_table(q, g, cluster);
    heap_free(cluster);
    if (!error)
        error = blk_flush(q->file);
    return error ? error : qcow2_write_header(q, header, ARRAY_LEN(header));
}

int qcow2_grow_refcounts(struct qcow2 *q)
{
    uint64_t old = q->refcount_table_at, old_len = q->refcount_table_len;
    struct growth g;
    int error = plan(q, &g);

    if (!error)
        error = qcow2_flush(q); /* the table that is copied is the one on the disk */
    if (!error)
        error = write_all(q, &g);
    if (error)
        return error;
    meta_forget(&q->cache, old, old_len);
    meta_forget(&q->cache, g.first << q->cluster_bits, (g.blocks + g.tables) << q->cluster_bits);
    q->refcount_table_at = (g.first + g.blocks) << q->cluster_bits;
    q->refcount_table_len = g.tables << q->cluster_bits;
    return qcow2_release(q, old >> q->cluster_bits, old_len >> q->cluster_bits);
}
