// SPDX-License-Identifier: BSD-2-Clause
// Requests, as far as they go without waiting; see image.h.
#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/image_parts.h"

enum part_state { PART_SUBMITTED, PART_EARLY, PART_IN_FLIGHT };

/* ---- where bytes are ---- */

/* A raw file has everything up to its end. */
static void map_raw(const struct image_layer *l, uint64_t at, uint64_t len, struct qcow2_run *run)
{
    *run = (struct qcow2_run){
        .kind = QCOW2_DATA, .len = min_u64(len, l->size - at), .host = at, .in_place = true};
}

int image_map(struct image *m, unsigned from, uint64_t at, uint64_t len, struct image_layer **layer,
              struct qcow2_run *run)
{
    int error = 0;

    for (unsigned i = from; i < m->layers && !error; i++) {
        *layer = m->layer[i];
        if (at >= m->layer[i]->size)
            break; /* zeros: what is behind a smaller image shows nothing past its end */
        if (!m->layer[i]->is_qcow2)
            map_raw(m->layer[i], at, len, run);
        else
            error = qcow2_map(&m->layer[i]->q, at, min_u64(len, m->layer[i]->size - at), run);
        if (error || run->kind != QCOW2_HOLE)
            return error;
        len = run->len;
    }
    *run = (struct qcow2_run){.kind = QCOW2_HOLE, .len = len};
    return error;
}

/* ---- lists of segments ---- */

unsigned image_slice(const struct blk_request *r, uint64_t offset, uint64_t len,
                     struct blk_segment *to)
{
    unsigned n = 0;

    for (unsigned i = 0; i < r->seg_count && len; i++) {
        uint64_t take = min_u64(r->seg[i].len, offset + len);

        if (offset >= r->seg[i].len) {
            offset -= r->seg[i].len;
            continue;
        }
        take -= offset;
        to[n++] = (struct blk_segment){(char *)r->seg[i].hva + offset, (uint32_t)take};
        offset = 0;
        len -= take;
    }
    return n;
}

static void zero_segments(struct image_request *q, uint64_t len)
{
    unsigned n = image_slice(q->r, q->at - q->r->sector * BLK_SECTOR, len, q->seg);

    for (unsigned i = 0; i < n; i++)
        memset(q->seg[i].hva, 0, q->seg[i].len);
}

/* ---- ends ---- */

static const char *op_name(enum blk_op op)
{
    static const char *const names[] = {"read", "write", "flush", "discard", "write of zeros"};

    return names[op];
}

static const char *error_text(int error)
{
    return error == -ENOSPC    ? "its partition is full"
           : error == -ENOMEM  ? "out of memory"
           : error == -ENOTSUP ? "not supported"
                               : "input/output error, or damaged tables: 'qemu-img check'";
}

void image_end(struct image_request *q, int result)
{
    struct image *m = q->image;
    struct blk_request *r = q->r;
    bool wake;

    if (result)
        log_limited(&m->errors, LOG_ERROR, "disk %s: %s at byte %lu: %s", m->name, op_name(r->op),
                    (unsigned long)q->at, error_text(result));
    r->result = result;
    r->batch = q->batch;
    spin_lock(&m->lock);
    q->r = NULL;
    wake = m->full;
    spin_unlock(&m->lock);
    if (wake)
        thread_wake(m->worker); /* which says ready: here a device's lock may be held */
    r->done(r); /* the image may be closed after this */
}

void image_queue(struct image_request *q)
{
    struct image *m = q->image;

    q->next = NULL;
    q->batch = NULL;
    q->more = false;
    spin_lock(&m->lock);
    if (m->last)
        m->last->next = q;
    else
        m->first = q;
    m->last = q;
    spin_unlock(&m->lock);
    thread_wake(m->worker);
}

/* ---- parts ---- */

static void end_direct(struct image *m)
{
    bool wake;

    spin_lock(&m->lock);
    wake = --m->direct == 0 && m->hold;
    spin_unlock(&m->lock);
    if (wake)
        thread_wake(m->worker);
}

/* A part has ended: the request stands behind it, or at its error. */
static int after_part(struct image_request *q)
{
    end_direct(q->image);
    if (q->part.op == BLK_READ || q->part.op == BLK_WRITE)
        q->at += q->part.sectors * BLK_SECTOR;
    return q->part.result;
}

static void part_done(struct blk_request *part)
{
    struct image_request *q = part->owner;
    uint32_t was = PART_SUBMITTED;
    int error;

    if (atomic_compare_exchange_strong(&q->state, &was, PART_EARLY))
        return; /* whoever submits it goes on */
    q->batch = part->batch;
    q->more = false;
    error = after_part(q);
    if (error)
        image_end(q, error);
    else
        image_go(q);
}

/* Hands the part to a file; it is counted already. 1: it has ended, and q->part.result says how; 0: it is under way, and
 * q another one's; -EAGAIN. */
static int send_part(struct image_request *q, struct blk_backend *file)
{
    uint32_t was = PART_SUBMITTED;

    q->part.done = part_done;
    q->part.owner = q;
    q->part.more = q->more;
    q->batch = NULL;
    atomic_store_explicit(&q->state, PART_SUBMITTED, memory_order_relaxed);
    if (file->submit(file->ctx, &q->part) == -EAGAIN) {
        end_direct(q->image);
        return -EAGAIN;
    }
    return !atomic_compare_exchange_strong(&q->state, &was, PART_IN_FLIGHT);
}

enum next { NEXT_PART, NEXT_ZEROS, NEXT_WORKER, NEXT_ERROR };

/* What is to be done next for a read or write. NEXT_PART: it is counted in `direct`. */
static enum next look(struct image_request *q, struct image_layer **layer, struct qcow2_run *run)
{
    struct image *m = q->image;
    bool write = q->r->op == BLK_WRITE;
    enum next next = NEXT_WORKER;

    spin_lock(&m->lock);
    if (!m->hold) {
        if (image_map(m, 0, q->at, q->end - q->at, layer, run))
            next = NEXT_ERROR;
        else if (run->kind == QCOW2_DATA && (!write || (*layer == m->layer[0] && run->in_place)))
            next = NEXT_PART;
        else if (!write && (run->kind == QCOW2_HOLE || run->kind == QCOW2_ZERO))
            next = NEXT_ZEROS;
    }
    m->direct += next == NEXT_PART;
    spin_unlock(&m->lock);
    return next;
}

static void make_part(struct image_request *q, const struct qcow2_run *run)
{
    q->part = (struct blk_request){.op = q->r->op,
                                   .sector = run->host / BLK_SECTOR,
                                   .sectors = run->len / BLK_SECTOR,
                                   .seg = q->seg};
    q->part.seg_count = image_slice(q->r, q->at - q->r->sector * BLK_SECTOR, run->len, q->seg);
}

static void go_data(struct image_request *q)
{
    struct image_layer *layer = NULL;
    struct qcow2_run run;
    int sent;

    while (q->at < q->end) {
        switch (look(q, &layer, &run)) {
        case NEXT_ZEROS:
            zero_segments(q, run.len);
            q->at += run.len;
            continue;
        case NEXT_WORKER:
            image_queue(q);
            return;
        case NEXT_ERROR:
            image_end(q, -EIO);
            return;
        default:
            make_part(q, &run);
        }
        sent = send_part(q, layer->file);
        if (!sent)
            return;
        if (sent == -EAGAIN) {
            image_queue(q); /* the worker tries until there is room */
            return;
        }
        sent = after_part(q);
        if (sent) {
            image_end(q, sent);
            return;
        }
    }
    image_end(q, 0);
}

/* A flush of what the file has, when no table is to be written. */
static void go_flush(struct image_request *q)
{
    struct image *m = q->image;
    struct image_layer *top = m->layer[0];
    int sent;

    spin_lock(&m->lock);
    bool direct = !m->hold && !(top->is_qcow2 && qcow2_needs_flush(&top->q));
    m->direct += direct;
    spin_unlock(&m->lock);
    if (!direct) {
        image_queue(q);
        return;
    }
    q->part = (struct blk_request){.op = BLK_FLUSH};
    sent = send_part(q, top->file);
    if (sent == -EAGAIN)
        image_queue(q);
    else if (sent)
        image_end(q, after_part(q));
}

void image_go(struct image_request *q)
{
    switch (q->r->op) {
    case BLK_READ:
    case BLK_WRITE:
        go_data(q);
        return;
    case BLK_FLUSH:
        if (q->part.op == BLK_FLUSH && q->part.done)
            image_end(q, 0); /* it was */
        else
            go_flush(q);
        return;
    default:
        image_queue(q);
    }
}

/* ---- the beginning ---- */

/* 0, or the result of a request that cannot be. */
static int check(const struct image *m, const struct blk_request *r)
{
    uint64_t bytes = 0;

    if (r->op == BLK_FLUSH)
        return 0;
    if (r->op != BLK_READ && m->blk.read_only)
        return -EACCES;
    if (!r->sectors || !range_ok(r->sector, r->sectors, m->blk.sectors))
        return -EIO;
    if (r->op != BLK_READ && r->op != BLK_WRITE)
        return 0;
    if (r->seg_count > BLK_SEGMENTS - 2) /* a write may get what is around it on either side */
        return -EIO;
    for (unsigned i = 0; i < r->seg_count; i++)
        bytes += r->seg[i].len;
    return bytes == r->sectors * BLK_SECTOR ? 0 : -EIO;
}

static struct image_request *take(struct image *m, struct blk_request *r)
{
    struct image_request *q = NULL;

    spin_lock(&m->lock);
    for (unsigned i = 0; i < IMAGE_DEPTH && !q; i++)
        if (!m->request[i]->r)
            q = m->request[i];
    if (q)
        q->r = r;
    m->full |= !q;
    spin_unlock(&m->lock);
    return q;
}

int image_submit(void *ctx, struct blk_request *r)
{
    struct image *m = ctx;
    struct image_request *q;
    int error = check(m, r);

    if (error) {
        r->result = error;
        r->done(r);
        return 0;
    }
    q = take(m, r);
    if (!q)
        return -EAGAIN;
    q->batch = NULL;
    q->more = r->more;
    q->at = r->sector * BLK_SECTOR;
    q->end = q->at + r->sectors * BLK_SECTOR;
    q->part = (struct blk_request){.op = BLK_READ};
    image_go(q);
    return 0;
}

void image_commit(void *ctx, unsigned wanted)
{
    struct image *m = ctx;

    for (unsigned i = 0; i < m->layers; i++)
        if (m->layer[i]->file->commit)
            m->layer[i]->file->commit(m->layer[i]->file->ctx, wanted);
}
