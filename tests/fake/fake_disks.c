// SPDX-License-Identifier: BSD-2-Clause
#include "fake_disks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "blk/disks_edit.h"
#include "blk/limit.h"
#include "vdev/virtio/virtio_dev.h"

char fake_disk_deed[160];
unsigned fake_disk_more;
struct vdev *fake_disk_told;
bool fake_disk_slow;

static int note_deed(const char *name, char *why, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(fake_disk_deed, sizeof(fake_disk_deed), fmt, ap);
    va_end(ap);
    snprintf(why, size, "'%s' is in use by a VM: `destroy` that first", name);
    return strcmp(name, "busy") ? 0 : -EBUSY;
}

int disks_create(const struct disks_new *n, char *why, size_t why_size)
{
    return note_deed(n->name, why, why_size, "create %s %lu %lu %d%s %s", n->name,
                     (unsigned long)n->size, (unsigned long)n->room, n->disk, n->raw ? " raw" : "",
                     n->template ? n->template : "-");
}

int disks_resize(const char *name, uint64_t size, char *why, size_t why_size)
{
    return note_deed(name, why, why_size, "resize %s %lu", name, (unsigned long)size);
}

int disks_grow(const char *name, bool image, struct blk_backend *b, uint64_t size, char *why,
               size_t why_size)
{
    int error = note_deed(name, why, why_size, "grow %s%s %lu", name, image ? " qcow2" : "",
                          (unsigned long)size);

    if (!error)
        b->sectors = size / 512;
    return error;
}

void virtio_blk_grown(struct vdev *dev) { fake_disk_told = dev; }

int disks_delete(const char *name, bool force, char *why, size_t why_size)
{
    return note_deed(name, why, why_size, "delete %s%s", name, force ? " force" : "");
}

int disks_list(bool count_used, void (*each)(void *ctx, const struct disks_info *i), void *ctx)
{
    struct disks_info i = {.place = {.disk = 1, .part = {.sectors = 2048 * 20, .name = "web"}},
                           .image = true,
                           .size = MIB(16),
                           .used = count_used ? MIB(3) : 0,
                           .used_more = count_used && fake_disk_slow,
                           .behind = "template",
                           .use = DISKS_WRITTEN};

    each(ctx, &i);
    for (unsigned n = 0; n < fake_disk_more; n++) {
        i = (struct disks_info){.place.part.sectors = 2048 * 8, .size = MIB(8)};
        snprintf(i.place.part.name, sizeof(i.place.part.name), n ? "more%u" : "template", n);
        each(ctx, &i);
    }
    return 0;
}

void blk_limit_set(struct blk_backend *limited, const struct blk_limit *limit)
{
    snprintf(fake_disk_deed, sizeof(fake_disk_deed), "limit %s %u %lu", limited->serial,
             limit->iops, (unsigned long)limit->bytes);
}
