// SPDX-License-Identifier: BSD-2-Clause
// A larger disk, while its guest uses it: the image's worker does it, between two requests; see image.h.
#include <errno.h>

#include "blk/image_parts.h"
#include "blk/qcow2_create.h"

int image_grow(void *ctx, struct blk_growth *g)
{
    struct image *m = ctx;
    struct image_growth w = {.g = g};

    blk_wait_begin(&w.waited);
    spin_lock(&m->lock);
    m->growth = &w;
    spin_unlock(&m->lock);
    thread_wake(m->worker);
    return blk_wait(&w.waited);
}

/* Past its own end an image must show zeros, not what a larger one behind it has there. */
static int check(const struct image *m, struct blk_growth *g)
{
    const struct image_layer *top = m->layer[0];

    if (m->layers > 1 && m->layer[1]->size > top->size) {
        fmt_snprintf(g->why, sizeof(g->why), "what is behind it is larger than it: not supported");
        return -EINVAL;
    }
    return qcow2_check_size(&top->q, g->sectors * BLK_SECTOR, g->why, sizeof(g->why));
}

/* What the image lies in. */
static int grow_file(struct image_layer *top, struct blk_growth *g)
{
    struct blk_backend *file = top->file;
    int error = 0;

    if (g->room > file->sectors)
        error = file->grow(file->ctx, g);
    if (!error)
        qcow2_set_room(&top->q);
    return error;
}

static int grow(struct image *m, struct blk_growth *g)
{
    struct image_layer *top = m->layer[0];
    int error = check(m, g);

    if (error || g->only_check)
        return error;
    error = grow_file(top, g);
    if (!error)
        error = qcow2_resize(&top->q, g->sectors * BLK_SECTOR, g->why, sizeof(g->why));
    if (error)
        return error;
    spin_lock(&m->lock);
    top->size = top->q.size;
    __atomic_store_n(&m->blk.sectors, align_down(top->size, m->blk.block_size) / BLK_SECTOR,
                     __ATOMIC_RELEASE); /* submit looks at it */
    spin_unlock(&m->lock);
    return 0;
}

void image_work_growth(struct image *m, struct image_growth *w)
{
    w->waited.r.result = grow(m, w->g);
    w->waited.r.done(&w->waited.r);
}
