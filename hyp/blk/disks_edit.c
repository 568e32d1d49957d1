// SPDX-License-Identifier: BSD-2-Clause
#include "blk/disks_edit.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/blk_io.h"
#include "blk/disks_parts.h"
#include "blk/qcow2_create.h"
#include "mem/heap.h"

int disks_fail(struct disks_text t, int error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fmt_vsnprintf(t.why, t.size, fmt, ap);
    va_end(ap);
    return error;
}

/* ---- partitions, open ---- */

void disks_close(struct blk_backend *b)
{
    if (b)
        b->close(b->ctx);
}

struct blk_backend *disks_open_place(const struct disks_place *p, enum host_disk_use use)
{
    return host_disk_open_range(p->disk, p->part.first, p->part.sectors, use);
}

int disks_open_alone(const char *name, struct disks_place *p, struct blk_backend **b,
                     struct disks_text t)
{
    int error = disks_find(name, p, t.why, t.size);

    if (error)
        return error;
    *b = disks_open_place(p, HOST_DISK_WRITE);
    return *b ? 0 : disks_fail(t, -EBUSY, "'%.36s' is in use by a VM: `destroy` that first", name);
}

/* ---- tables that are changed ---- */

void disks_edit_end(struct disks_edit *e)
{
    gpt_free(&e->g);
    disks_close(e->head);
    disks_close(e->tail);
}

static int read_table(struct disks_edit *e, struct disks_text t)
{
    struct blk_backend *all =
        host_disk_open_range(e->disk, 0, host_disk_sectors(e->disk), HOST_DISK_LOOK);
    const char *problem = "out of memory";
    int error = all ? gpt_read(&e->g, all, &problem) : -ENOMEM;

    disks_close(all);
    return error ? disks_fail(t, error, "disk %u: %s", e->disk, problem) : 0;
}

/* Takes the table's own place on the disk, so that nobody else changes it, and reads it. */
int disks_edit_begin(struct disks_edit *e, unsigned disk, struct disks_text t)
{
    uint64_t per_block, tail;
    int error;

    *e = (struct disks_edit){.disk = disk};
    error = read_table(e, t);
    if (error)
        return error;
    per_block = e->g.block / BLK_SECTOR;
    tail = (e->g.last_usable + 1) * per_block;
    e->head = host_disk_open_range(disk, 0, e->g.first_usable * per_block, HOST_DISK_WRITE);
    e->tail = host_disk_open_range(disk, tail, host_disk_sectors(disk) - tail, HOST_DISK_WRITE);
    gpt_free(&e->g); /* it may have been changed until now */
    if (!e->head || !e->tail)
        error = disks_fail(t, -EBUSY,
                           "disk %u: a VM has the whole disk, or its table is being changed", disk);
    else if (e->head->read_only)
        error = disks_fail(t, -EACCES, "disk %u is read only", disk);
    else
        error = read_table(e, t);
    if (error)
        disks_edit_end(e);
    return error;
}

int disks_edit_commit(struct disks_edit *e, struct disks_text t)
{
    int error = gpt_write(&e->g, e->head, e->tail);

    if (error == -EINVAL)
        return disks_fail(
            t, error, "disk %u: its backup GPT has no place of its own: mend it with 'sgdisk -e'",
            e->disk);
    return error ? disks_fail(t, error, "disk %u: its GPT could not be written", e->disk) : 0;
}

int disks_edit_find(const struct disks_edit *e, const struct disks_place *p, unsigned *n,
                    struct disks_text t)
{
    struct gpt_partition part;

    for (*n = 0; *n < e->g.count; ++*n)
        if (gpt_partition(&e->g, *n, &part) && part.first == p->part.first)
            return 0;
    return disks_fail(t, -ENOENT, "the partition has just been deleted");
}

/* ---- create ---- */

static bool name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
    size_t len = strlen(name);

    for (const char *p = name; *p; p++)
        if (!memchr(allowed, *p, sizeof(allowed) - 1))
            return false;
    return len && len <= GPT_NAME_UNITS;
}

/* What goes into a new partition. */
struct contents {
    const struct disks_new *n;
    uint64_t size, room;
    const char *format; /* of the template */
};

static int make_contents(struct blk_backend *b, const struct contents *c, struct disks_text t)
{
    struct qcow2_new image = {.size = c->size, .backing = "", .backing_format = ""};
    int error;

    if (c->n->raw) {
        error = blk_zero(b, 0, b->sectors * BLK_SECTOR);
        if (!error)
            error = blk_flush(b);
    } else {
        if (c->n->template) {
            image.backing = c->n->template;
            image.backing_format = c->format;
        }
        error = qcow2_create(b, &image);
    }
    return error == -ENOSPC
               ? disks_fail(t, error, "the partition is too small for the tables of such an image")
           : error ? disks_fail(t, error, "it could not be written")
                   : 0;
}

static int create_in(struct disks_edit *e, const struct contents *c, struct disks_text t)
{
    struct disks_place p = {.disk = e->disk, .part.sectors = c->room / BLK_SECTOR};
    struct blk_backend *b;
    uint8_t guid[GPT_GUID];
    int error = gpt_find_room(&e->g, c->room, &p.part.first);

    if (error)
        return disks_fail(t, error, "disk %u has no room for %lu MiB in one piece", e->disk,
                          (unsigned long)(c->room >> 20));
    b = disks_open_place(&p, HOST_DISK_WRITE);
    if (!b)
        return disks_fail(t, -EBUSY, "out of memory, or somebody has disk %u", e->disk);
    error = make_contents(b, c, t);
    disks_close(b);
    if (error)
        return error;
    entropy.fill(entropy.ctx, guid, sizeof(guid));
    guid[7] = (uint8_t)((guid[7] & 0x0f) | 0x40); /* random, RFC 9562 */
    guid[8] = (uint8_t)((guid[8] & 0x3f) | 0x80);
    error = gpt_add(&e->g, c->n->name, p.part.first, p.part.sectors, guid);
    return error ? disks_fail(t, error, "disk %u has as many partitions as its table can hold",
                              e->disk)
                 : disks_edit_commit(e, t);
}

/* The size and format of the template, which must not be written by anybody. */
static int look_at_template(struct contents *c, struct disks_text t)
{
    struct blk_backend *b = NULL;
    struct disks_look *l;
    int error = disks_open(c->n->template, true, &b, t.why, t.size);

    if (error)
        return error;
    error = disks_look(b, &l, t);
    if (!error) {
        c->format = l->image ? "qcow2" : "raw";
        c->size = c->n->size ? c->n->size : l->size;
        if (l->image && !l->understood)
            error = -EINVAL; /* and its reason */
        disks_look_end(l);
    }
    disks_close(b);
    return error;
}

static int check_new(struct contents *c, struct disks_text t)
{
    struct disks_place p;
    const struct disks_new *n = c->n;
    int error;

    if (!name_ok(n->name))
        return disks_fail(t, -EINVAL, "a name has 1 to %d letters, digits and . _ + -",
                          GPT_NAME_UNITS);
    error = disks_find(n->name, &p, t.why, t.size);
    if (error != -ENOENT)
        return error == -ENOMEM ? error
                                : disks_fail(t, -EEXIST, "there is a partition '%s'", n->name);
    c->size = n->size;
    error = n->template ? look_at_template(c, t) : 0;
    if (error)
        return error;
    if (!c->size || c->size % BLK_SECTOR || c->size > BIT(50))
        return disks_fail(t, -EINVAL, "a size is whole sectors of 512 bytes, at most 1 PiB");
    c->room = align_up(n->room ? n->room : n->raw ? c->size : qcow2_full_size(c->size), GPT_ALIGN);
    return 0;
}

int disks_create(const struct disks_new *n, char *why, size_t why_size)
{
    struct disks_text t = {why, why_size};
    struct contents c = {.n = n};
    unsigned first = n->disk < 0 ? 0 : (unsigned)n->disk;
    unsigned end = n->disk < 0 ? host_disk_count() : first + 1;
    int error = check_new(&c, t);

    if (error)
        return error;
    error = disks_fail(t, -ENOENT, "the machine has no such disk");
    for (unsigned i = first; i < end && error && i < host_disk_count(); i++) {
        struct disks_edit e;

        error = disks_edit_begin(&e, i, t);
        if (error)
            continue;
        error = create_in(&e, &c, t);
        disks_edit_end(&e);
    }
    return error;
}

/* ---- delete ---- */

struct dependents {
    const char *name;
    char first[GPT_NAME_MAX];
};

static void note_dependent(void *ctx, const struct disks_info *i)
{
    struct dependents *d = ctx;

    if (!d->first[0] && !strcmp(i->behind, d->name))
        memcpy(d->first, i->place.part.name, sizeof(d->first));
}

static int check_dependents(const char *name, struct disks_text t)
{
    struct dependents d = {.name = name};

    if (disks_list(false, note_dependent, &d))
        return disks_fail(t, -ENOMEM, "out of memory");
    return d.first[0] ? disks_fail(t, -EBUSY,
                                   "it is behind '%.36s': delete that first, or say force", d.first)
                      : 0;
}

static int delete_place(const struct disks_place *p, struct blk_backend *b, struct disks_text t)
{
    struct disks_edit e;
    unsigned n;
    int error = disks_edit_begin(&e, p->disk, t);

    if (error)
        return error;
    error = disks_edit_find(&e, p, &n, t);
    if (!error) {
        gpt_remove(&e.g, n);
        error = disks_edit_commit(&e, t);
    }
    if (!error)
        blk_discard(b, 0, b->sectors * BLK_SECTOR);
    disks_edit_end(&e);
    return error;
}

int disks_delete(const char *name, bool force, char *why, size_t why_size)
{
    struct disks_text t = {why, why_size};
    struct disks_place p;
    struct blk_backend *b;
    int error = disks_open_alone(name, &p, &b, t);

    if (error)
        return error;
    error = force ? 0 : check_dependents(name, t);
    if (!error)
        error = delete_place(&p, b, t);
    disks_close(b);
    return error;
}
