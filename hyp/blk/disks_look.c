// SPDX-License-Identifier: BSD-2-Clause
// What there is on the host's disks: partitions, and the images in them.
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "blk/blk_io.h"
#include "blk/disks_parts.h"
#include "mem/heap.h"
#include "sched/timer.h"

enum { LOOK_PAGES = 32 }; /* of tables, for a look at an image */

/* ---- one of them ---- */

int disks_look(struct blk_backend *b, struct disks_look **out, struct disks_text t)
{
    struct disks_look *l = heap_alloc(sizeof(*l));
    uint8_t *sector = heap_alloc(PAGE_SIZE);
    int error = l && sector ? 0 : disks_fail(t, -ENOMEM, "out of memory");

    if (!error && blk_read(b, 0, sector, max_u64(b->block_size, BLK_SECTOR)))
        error = disks_fail(t, -EIO, "it cannot be read");
    if (!error) {
        spin_init(&l->lock, LOCK_BACKEND);
        l->image = meta_be(sector, 4) == QCOW2_MAGIC;
        l->size = l->image ? 0 : b->sectors * BLK_SECTOR;
    }
    if (!error && l->image) {
        error = qcow2_open(&l->q, b, !b->read_only, LOOK_PAGES, &l->lock, t.why, t.size);
        l->understood = !error;
        l->size = error ? 0 : l->q.size;
        error = error == -EINVAL ? 0 : error;
    }
    heap_free(sector);
    if (error)
        heap_free(l);
    else
        *out = l;
    return error;
}

void disks_look_end(struct disks_look *l)
{
    if (l->understood)
        qcow2_close(&l->q);
    heap_free(l);
}

static int use_of(const struct disks_place *p)
{
    struct blk_backend *w = disks_open_place(p, HOST_DISK_WRITE), *r = NULL;
    int use = DISKS_FREE;

    if (!w) {
        r = disks_open_place(p, HOST_DISK_READ);
        use = r ? DISKS_READ : DISKS_WRITTEN;
    }
    disks_close(w);
    disks_close(r);
    return use;
}

/* ---- all of them ---- */

struct listing {
    void (*each)(void *ctx, const struct disks_info *i);
    void *ctx;
    bool count_used;
    uint64_t ticks; /* that are left for counting */
};

/* An image whose counts cannot be read is as large as its partition may make it. */
static void count(struct listing *all, struct disks_look *l, struct disks_info *i)
{
    uint64_t start = arch_time(), clusters;
    uint64_t until = start + min_u64(timer_us(DISKS_COUNT_US), all->ticks);
    bool whole = true;

    i->used = i->place.part.sectors * BLK_SECTOR;
    if (l->understood && !qcow2_count_used(&l->q, until, &clusters, &whole))
        i->used = clusters << l->q.cluster_bits;
    i->used_more = !whole;
    all->ticks -= min_u64(all->ticks, arch_time() - start);
}

static int list_one(void *ctx, const struct disks_place *p)
{
    struct listing *all = ctx;
    struct disks_info info = {.place = *p};
    struct blk_backend *b = disks_open_place(p, HOST_DISK_LOOK);
    char problem[128];
    struct disks_look *l;
    int error = b ? disks_look(b, &l, (struct disks_text){problem, sizeof(problem)}) : -ENOMEM;

    if (!error) {
        info.image = l->image;
        info.size = l->size;
        info.use = use_of(p);
        if (all->count_used)
            count(all, l, &info);
        if (l->understood)
            memcpy(info.behind, l->q.backing, sizeof(info.behind));
        disks_look_end(l);
    }
    disks_close(b);
    if (error == -ENOMEM)
        return error;
    all->each(all->ctx, &info);
    return 0;
}

int disks_list(bool count_used, void (*each)(void *ctx, const struct disks_info *i), void *ctx)
{
    struct listing all = {each, ctx, count_used, timer_us(DISKS_COUNT_ALL_US)};
    char problem[96];
    int error = 0;

    for (unsigned i = 0; i < host_disk_count() && error != -ENOMEM; i++) {
        error = disks_each(i, list_one, &all, problem, sizeof(problem));
        if (error)
            log_warn("%s", problem);
    }
    return error == -ENOMEM ? error : 0;
}
