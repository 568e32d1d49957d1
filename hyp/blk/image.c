// SPDX-License-Identifier: BSD-2-Clause
// Opening and closing an image and what is behind it; see image.h.
#include "blk/image.h"

#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/image_parts.h"
#include "mem/heap.h"

struct opening {
    struct image *m;
    image_open_file *open;
    void *ctx;
    char *why;
    size_t why_size;
};

static int no_memory(const struct opening *o)
{
    fmt_snprintf(o->why, o->why_size, "out of memory");
    return -ENOMEM;
}

/* Once the worker has ended: files wait for their last callbacks, which may still look at the worker. */
static void free_image(struct image *m)
{
    for (unsigned i = 0; i < m->layers; i++) {
        struct image_layer *l = m->layer[i];

        if (l->is_qcow2)
            qcow2_close(&l->q);
        l->file->close(l->file->ctx);
        heap_free(l);
    }
    if (m->worker)
        thread_destroy(m->worker);
    heap_free(m->worker);
    for (unsigned i = 0; i < IMAGE_DEPTH; i++)
        heap_free(m->request[i]);
    heap_free(m);
}

static void image_close(void *ctx)
{
    struct image *m = ctx;

    spin_lock(&m->lock);
    m->closing = true;
    spin_unlock(&m->lock);
    thread_wake(m->worker);
    while (!atomic_load(&m->ended))
        thread_yield();
    free_image(m);
}

/* Read while the worker loads tables: whole numbers, of about now. */
static uint64_t layer_memory(const struct image_layer *l)
{
    uint64_t n = heap_takes(sizeof(*l));

    if (l->is_qcow2)
        n += qcow2_memory(&l->q);
    return n + (l->file->memory ? l->file->memory(l->file->ctx) : 0);
}

static uint64_t image_memory(void *ctx)
{
    const struct image *m = ctx;
    uint64_t n = heap_takes(sizeof(*m)) + IMAGE_DEPTH * heap_takes(sizeof(*m->request[0]));

    for (unsigned i = 0; i < m->layers; i++)
        n += layer_memory(m->layer[i]);
    return n + heap_takes(sizeof(*m->worker)) + THREAD_STACK_SIZE;
}

/* ---- opening ---- */

static int open_qcow2(const struct opening *o, struct image_layer *l, const char *name)
{
    bool writable = !o->m->layers && !o->m->blk.read_only;
    char problem[128];
    int error =
        qcow2_open(&l->q, l->file, writable, o->m->layers ? IMAGE_CACHE_BELOW : IMAGE_CACHE_TOP,
                   &o->m->lock, problem, sizeof(problem));

    if (error)
        fmt_snprintf(o->why, o->why_size, "partition '%.36s': %s", name, problem);
    l->size = l->q.size;
    return error;
}

/* The file, and the image in it, as the next layer. */
static int add_layer(const struct opening *o, const char *name, bool qcow2)
{
    struct image *m = o->m;
    struct image_layer *l = heap_alloc(sizeof(*l));
    int error;

    if (!l)
        return no_memory(o);
    error = o->open(o->ctx, name, m->layers || m->blk.read_only, &l->file, o->why, o->why_size);
    if (error) {
        heap_free(l);
        return error;
    }
    l->is_qcow2 = qcow2;
    l->size = l->file->sectors * BLK_SECTOR;
    error = qcow2 ? open_qcow2(o, l, name) : 0;
    if (error) {
        l->file->close(l->file->ctx);
        heap_free(l);
        return error;
    }
    m->layer[m->layers++] = l;
    return 0;
}

static int add_layers(const struct opening *o, const char *name)
{
    struct image *m = o->m;
    int error = add_layer(o, name, true);

    while (!error && m->layer[m->layers - 1]->is_qcow2) {
        const struct qcow2 *q = &m->layer[m->layers - 1]->q;
        bool qcow2 = !strcmp(q->backing_format, "qcow2");

        if (!q->has_backing)
            break;
        if (m->layers == IMAGE_LAYERS) {
            fmt_snprintf(o->why, o->why_size, "more than %d images behind one another",
                         IMAGE_LAYERS);
            return -EINVAL;
        }
        if (!qcow2 && strcmp(q->backing_format, "raw")) {
            fmt_snprintf(o->why, o->why_size,
                         "its backing file '%s' is of format %s: raw or qcow2 are known",
                         q->backing, q->backing_format);
            return -EINVAL;
        }
        error = add_layer(o, q->backing, qcow2);
    }
    return error;
}

static void set_top(struct image *m)
{
    struct qcow2 *q = &m->layer[0]->q;
    const struct blk_backend *file = m->layer[0]->file;
    uint32_t block = (uint32_t)max_u64(file->block_size, BLK_SECTOR);

    q->ctx = m;
    q->quiesce = image_quiesce;
    q->read_below = m->layers > 1 ? image_read_below : NULL;
    m->blk.submit = image_submit;
    m->blk.commit = image_commit;
    m->blk.close = image_close;
    m->blk.memory = image_memory;
    m->blk.grow = m->blk.read_only ? NULL : image_grow;
    m->blk.ctx = m;
    m->blk.block_size = block;
    m->blk.sectors = align_down(q->size, block) / BLK_SECTOR;
    m->blk.behind = q->has_backing ? q->backing : NULL;
    m->blk.can_flush = file->can_flush;
    m->blk.can_discard = m->blk.can_write_zeroes = !m->blk.read_only;
    memcpy(m->blk.serial, m->name, strnlen(m->name, sizeof(m->blk.serial) - 1));
}

static int make_requests(struct image *m)
{
    for (unsigned i = 0; i < IMAGE_DEPTH; i++) {
        m->request[i] = heap_alloc(sizeof(*m->request[i]));
        if (!m->request[i])
            return -ENOMEM;
        m->request[i]->image = m;
    }
    return 0;
}

static int make_worker(struct image *m)
{
    char name[24];

    fmt_snprintf(name, sizeof(name), "disk %.18s", m->name);
    m->worker = thread_create(name, image_worker, m);
    return m->worker ? 0 : -ENOMEM;
}

int image_open(const char *name, bool read_only, image_open_file *open, void *ctx,
               struct blk_backend **out, char *why, size_t why_size)
{
    struct opening o = {heap_alloc(sizeof(struct image)), open, ctx, why, why_size};
    int error;

    if (!o.m)
        return no_memory(&o);
    spin_init(&o.m->lock, LOCK_BACKEND);
    o.m->blk.read_only = read_only;
    memcpy(o.m->name, name, strnlen(name, sizeof(o.m->name) - 1));
    error = add_layers(&o, name);
    if (!error && (make_requests(o.m) || make_worker(o.m)))
        error = no_memory(&o);
    if (error) {
        free_image(o.m);
        return error;
    }
    set_top(o.m);
    thread_wake(o.m->worker);
    *out = &o.m->blk;
    return 0;
}
