// SPDX-License-Identifier: BSD-2-Clause
// Reference counts. A cluster whose count is 0 is free. Counts are kept in blocks, each of a cluster; the refcount
// table says where they are. A block that is missing stands for a stretch that is all free: it is made in the
// first cluster of its stretch that is wanted, and counts itself.
#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/qcow2.h"
#include "sched/thread.h"

static uint64_t per_block(const struct qcow2 *q)
{
    return (qcow2_cluster(q) * 8) >> q->refcount_order;
}

int qcow2_find_block(struct qcow2 *q, uint64_t cluster, uint64_t *block)
{
    uint64_t entry = cluster / per_block(q) * 8;
    int error;

    if (entry >= q->refcount_table_len)
        return -ENOSPC;
    error = meta_get64(&q->cache, q->refcount_table_at + entry, META_REFCOUNT_TABLE, block);
    if (error)
        return error;
    *block &= ~511ul;
    return *block && !qcow2_place_ok(q, *block, qcow2_cluster(q)) ? -EIO : 0;
}

/* The byte in which a cluster's count begins, in the block. */
static uint64_t count_at(const struct qcow2 *q, uint64_t block, uint64_t cluster)
{
    return block + ((cluster % per_block(q)) << q->refcount_order) / 8;
}

/* Counts of less than a byte: the first is in the lowest bits. */
static unsigned count_shift(const struct qcow2 *q, uint64_t cluster)
{
    return q->refcount_order < 3 ? (unsigned)((cluster << q->refcount_order) % 8) : 0;
}

static uint64_t get_count(const struct qcow2 *q, const uint8_t *p, uint64_t cluster)
{
    if (q->refcount_order >= 3)
        return meta_be(p, 1u << (q->refcount_order - 3));
    return *p >> count_shift(q, cluster) & ((1u << (1u << q->refcount_order)) - 1);
}

static unsigned count_bytes(const struct qcow2 *q)
{
    return q->refcount_order < 3 ? 1 : 1u << (q->refcount_order - 3);
}

void qcow2_put_count(const struct qcow2 *q, uint8_t *at, uint64_t cluster, uint64_t count)
{
    unsigned bits = 1u << q->refcount_order, shift = count_shift(q, cluster);

    if (q->refcount_order < 3)
        count = (*at & ~(((1u << bits) - 1) << shift)) | count << shift;
    meta_put_be(at, count, count_bytes(q));
}

/* The count's page is here. */
static void put_count(struct qcow2 *q, uint64_t at, const uint8_t *p, uint64_t cluster,
                      uint64_t count)
{
    uint8_t be[8];

    memcpy(be, p, count_bytes(q));
    qcow2_put_count(q, be, cluster, count);
    meta_store(&q->cache, at, be, count_bytes(q));
}

static int make_block(struct qcow2 *q, uint64_t cluster)
{
    uint64_t block = cluster << q->cluster_bits, at = count_at(q, block, cluster), unused;
    uint64_t entry = q->refcount_table_at + cluster / per_block(q) * 8;
    const uint8_t *p;
    int error;

    meta_forget(&q->cache, block, qcow2_cluster(q));
    error = blk_zero(q->file, block, qcow2_cluster(q));
    if (!error)
        error = meta_load(&q->cache, at, META_REFCOUNTS, &p);
    if (error)
        return error;
    put_count(q, at, p, cluster, 1);
    error = meta_get64(&q->cache, entry, META_REFCOUNT_TABLE, &unused);
    if (!error)
        meta_put64(&q->cache, entry, block);
    return error;
}

/* How many clusters from this one on have their counts in one page of the cache. */
static uint64_t in_page(const struct qcow2 *q, uint64_t cluster)
{
    uint64_t most = ((uint64_t)q->cache.page_size * 8) >> q->refcount_order;

    return min_u64(most - cluster % per_block(q) % most, q->clusters - cluster);
}

/* The first free cluster from *cluster on among those of its page, and how many follow it, at most want; false: none, and
 * *cluster is the first of the next page. */
static bool search_page(const struct qcow2 *q, uint64_t block, const uint8_t *p, uint64_t *cluster,
                        uint64_t want, uint64_t *got)
{
    uint64_t end = *cluster + in_page(q, *cluster), base = count_at(q, block, *cluster);

    *got = 0;
    for (; *cluster < end && *got < want; ++*cluster) {
        if (!get_count(q, p + (count_at(q, block, *cluster) - base), *cluster))
            ++*got;
        else if (*got)
            break;
    }
    *cluster -= *got;
    return *got;
}

static int take(struct qcow2 *q, uint64_t block, uint64_t first, uint64_t n)
{
    for (uint64_t c = first; c < first + n; c++) {
        const uint8_t *p;
        int error = meta_load(&q->cache, count_at(q, block, c), META_REFCOUNTS, &p);

        if (error)
            return error; /* those of one page: only the first can fail */
        put_count(q, count_at(q, block, c), p, c, 1);
    }
    return 0;
}

bool qcow2_on_tables(const struct qcow2 *q, uint64_t first, uint64_t n)
{
    uint64_t at = first << q->cluster_bits, end = at + (n << q->cluster_bits);

    return !first || (at < q->l1_at + 8ul * q->l1_size && q->l1_at < end) ||
           (at < q->refcount_table_at + q->refcount_table_len && q->refcount_table_at < end);
}

/* As qcow2_alloc, without what is still to be given back, and of runs of fewer than least none. */
static int search(struct qcow2 *q, uint64_t least, uint64_t want, uint64_t *first, uint64_t *got)
{
    uint64_t cluster = q->free_from, block;
    int error = 0;

    while (cluster < q->clusters && !error) {
        const uint8_t *p;

        sched_point();
        error = qcow2_find_block(q, cluster, &block);
        if (error == -ENOSPC) {
            error = qcow2_grow_refcounts(q);
            cluster = error ? cluster : q->free_from; /* the old table's are free */
            continue;
        }
        if (!error && !block) {
            if (qcow2_on_tables(q, cluster, 1))
                return -EIO;
            error = make_block(q, cluster++);
            continue;
        }
        if (!error)
            error = meta_load(&q->cache, count_at(q, block, cluster), META_REFCOUNTS, &p);
        if (!error && search_page(q, block, p, &cluster, want, got)) {
            if (*got < least) {
                cluster += *got;
                continue;
            }
            error = qcow2_on_tables(q, cluster, *got) ? -EIO : take(q, block, cluster, *got);
            *first = cluster;
            if (!error && least == 1)
                q->free_from = cluster + *got;
            return error;
        }
    }
    if (least == 1 && (!error || error == -ENOSPC))
        q->free_from = cluster; /* a full disk is not searched anew for each write */
    return error ? error : -ENOSPC;
}

static int alloc(struct qcow2 *q, uint64_t least, uint64_t want, uint64_t *first, uint64_t *got)
{
    int error = search(q, least, want, first, got);

    if (error != -ENOSPC || !q->pending_count)
        return error;
    error = qcow2_flush(q); /* after which what was given up is free */
    return error ? error : search(q, least, want, first, got);
}

int qcow2_alloc(struct qcow2 *q, uint64_t want, uint64_t *first, uint64_t *got)
{
    return alloc(q, 1, want, first, got);
}

int qcow2_alloc_run(struct qcow2 *q, uint64_t n, uint64_t *first)
{
    uint64_t got;

    return alloc(q, n, n, first, &got);
}

int qcow2_release(struct qcow2 *q, uint64_t first, uint64_t count)
{
    q->free_from = min_u64(q->free_from, first);
    for (uint64_t c = first; c < first + count; c++) {
        const uint8_t *p;
        uint64_t block;
        int error = qcow2_find_block(q, c, &block);

        if (!error && !block)
            error = -EIO;
        if (!error)
            error = meta_load(&q->cache, count_at(q, block, c), META_REFCOUNTS, &p);
        if (error)
            return error;
        if (!get_count(q, p, c))
            return -EIO;
        put_count(q, count_at(q, block, c), p, c, get_count(q, p, c) - 1);
    }
    return 0;
}

static bool merge(struct qcow2_pending *last, const struct qcow2_pending *p)
{
    if (last->first + last->count != p->first || last->shared != p->shared)
        return false;
    last->count += p->count;
    return true;
}

static int give_up(struct qcow2 *q, struct qcow2_pending p)
{
    int error = 0;

    if (q->pending_count && merge(&q->pending[q->pending_count - 1], &p))
        return 0;
    if (q->pending_count == QCOW2_PENDING)
        error = qcow2_flush(q);
    if (!error)
        q->pending[q->pending_count++] = p;
    return error;
}

int qcow2_give_up(struct qcow2 *q, uint64_t host, uint64_t count)
{
    return give_up(q, (struct qcow2_pending){host >> q->cluster_bits, count, false});
}

/* It is counted in each cluster that it lies in, as others there are. */
int qcow2_give_up_compressed(struct qcow2 *q, const struct qcow2_run *run)
{
    uint64_t first = run->host >> q->cluster_bits;
    uint64_t last = (run->host + run->stored - 1) >> q->cluster_bits;

    return give_up(q, (struct qcow2_pending){first, last - first + 1, true});
}
