// SPDX-License-Identifier: BSD-2-Clause
// A larger disk for the guest, also while it is used. The level 1 table moves to new clusters when it needs more entries.
//
// The order: the new table and the counts of its clusters; (flush) the header, whose one sector has place and length of the table and the
// disk's size; (flush) the old table's clusters are free. So a power cut leaves the old size or the new one, and at most clusters of a
// table as a leak.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/blk_io.h"
#include "blk/qcow2_create.h"
#include "mem/heap.h"

struct level1 {
    uint64_t at;
    uint32_t entries;
};

static uint64_t table_len(const struct qcow2 *q, uint64_t entries)
{
    return align_up(8 * entries, qcow2_cluster(q));
}

/* The old table, as it is on the disk, and zeros. */
static int write_level1(struct qcow2 *q, const struct level1 *l1)
{
    uint64_t len = table_len(q, l1->entries), old = 8ul * q->l1_size;
    uint8_t *table = heap_alloc(len);
    int error;

    if (!table)
        return -ENOMEM;
    error = old ? blk_read(q->file, q->l1_at, table,
                           align_up(old, max_u64(q->file->block_size, BLK_SECTOR)))
                : 0;
    memset(table + old, 0, len - old);
    if (!error)
        error = blk_write(q->file, l1->at, table, len);
    heap_free(table);
    return error;
}

static int new_level1(struct qcow2 *q, struct level1 *l1)
{
    uint64_t n = table_len(q, l1->entries) >> q->cluster_bits, first;
    int error = qcow2_alloc_run(q, n, &first);

    if (error)
        return error;
    l1->at = first << q->cluster_bits;
    meta_forget(&q->cache, l1->at, n << q->cluster_bits);
    error = write_level1(q, l1);
    if (error && qcow2_release(q, first, n))
        return error; /* they are lost: a leak */
    return error;
}

static int write_header(struct qcow2 *q, uint64_t size, const struct level1 *l1)
{
    const struct qcow2_field header[] = {
        {QCOW2_H_SIZE, 8, size},
        {QCOW2_H_L1_SIZE, 4, l1->entries},
        {QCOW2_H_L1_AT, 8, l1->at},
    };
    int error = qcow2_flush(q); /* the new table and its counts, before what refers to them */

    return error ? error : qcow2_write_header(q, header, ARRAY_LEN(header));
}

/* From here on all look-ups go by the new table. */
static void take_over(struct qcow2 *q, uint64_t size, const struct level1 *l1)
{
    spin_lock(q->cache.lock);
    q->l1_at = l1->at;
    q->l1_size = l1->entries;
    q->size = size;
    spin_unlock(q->cache.lock);
}

/* The old table's clusters, which nothing refers to any more. What fails here is a leak, no more. */
static void drop_level1(struct qcow2 *q, const struct level1 *old)
{
    uint64_t len = table_len(q, old->entries);

    meta_forget(&q->cache, old->at, len);
    if (len && qcow2_release(q, old->at >> q->cluster_bits, len >> q->cluster_bits))
        return;
}

static uint64_t entries_for(const struct qcow2 *q, uint64_t size)
{
    uint64_t each = qcow2_cluster(q) * qcow2_l2_entries(q);

    return size / each + (size % each != 0);
}

int qcow2_check_size(const struct qcow2 *q, uint64_t size, char *why, size_t why_size)
{
    uint64_t most = QCOW2_L1_MAX / 8 * qcow2_cluster(q) * qcow2_l2_entries(q);

    if (size > q->size && size % BLK_SECTOR == 0 && size <= most)
        return 0;
    fmt_snprintf(
        why, why_size,
        "it has %lu bytes, and can only be made larger, by whole sectors, to at most %lu GiB",
        (unsigned long)q->size, (unsigned long)(most >> 30));
    return -EINVAL;
}

void qcow2_set_room(struct qcow2 *q)
{
    spin_lock(q->cache.lock);
    q->clusters = q->file->sectors / (qcow2_cluster(q) / BLK_SECTOR);
    spin_unlock(q->cache.lock);
}

int qcow2_resize(struct qcow2 *q, uint64_t size, char *why, size_t why_size)
{
    struct level1 old = {q->l1_at, q->l1_size}, l1 = old;
    uint64_t entries = entries_for(q, size);
    int error = qcow2_check_size(q, size, why, why_size);

    if (error)
        return error;
    error = qcow2_flush(q); /* the table that is copied is the one on the disk */
    if (!error && entries > old.entries) {
        l1.entries = (uint32_t)entries;
        error = new_level1(q, &l1);
    }
    if (!error)
        error = write_header(q, size, &l1);
    if (error) {
        fmt_snprintf(why, why_size, "%s",
                     error == -ENOSPC   ? "its partition has no room for the tables"
                     : error == -ENOMEM ? "out of memory"
                                        : "its tables cannot be read or written");
        return error;
    }
    take_over(q, size, &l1);
    if (l1.at != old.at)
        drop_level1(q, &old);
    return 0;
}
