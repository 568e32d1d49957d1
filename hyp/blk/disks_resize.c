// SPDX-License-Identifier: BSD-2-Clause
// Disks made larger: the partition first, and then what is in it, each as a whole or not at all. It is the same whether a VM has the
// disk open (disks_grow) or nobody has, when it is opened for that.
#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/disks_parts.h"
#include "blk/qcow2_create.h"

/* The partition grows to the sectors that are wanted, or as far as it can; *p is as it is then. Raw: what is new is zeros. */
static int grow_partition(struct disks_place *p, uint64_t sectors, bool raw, struct disks_text t)
{
    uint64_t old = p->part.sectors, room;
    struct blk_backend *more;
    struct disks_edit e;
    unsigned n;
    int error;

    if (sectors <= old)
        return 0;
    error = disks_edit_begin(&e, p->disk, t);
    if (error)
        return error;
    error = disks_edit_find(&e, p, &n, t);
    room = error ? 0 : gpt_room_of(&e.g, n);
    if (!error && raw && room < sectors)
        error = disks_fail(t, -ENOSPC, "there are only %lu MiB free behind it",
                           (unsigned long)((room - old) >> 11));
    sectors = min_u64(sectors, room);
    if (!error && raw) {
        more = host_disk_open_range(p->disk, p->part.first + old, sectors - old, HOST_DISK_WRITE);
        error = !more ? disks_fail(t, -EBUSY, "out of memory")
                : blk_zero(more, 0, (sectors - old) * BLK_SECTOR) || blk_flush(more)
                    ? disks_fail(t, -EIO, "what is new could not be zeroed")
                    : 0;
        disks_close(more);
    }
    if (!error && sectors > old) {
        gpt_set_sectors(&e.g, n, sectors);
        error = disks_edit_commit(&e, t);
        p->part.sectors = error ? old : sectors;
    }
    disks_edit_end(&e);
    return error;
}

int disks_grow(const char *name, bool image, struct blk_backend *b, uint64_t size, char *why,
               size_t why_size)
{
    struct disks_text t = {why, why_size};
    struct blk_growth g = {.sectors = size / BLK_SECTOR, .only_check = true};
    struct disks_place p;
    int error = disks_find(name, &p, why, why_size);

    if (error)
        return error;
    if (size % BLK_SECTOR || size > BIT(50) || g.sectors <= b->sectors)
        return disks_fail(
            t, -EINVAL,
            "it has %lu bytes, and can only be made larger: whole sectors of 512, at most 1 PiB",
            (unsigned long)(b->sectors * BLK_SECTOR));
    g.room = p.part.sectors;
    if (image)
        error = b->grow(b->ctx, &g);
    if (error)
        return disks_fail(t, error, "%s", g.why);
    error = grow_partition(
        &p, align_up(image ? qcow2_full_size(size) : size, GPT_ALIGN) / BLK_SECTOR, !image, t);
    if (error)
        return error;
    g.only_check = false;
    g.room = p.part.sectors;
    g.sectors = image ? g.sectors : g.room;
    error = b->grow(b->ctx, &g);
    return error ? disks_fail(t, error, "%s", g.why) : 0;
}

/* Whether the partition that nobody has open holds an image. */
static int holds_image(const char *name, bool *image, struct disks_text t)
{
    struct disks_place p;
    struct blk_backend *b;
    struct disks_look *l;
    int error = disks_open_alone(name, &p, &b, t);

    if (error)
        return error;
    error = disks_look(b, &l, t);
    if (!error) {
        *image = l->image;
        disks_look_end(l);
    }
    disks_close(b);
    return error;
}

int disks_resize(const char *name, uint64_t size, char *why, size_t why_size)
{
    struct blk_backend *b = NULL;
    bool image = false;
    int error = holds_image(name, &image, (struct disks_text){why, why_size});

    if (!error)
        error = image ? disks_open_image(name, false, &b, why, why_size)
                      : disks_open(name, false, &b, why, why_size);
    if (error)
        return error;
    error = disks_grow(name, image, b, size, why, why_size);
    b->close(b->ctx);
    return error;
}
