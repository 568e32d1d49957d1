// SPDX-License-Identifier: BSD-2-Clause
// A new image: header, refcount table, the first refcount blocks, level 1 table, one behind the
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
