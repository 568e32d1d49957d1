// SPDX-License-Identifier: BSD-2-Clause
// New images, and larger ones. A new image: header, refcount table, the first refcount blocks, level 1 table, one behind the
// other; the header is written last, so that what was begun and not ended is no image.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/blk_io.h"
#include "blk/qcow2_create.h"
#include "mem/heap.h"

enum { CLUSTER_BITS = 16, CLUSTER = 1 << CLUSTER_BITS, REFCOUNT_ORDER = 4 };
enum {
    COUNTS = CLUSTER / 2,
    SPAN_BITS = 2 * CLUSTER_BITS - 3 /* bytes of the disk in a level 2 table */
};

struct layout { /* in clusters */
    uint64_t table, tables, blocks, block_count, l1, l1_count, end;
    uint64_t l1_entries;
};

static uint64_t clusters_of(uint64_t bytes) { return (bytes + CLUSTER - 1) / CLUSTER; }

static void plan(struct layout *y, uint64_t file_clusters, uint64_t size)
{
    uint64_t all_blocks = (file_clusters + COUNTS - 1) / COUNTS;

    y->table = 1;
    y->tables = clusters_of(8 * all_blocks);
    y->l1_entries = (size >> SPAN_BITS) + ((size & ((1ul << SPAN_BITS) - 1)) != 0);
    y->l1_count = clusters_of(8 * y->l1_entries);
    y->blocks = y->table + y->tables;
    y->block_count = 1; /* counts 32768 clusters: all that is made here, or it is too large */
    y->l1 = y->blocks + y->block_count;
    y->end = y->l1 + y->l1_count;
}

/* Writes a cluster whose first entries say n times value, step more each time; the rest is zeros. */
static int write_entries(struct blk_backend *file, uint8_t *cluster, uint64_t at, unsigned bytes,
                         uint64_t n, uint64_t value, uint64_t step)
{
    memset(cluster, 0, CLUSTER);
    for (uint64_t i = 0; i < n; i++)
        meta_put_be(cluster + i * bytes, value + i * step, bytes);
    return blk_write(file, at * CLUSTER, cluster, CLUSTER);
}

static void fill_header(uint8_t *h, const struct layout *y, const struct qcow2_new *n)
{
    uint32_t at = QCOW2_H_V3_LEN;
    size_t format = strlen(n->backing_format), name = strlen(n->backing);

    memset(h, 0, CLUSTER);
    meta_put_be(h, QCOW2_MAGIC, 4);
    meta_put_be(h + QCOW2_H_VERSION, 3, 4);
    meta_put_be(h + QCOW2_H_CLUSTER_BITS, CLUSTER_BITS, 4);
    meta_put_be(h + QCOW2_H_SIZE, n->size, 8);
    meta_put_be(h + QCOW2_H_L1_SIZE, y->l1_entries, 4);
    meta_put_be(h + QCOW2_H_L1_AT, y->l1 * CLUSTER, 8);
    meta_put_be(h + QCOW2_H_REFCOUNT_TABLE, y->table * CLUSTER, 8);
    meta_put_be(h + QCOW2_H_REFCOUNT_CLUSTERS, y->tables, 4);
    meta_put_be(h + QCOW2_H_REFCOUNT_ORDER, REFCOUNT_ORDER, 4);
    meta_put_be(h + QCOW2_H_LENGTH, QCOW2_H_V3_LEN, 4);
    if (!name)
        return;
    meta_put_be(h + at, QCOW2_EXT_BACKING_FORMAT, 4);
    meta_put_be(h + at + 4, format, 4);
    memcpy(h + at + 8, n->backing_format, format);
    at += 8 + (uint32_t)align_up(format, 8) + 8; /* and the end of the extensions */
    meta_put_be(h + QCOW2_H_BACKING_AT, at, 8);
    meta_put_be(h + QCOW2_H_BACKING_LEN, name, 4);
    memcpy(h + at, n->backing, name);
}

int qcow2_create(struct blk_backend *file, const struct qcow2_new *n)
{
    struct layout y;
    uint8_t *cluster;
    int error;

    plan(&y, file->sectors / (CLUSTER / BLK_SECTOR), n->size);
    if (y.end >= COUNTS || y.end > file->sectors / (CLUSTER / BLK_SECTOR))
        return -ENOSPC;
    if (!n->size || n->size % BLK_SECTOR || y.l1_entries > QCOW2_L1_MAX / 8 ||
        strlen(n->backing) >= QCOW2_NAME)
        return -EINVAL;
    cluster = heap_alloc(CLUSTER);
    if (!cluster)
        return -ENOMEM;
    error = blk_zero(file, 0, y.end * CLUSTER);
    if (!error)
        error =
            write_entries(file, cluster, y.table, 8, y.block_count, y.blocks * CLUSTER, CLUSTER);
    if (!error)
        error = write_entries(file, cluster, y.blocks, 2, y.end, 1, 0);
    if (!error)
        error = blk_flush(file);
    fill_header(cluster, &y, n);
    if (!error)
        error = blk_write(file, 0, cluster, CLUSTER);
    heap_free(cluster);
    return error ? error : blk_flush(file);
}

/* Per cluster of data 8 bytes of level 2 and 2 of counts; half-used tables at the ends. */
uint64_t qcow2_full_size(uint64_t size)
{
    uint64_t data = clusters_of(size), l2 = (data + CLUSTER / 8 - 1) / (CLUSTER / 8);
    uint64_t l1 = clusters_of(8 * l2), blocks = (data + l2 + l1) / COUNTS + 2;

    return (1 + clusters_of(8 * blocks) + blocks + l1 + l2 + data) * CLUSTER;
}

/* ---- larger ---- */

/* The level 1 table with more entries, in new clusters. *at: where. */
static int move_l1(struct qcow2 *q, uint64_t entries, uint64_t *at)
{
    uint64_t bytes = align_up(8 * entries, qcow2_cluster(q)), want = bytes >> q->cluster_bits;
    uint64_t first, got;
    uint8_t *table;
    int error = qcow2_alloc(q, want, &first, &got);

    if (error)
        return error;
    if (got < want) /* not in one piece */
        return qcow2_release(q, first, got) ? -EIO : -ENOSPC;
    table = heap_alloc(bytes);
    if (!table)
        return qcow2_release(q, first, got) ? -EIO : -ENOMEM;
    error =
        q->l1_size ? blk_read(q->file, q->l1_at, table, align_up(8ul * q->l1_size, BLK_SECTOR)) : 0;
    memset(table + 8ul * q->l1_size, 0, bytes - 8ul * q->l1_size);
    *at = first << q->cluster_bits;
    if (!error)
        error = blk_write(q->file, *at, table, bytes);
    heap_free(table);
    return error;
}

/* The old table's clusters, which nothing refers to any more. */
static int drop_l1(struct qcow2 *q)
{
    uint64_t n = align_up(8ul * q->l1_size, qcow2_cluster(q)) >> q->cluster_bits;
    int error = q->l1_size ? qcow2_release(q, q->l1_at >> q->cluster_bits, n) : 0;

    return error ? error : qcow2_flush(q);
}

int qcow2_resize(struct qcow2 *q, uint64_t size, char *why, size_t why_size)
{
    uint64_t per_l1 = qcow2_cluster(q) * qcow2_l2_entries(q), at = q->l1_at;
    uint64_t entries = size / per_l1 + (size % per_l1 != 0);
    bool more = entries > q->l1_size;
    struct qcow2_field header[] = {
        {QCOW2_H_SIZE, 8, size},
        {QCOW2_H_L1_SIZE, 4, more ? entries : q->l1_size},
        {QCOW2_H_L1_AT, 8, 0},
    };
    int error;

    fmt_snprintf(why, why_size,
                 "a disk can only be made larger, by whole sectors, to at most %lu GiB",
                 (unsigned long)(QCOW2_L1_MAX / 8 * per_l1 >> 30));
    if (size <= q->size || size % BLK_SECTOR || entries > QCOW2_L1_MAX / 8)
        return -EINVAL;
    fmt_snprintf(why, why_size, "its partition has no room for the tables, or cannot be written");
    error = more ? move_l1(q, entries, &at) : 0;
    if (!error)
        error = qcow2_flush(q); /* counts and the new table, before what refers to them */
    header[2].value = at;
    if (!error)
        error = qcow2_write_header(q, header, ARRAY_LEN(header));
    return !error && more ? drop_l1(q) : error;
}
