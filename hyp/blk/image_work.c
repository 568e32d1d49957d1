// SPDX-License-Identifier: BSD-2-Clause
// The worker of an image: what may wait; see image.h.
#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/image_parts.h"
#include "blk/qcow2_compressed.h"

/* Brings in a table that a look-up wants. */
static int load(struct image *m, struct image_layer *layer, uint64_t table)
{
    int error = qcow2_load(&layer->q, table);

    if (error == -EBUSY && layer == m->layer[0])
        error = qcow2_flush(&layer->q); /* makes room: the look-up is made again */
    return error;
}

static int map_loaded(struct image *m, unsigned from, uint64_t at, uint64_t len,
                      struct image_layer **layer, struct qcow2_run *run)
{
    for (;;) {
        int error;

        spin_lock(&m->lock);
        error = image_map(m, from, at, len, layer, run);
        spin_unlock(&m->lock);
        if (!error && run->kind == QCOW2_ABSENT)
            error = load(m, *layer, run->host);
        else
            return error;
        if (error)
            return error;
    }
}

/* The part of a run, which begins at `at`, of what is compressed there. */
static int unpack(struct image_layer *layer, const struct qcow2_run *run, uint64_t at,
                  const uint8_t **from)
{
    int error = qcow2_read_compressed(&layer->q, run, from);

    if (!error)
        *from += at % qcow2_cluster(&layer->q);
    return error;
}

static int copy_unpacked(struct image_layer *layer, const struct qcow2_run *run, uint64_t at,
                         void *to)
{
    const uint8_t *from;
    int error = unpack(layer, run, at, &from);

    if (!error)
        memcpy(to, from, run->len);
    return error;
}

int image_read_below(void *image, uint64_t at, void *to, size_t len)
{
    struct image_layer *layer;
    struct qcow2_run run;
    char *p = to;
    int error = 0;

    while (len && !error) {
        error = map_loaded(image, 1, at, len, &layer, &run);
        if (error)
            return error;
        if (run.kind == QCOW2_DATA)
            error = blk_read(layer->file, run.host, p, run.len);
        else if (run.kind == QCOW2_COMPRESSED)
            error = copy_unpacked(layer, &run, at, p);
        else
            memset(p, 0, run.len);
        at += run.len;
        p += run.len;
        len -= run.len;
    }
    return error;
}

/* Those that come while this waits are in the worker's queue afterwards. */
void image_quiesce(void *image)
{
    struct image *m = image;

    spin_lock(&m->lock);
    m->hold = true;
    while (m->direct) {
        spin_unlock(&m->lock);
        thread_block();
        spin_lock(&m->lock);
    }
    m->hold = false;
    spin_unlock(&m->lock);
}

static int write_some(struct image_request *q)
{
    uint64_t done = 0, len = q->end - q->at;
    unsigned n = image_slice(q->r, q->at - q->r->sector * BLK_SECTOR, len, q->seg);
    int error = qcow2_write(&q->image->layer[0]->q, q->at, q->seg, n, len, &done);

    if (!error)
        q->at += done;
    return error;
}

/* A read from a compressed cluster. */
static int read_unpacked(struct image_request *q, struct image_layer *layer,
                         const struct qcow2_run *run)
{
    unsigned n = image_slice(q->r, q->at - q->r->sector * BLK_SECTOR, run->len, q->seg);
    const uint8_t *from;
    int error = unpack(layer, run, q->at, &from);

    for (unsigned i = 0; i < n && !error; i++) {
        memcpy(q->seg[i].hva, from, q->seg[i].len);
        from += q->seg[i].len;
    }
    if (!error)
        q->at += run->len;
    return error;
}

/* Reads and writes: what only the worker can do; the rest goes on without it. */
static void work_data(struct image_request *q)
{
    struct image *m = q->image;
    struct image_layer *layer;
    struct qcow2_run run;
    int error = map_loaded(m, 0, q->at, q->end - q->at, &layer, &run);

    while (!error && q->at < q->end) {
        if (q->r->op == BLK_READ ? run.kind != QCOW2_COMPRESSED
                                 : run.kind == QCOW2_DATA && layer == m->layer[0] && run.in_place)
            break;
        error = q->r->op == BLK_READ ? read_unpacked(q, layer, &run) : write_some(q);
        sched_point();
        if (!error && q->at < q->end)
            error = map_loaded(m, 0, q->at, q->end - q->at, &layer, &run);
    }
    if (error)
        image_end(q, error);
    else
        image_go(q);
}

static void work(struct image_request *q)
{
    struct qcow2 *top = &q->image->layer[0]->q;

    switch (q->r->op) {
    case BLK_READ:
    case BLK_WRITE:
        work_data(q);
        return;
    case BLK_FLUSH:
        image_end(q, qcow2_flush(top));
        return;
    case BLK_DISCARD:
        image_end(q, qcow2_discard(top, q->at, q->end - q->at));
        return;
    default:
        image_end(q, qcow2_zero(top, q->at, q->end - q->at, q->r->unmap));
    }
}

/* What there is to do. */
struct job {
    struct image_request *request; /* NULL: none */
    struct image_growth *growth; /* the same */
    bool ready; /* somebody was told to wait, and there is room */
    bool closing;
};

static struct job next(struct image *m)
{
    struct job job;

    spin_lock(&m->lock);
    job = (struct job){m->first, m->growth, m->full, m->closing};
    if (m->first)
        m->first = m->first->next;
    if (!m->first)
        m->last = NULL;
    m->growth = NULL;
    m->full = false;
    spin_unlock(&m->lock);
    return job;
}

void image_worker(void *image)
{
    struct image *m = image;

    for (;;) {
        struct job job = next(m);

        if (job.growth)
            image_work_growth(m, job.growth);
        if (job.request)
            work(job.request);
        if (job.ready && m->blk.ready)
            m->blk.ready(m->blk.device);
        if (job.request)
            thread_yield(); /* one that found a file's queue full comes again at once */
        else if (job.closing)
            break;
        else
            thread_block();
    }
    if (!m->blk.read_only && qcow2_flush(&m->layer[0]->q))
        log_limited(&m->errors, LOG_ERROR,
                    "disk %s: its tables could not be written: 'qemu-img check -r leaks'", m->name);
    atomic_store(&m->ended, 1);
    for (;;)
        thread_block();
}
