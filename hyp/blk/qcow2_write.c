// SPDX-License-Identifier: BSD-2-Clause
// What changes tables: writes into new clusters, zeros, discards; and the flush that puts it all in order.
#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/qcow2_compressed.h"
#include "sched/thread.h"

enum { ROOM = 16 }; /* pages of the cache that one step may need */

/* Writes tables back before the cache is all dirty. */
static int make_room(struct qcow2 *q)
{
    return meta_dirty(&q->cache) + ROOM > q->cache.most ? qcow2_flush(q) : 0;
}

/* ---- tables ---- */

static int new_l2(struct qcow2 *q, uint64_t l1_entry, uint64_t *l2)
{
    uint64_t first, got, unused;
    int error = qcow2_alloc(q, 1, &first, &got);

    if (error)
        return error;
    *l2 = first << q->cluster_bits;
    meta_forget(&q->cache, *l2, qcow2_cluster(q));
    error = blk_zero(q->file, *l2, qcow2_cluster(q));
    if (!error)
        error = meta_get64(&q->cache, l1_entry, META_MAPS, &unused);
    if (!error)
        meta_put64(&q->cache, l1_entry, *l2 | QCOW2_COPIED);
    else if (qcow2_release(q, first, 1))
        return error; /* it is lost: a leak */
    return error;
}

/* The level 2 table for a place, that may be changed; *l2 is 0 when there is none and make is not set. */
static int l2_table(struct qcow2 *q, uint64_t at, bool make, uint64_t *l2)
{
    uint64_t entry;
    int error = meta_get64(&q->cache, qcow2_l1_entry(q, at), META_MAPS, &entry);

    if (error)
        return error;
    *l2 = entry & QCOW2_OFFSET;
    if (!*l2)
        return make ? new_l2(q, qcow2_l1_entry(q, at), l2) : 0;
    return entry & QCOW2_COPIED && qcow2_place_ok(q, *l2, qcow2_cluster(q)) ? 0 : -EIO;
}

/* Sets the entries of n clusters from at on; host 0: all are the same, else clusters that follow one another. */
static int set_entries(struct qcow2 *q, uint64_t l2, uint64_t at, uint64_t n, uint64_t host,
                       uint64_t flags)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t where = qcow2_l2_entry(q, l2, at + (i << q->cluster_bits)), unused;
        int error = meta_get64(&q->cache, where, META_MAPS, &unused);

        if (error)
            return error; /* those of one page: only the first can fail */
        meta_put64(&q->cache, where, (host ? host + (i << q->cluster_bits) : 0) | flags);
    }
    return 0;
}

/* ---- writes ---- */

/* The clusters that one step writes: n of them, the first at `start` in the guest's disk. */
struct step {
    uint64_t l2, start, n;
    uint64_t host; /* where; 0: to be allocated */
    uint64_t head, len, tail; /* bytes before the data, of the data, behind them */
    bool below; /* what is around them comes from behind the image */
    bool unpack; /* … from the compressed cluster that was there; else it is zeros */
    struct qcow2_run compressed;
    bool in_place; /* data that need no copy and no entry */
};

static bool wants_cluster(const struct qcow2_run *run, const struct qcow2_run *like)
{
    return run->kind == like->kind && !run->host;
}

/* How many clusters, from the entry at p on and at most n, are as the first, and want new ones. */
static uint64_t count_like(const struct qcow2 *q, const uint8_t *p, uint64_t entry_at, uint64_t n,
                           const struct qcow2_run *like)
{
    uint64_t most = (q->cache.page_size - entry_at % q->cache.page_size) / 8, i;

    n = min_u64(n, most);
    for (i = 1; i < n; i++) {
        struct qcow2_run run;

        if (qcow2_judge(q, meta_be(p + 8 * i, 8), &run) || !wants_cluster(&run, like))
            break;
    }
    return i;
}

static int plan(struct qcow2 *q, uint64_t at, uint64_t len, struct step *s)
{
    uint64_t entry_at = qcow2_l2_entry(q, s->l2, at), want;
    struct qcow2_run run;
    const uint8_t *p;
    int error = meta_load(&q->cache, entry_at, META_MAPS, &p);

    if (!error)
        error = qcow2_judge(q, meta_be(p, 8), &run);
    if (error)
        return error;
    s->unpack = run.kind == QCOW2_COMPRESSED;
    s->compressed = run;
    if (s->unpack)
        run.host = 0; /* it is not written in place */
    if (run.host && !run.in_place)
        return -EIO;
    s->head = at % qcow2_cluster(q);
    s->start = at - s->head;
    want = (s->head + len + qcow2_cluster(q) - 1) >> q->cluster_bits;
    s->host = run.host;
    s->n = run.host || s->unpack ? 1 : count_like(q, p, entry_at, want, &run);
    s->in_place = run.kind == QCOW2_DATA;
    s->below = run.kind == QCOW2_HOLE && q->read_below;
    return 0;
}

static int read_around(struct qcow2 *q, const struct step *s, uint64_t at, uint8_t *to,
                       uint64_t len)
{
    const uint8_t *cluster;
    int error;

    if (s->below && len)
        return q->read_below(q->ctx, at, to, len);
    if (!s->unpack || !len) {
        memset(to, 0, len);
        return 0;
    }
    error = qcow2_read_compressed(q, &s->compressed, &cluster);
    if (!error)
        memcpy(to, cluster + (at - s->start), len);
    return error;
}

/* The first len bytes of the data, with what goes around them, as one list. */
static unsigned gather(struct qcow2 *q, const struct step *s, const struct blk_segment *seg)
{
    uint64_t left = s->len;
    unsigned n = 0;

    if (s->head)
        q->seg[n++] = (struct blk_segment){q->copy, (uint32_t)s->head};
    for (; left && n < BLK_SEGMENTS - 1; seg++) {
        q->seg[n] = (struct blk_segment){seg->hva, (uint32_t)min_u64(seg->len, left)};
        left -= q->seg[n++].len;
    }
    if (s->tail)
        q->seg[n++] = (struct blk_segment){q->copy + qcow2_cluster(q), (uint32_t)s->tail};
    return n;
}

static int write_data(struct qcow2 *q, const struct step *s, const struct blk_segment *seg)
{
    uint64_t all = s->head + s->len + s->tail, into = s->in_place ? s->head : 0;
    struct step data = *s;
    struct blk_waited w;
    int error;

    if (s->in_place) {
        data.head = data.tail = 0;
        all = s->len;
    }
    error = read_around(q, &data, s->start, q->copy, data.head);
    if (!error)
        error = read_around(q, &data, s->start + data.head + s->len, q->copy + qcow2_cluster(q),
                            data.tail);
    if (error)
        return error;
    w = (struct blk_waited){.r = {.op = BLK_WRITE,
                                  .sector = (s->host + into) / BLK_SECTOR,
                                  .sectors = all / BLK_SECTOR,
                                  .seg = q->seg,
                                  .seg_count = gather(q, &data, seg)}};
    return blk_do(q->file, &w);
}

static void set_lengths(const struct qcow2 *q, struct step *s, uint64_t len)
{
    uint64_t room = s->n << q->cluster_bits;

    s->len = min_u64(len, room - s->head);
    s->tail = room - s->head - s->len;
}

static int write_new(struct qcow2 *q, struct step *s, const struct blk_segment *seg, uint64_t len)
{
    uint64_t first;
    int error = qcow2_alloc(q, s->n, &first, &s->n);

    if (error)
        return error;
    s->host = first << q->cluster_bits;
    set_lengths(q, s, len);
    error = write_data(q, s, seg);
    if (!error)
        error = set_entries(q, s->l2, s->start, s->n, s->host, QCOW2_COPIED);
    if (error && qcow2_release(q, first, s->n))
        return error; /* they are lost: a leak */
    if (!error && s->unpack)
        error = qcow2_give_up_compressed(q, &s->compressed);
    return error;
}

int qcow2_write(struct qcow2 *q, uint64_t at, const struct blk_segment *seg, unsigned seg_count,
                uint64_t len, uint64_t *done)
{
    struct step s;
    int error = make_room(q);

    if (!error && (seg_count > BLK_SEGMENTS - 2 || !q->writable))
        error = -EIO;
    if (!error)
        error = l2_table(q, at, true, &s.l2);
    if (!error)
        error = plan(q, at, len, &s);
    if (error)
        return error;
    if (!s.host) {
        error = write_new(q, &s, seg, len);
    } else {
        set_lengths(q, &s, len);
        error = write_data(q, &s, seg);
        if (!error && !s.in_place)
            error = set_entries(q, s.l2, s.start, 1, s.host, QCOW2_COPIED);
    }
    *done = s.len;
    return error;
}

/* ---- zeros and discards ---- */

/* Clusters that are given up read as zeros: as holes do where nothing is behind them. */
static uint64_t empty_entry(const struct qcow2 *q) { return q->has_backing ? QCOW2_ZERO_FLAG : 0; }

static int zero_cluster(struct qcow2 *q, uint64_t at, bool give_up)
{
    struct qcow2_run run;
    uint64_t l2 = 0, entry;
    int error = make_room(q);

    if (!error)
        error = l2_table(q, at, q->has_backing, &l2);
    if (error || !l2)
        return error;
    error = meta_get64(&q->cache, qcow2_l2_entry(q, l2, at), META_MAPS, &entry);
    if (!error)
        error = qcow2_judge(q, entry, &run);
    if (error)
        return error;
    if (run.kind == QCOW2_COMPRESSED) {
        error = set_entries(q, l2, at, 1, 0, empty_entry(q));
        return error ? error : qcow2_give_up_compressed(q, &run);
    }
    if (run.host && !run.in_place)
        return -EIO;
    if ((run.kind == QCOW2_HOLE && !q->has_backing) ||
        (run.kind == QCOW2_ZERO && !(run.host && give_up)))
        return 0;
    if (give_up || !run.host)
        error = set_entries(q, l2, at, 1, 0, run.host || q->has_backing ? empty_entry(q) : 0);
    else
        error = set_entries(q, l2, at, 1, run.host, QCOW2_COPIED | QCOW2_ZERO_FLAG);
    return !error && give_up && run.host ? qcow2_give_up(q, run.host, 1) : error;
}

/* What a cluster holds: all of it, from behind the image or unpacked, is written anew with zeros in it. */
static int zero_copy(struct qcow2 *q, const struct qcow2_run *run, uint64_t at, uint64_t len)
{
    uint64_t start = align_down(at, qcow2_cluster(q)), done;
    struct blk_segment seg = {q->copy, (uint32_t)qcow2_cluster(q)};
    const uint8_t *cluster;
    int error;

    if (run->kind == QCOW2_COMPRESSED) {
        error = qcow2_read_compressed(q, run, &cluster);
        if (!error)
            memcpy(q->copy, cluster, qcow2_cluster(q));
    } else {
        error = q->read_below(q->ctx, start, q->copy, qcow2_cluster(q));
    }
    if (error)
        return error;
    memset(q->copy + (at - start), 0, len);
    return qcow2_write(q, start, &seg, 1, qcow2_cluster(q), &done);
}

static int map_loaded(struct qcow2 *q, uint64_t at, uint64_t len, struct qcow2_run *run)
{
    for (;;) {
        int error;

        spin_lock(q->cache.lock);
        error = qcow2_map(q, at, len, run);
        spin_unlock(q->cache.lock);
        if (error || run->kind != QCOW2_ABSENT)
            return error;
        error = qcow2_load(q, run->host);
        if (error)
            return error;
    }
}

/* Part of a cluster. */
static int zero_part(struct qcow2 *q, uint64_t at, uint64_t len)
{
    struct qcow2_run run;
    int error = map_loaded(q, at, len, &run);

    if (error)
        return error;
    switch (run.kind) {
    case QCOW2_DATA:
        return run.in_place ? blk_zero(q->file, run.host, len) : -EIO;
    case QCOW2_HOLE:
        return q->read_below ? zero_copy(q, &run, at, len) : 0;
    case QCOW2_COMPRESSED:
        return zero_copy(q, &run, at, len);
    case QCOW2_ZERO:
        return 0;
    default:
        return -EIO;
    }
}

static int each_cluster(struct qcow2 *q, uint64_t at, uint64_t len, bool give_up, bool parts)
{
    int error = q->writable ? 0 : -EIO;

    while (len && !error) {
        uint64_t n = min_u64(len, qcow2_cluster(q) - at % qcow2_cluster(q));

        if (n == qcow2_cluster(q) || (at % qcow2_cluster(q) == 0 && at + n == q->size))
            error = zero_cluster(q, at, give_up);
        else if (parts)
            error = zero_part(q, at, n);
        at += n;
        len -= n;
        sched_point();
    }
    return error;
}

int qcow2_zero(struct qcow2 *q, uint64_t at, uint64_t len, bool unmap)
{
    return each_cluster(q, at, len, unmap, true);
}

int qcow2_discard(struct qcow2 *q, uint64_t at, uint64_t len)
{
    return each_cluster(q, at, len, true, false);
}

/* ---- flush ---- */

/* Nothing on the medium refers to the pending clusters any more, and nobody moves their data: they are free. */
static int free_pending(struct qcow2 *q)
{
    int error = 0;

    if (q->quiesce)
        q->quiesce(q->ctx);
    for (unsigned i = 0; i < q->pending_count; i++) {
        struct qcow2_pending *p = &q->pending[i];

        if (!p->shared)
            blk_discard(q->file, p->first << q->cluster_bits, p->count << q->cluster_bits);
        if (!error)
            error = qcow2_release(q, p->first, p->count); /* what is not released leaks */
    }
    q->pending_count = 0;
    return error ? error : meta_write(&q->cache, META_REFCOUNTS);
}

int qcow2_flush(struct qcow2 *q)
{
    struct meta_cache *c = &q->cache;
    int error = !q->writable && qcow2_needs_flush(q) ? -EIO : 0;

    if (!error)
        error = meta_write(c, META_REFCOUNTS);

    if (!error && c->dirty[META_REFCOUNT_TABLE]) {
        error = blk_flush(q->file);
        if (!error)
            error = meta_write(c, META_REFCOUNT_TABLE);
    }
    if (!error && c->dirty[META_MAPS]) {
        error = blk_flush(q->file);
        if (!error)
            error = meta_write(c, META_MAPS);
    }
    if (!error)
        error = blk_flush(q->file);
    return !error && q->pending_count ? free_pending(q) : error;
}
