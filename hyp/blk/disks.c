// SPDX-License-Identifier: BSD-2-Clause
#include "blk/disks.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/image.h"
#include "drv/drv.h"

/* Why a disk's partitions are not known; the disk is passed over then. */
static void tell(unsigned disk, const char *problem, char *why, size_t why_size)
{
    fmt_snprintf(why, why_size, "disk %u: %s", disk, problem);
}

int disks_each(unsigned disk, int (*each)(void *ctx, const struct disks_place *p), void *ctx,
               char *why, size_t why_size)
{
    struct blk_backend *b = host_disk_open_range(disk, 0, host_disk_sectors(disk), HOST_DISK_LOOK);
    struct disks_place p = {.disk = disk};
    const char *problem = "out of memory";
    struct gpt g;
    int error = b ? gpt_read(&g, b, &problem) : -ENOMEM;

    if (b)
        b->close(b->ctx);
    if (error) {
        tell(disk, problem, why, why_size);
        return error;
    }
    if (g.used)
        log_warn("disk %u: the primary GPT is damaged, the backup is used", disk);
    for (unsigned n = 0; n < g.count && !error; n++)
        if (gpt_partition(&g, n, &p.part))
            error = each(ctx, &p);
    gpt_free(&g);
    return error;
}

struct search {
    const char *name;
    struct disks_place *place;
    unsigned found;
};

static int match(void *ctx, const struct disks_place *p)
{
    struct search *s = ctx;

    if (!strcmp(p->part.name, s->name)) {
        *s->place = *p;
        s->found++;
    }
    return 0;
}

int disks_find(const char *name, struct disks_place *place, char *why, size_t why_size)
{
    struct search s = {name, place, 0};
    char problem[96] = "";

    for (unsigned i = 0; i < host_disk_count(); i++)
        if (disks_each(i, match, &s, problem, sizeof(problem)) == -ENOMEM) {
            fmt_snprintf(why, why_size, "out of memory");
            return -ENOMEM;
        }
    if (s.found == 1)
        return 0;
    if (s.found)
        fmt_snprintf(why, why_size, "%u partitions are called '%.36s': rename all but one", s.found,
                     name);
    else if (!host_disk_count())
        fmt_snprintf(why, why_size, "no partition '%.36s': the machine has no disk", name);
    else
        fmt_snprintf(why, why_size, "no partition is called '%.36s'%s%s", name,
                     problem[0] ? "; " : "", problem);
    return s.found ? -EEXIST : -ENOENT;
}

int disks_open(const char *name, bool read_only, struct blk_backend **out, char *why,
               size_t why_size)
{
    struct disks_place p;
    struct blk_backend *b;
    int error = disks_find(name, &p, why, why_size);

    if (error)
        return error;
    b = host_disk_open_range(p.disk, p.part.first, p.part.sectors,
                             read_only ? HOST_DISK_READ : HOST_DISK_WRITE);
    if (!b) {
        fmt_snprintf(why, why_size, "partition '%.36s' is in use (or memory is out)", name);
        return -EBUSY;
    }
    memset(b->serial, 0, sizeof(b->serial));
    memcpy(b->serial, name, strnlen(name, sizeof(b->serial) - 1));
    *out = b;
    return 0;
}

static int open_file(void *ctx, const char *name, bool read_only, struct blk_backend **out,
                     char *why, size_t why_size)
{
    (void)ctx;
    return disks_open(name, read_only, out, why, why_size);
}

int disks_open_image(const char *name, bool read_only, struct blk_backend **out, char *why,
                     size_t why_size)
{
    return image_open(name, read_only, open_file, NULL, out, why, why_size);
}
