// SPDX-License-Identifier: BSD-2-Clause
#include "blk/disks_edit.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/blk_io.h"
#include "blk/gpt_edit.h"
#include "blk/qcow2_create.h"
#include "drv/drv.h"
#include "mem/heap.h"

enum { LOOK_PAGES = 32 }; /* of tables, for a look at an image */

struct text {
    char *why;
    size_t size;
};

static int fail(struct text t, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int fail(struct text t, int error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fmt_vsnprintf(t.why, t.size, fmt, ap);
    va_end(ap);
    return error;
}

static void close_disk(struct blk_backend *b)
{
    if (b)
        b->close(b->ctx);
}

/* ---- looking at what is in a partition ---- */

struct look {
    struct qcow2 q;
    struct spinlock lock;
    bool image, understood;
    uint64_t size;
};

/* Whether the partition holds an image, and what that says. On success look_end is due. */
static int look_into(struct blk_backend *b, struct look **out, struct text t)
{
    struct look *l = heap_alloc(sizeof(*l));
    uint8_t *sector = heap_alloc(PAGE_SIZE);
    int error = l && sector ? 0 : fail(t, -ENOMEM, "out of memory");

    if (!error && blk_read(b, 0, sector, max_u64(b->block_size, BLK_SECTOR)))
        error = fail(t, -EIO, "it cannot be read");
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

static void look_end(struct look *l)
{
    if (l->understood)
        qcow2_close(&l->q);
    heap_free(l);
}

static struct blk_backend *open_place(const struct disks_place *p, enum host_disk_use use)
{
    return host_disk_open_range(p->disk, p->part.first, p->part.sectors, use);
}

static int use_of(const struct disks_place *p)
{
    struct blk_backend *w = open_place(p, HOST_DISK_WRITE), *r = NULL;
    int use = DISKS_FREE;

    if (!w) {
        r = open_place(p, HOST_DISK_READ);
        use = r ? DISKS_READ : DISKS_WRITTEN;
    }
    close_disk(w);
    close_disk(r);
    return use;
}

/* ---- all of them ---- */

struct listing {
    void (*each)(void *ctx, const struct disks_info *i);
    void *ctx;
    bool count_used;
};

/* An image whose counts cannot be read is as large as its partition may make it. */
static uint64_t used_of(struct look *l, const struct disks_place *p)
{
    uint64_t clusters;

    if (!l->understood || qcow2_count_used(&l->q, &clusters))
        return p->part.sectors * BLK_SECTOR;
    return clusters << l->q.cluster_bits;
}

static int list_one(void *ctx, const struct disks_place *p)
{
    struct listing *all = ctx;
    struct disks_info info = {.place = *p};
    struct blk_backend *b = open_place(p, HOST_DISK_LOOK);
    char problem[128];
    struct look *l;
    int error = b ? look_into(b, &l, (struct text){problem, sizeof(problem)}) : -ENOMEM;

    if (!error) {
        info.image = l->image;
        info.size = l->size;
        info.use = use_of(p);
        info.used = all->count_used ? used_of(l, p) : 0;
        if (l->understood)
            memcpy(info.behind, l->q.backing, sizeof(info.behind));
        look_end(l);
    }
    close_disk(b);
    if (error == -ENOMEM)
        return error;
    all->each(all->ctx, &info);
    return 0;
}

int disks_list(bool count_used, void (*each)(void *ctx, const struct disks_info *i), void *ctx)
{
    struct listing all = {each, ctx, count_used};
    char problem[96];
    int error = 0;

    for (unsigned i = 0; i < host_disk_count() && error != -ENOMEM; i++) {
        error = disks_each(i, list_one, &all, problem, sizeof(problem));
        if (error)
            log_warn("%s", problem);
    }
    return error == -ENOMEM ? error : 0;
}

/* ---- tables that are changed ---- */

struct edit {
    unsigned disk;
    struct gpt g;
    struct blk_backend *head, *tail;
};

static void edit_end(struct edit *e)
{
    gpt_free(&e->g);
    close_disk(e->head);
    close_disk(e->tail);
}

static int read_table(struct edit *e, struct text t)
{
    struct blk_backend *all =
        host_disk_open_range(e->disk, 0, host_disk_sectors(e->disk), HOST_DISK_LOOK);
    const char *problem = "out of memory";
    int error = all ? gpt_read(&e->g, all, &problem) : -ENOMEM;

    close_disk(all);
    return error ? fail(t, error, "disk %u: %s", e->disk, problem) : 0;
}

/* Takes the table's own place on the disk, so that nobody else changes it, and reads it. */
static int edit_begin(struct edit *e, unsigned disk, struct text t)
{
    uint64_t per_block, tail;
    int error;

    *e = (struct edit){.disk = disk};
    error = read_table(e, t);
    if (error)
        return error;
    per_block = e->g.block / BLK_SECTOR;
    tail = (e->g.last_usable + 1) * per_block;
    e->head = host_disk_open_range(disk, 0, e->g.first_usable * per_block, HOST_DISK_WRITE);
    e->tail = host_disk_open_range(disk, tail, host_disk_sectors(disk) - tail, HOST_DISK_WRITE);
    gpt_free(&e->g); /* it may have been changed until now */
    if (!e->head || !e->tail)
        error = fail(t, -EBUSY, "disk %u: a VM has the whole disk, or its table is being changed",
                     disk);
    else if (e->head->read_only)
        error = fail(t, -EACCES, "disk %u is read only", disk);
    else
        error = read_table(e, t);
    if (error)
        edit_end(e);
    return error;
}

static int edit_commit(struct edit *e, struct text t)
{
    int error = gpt_write(&e->g, e->head, e->tail);

    if (error == -EINVAL)
        return fail(t, error,
                    "disk %u: its backup GPT has no place of its own: mend it with 'sgdisk -e'",
                    e->disk);
    return error ? fail(t, error, "disk %u: its GPT could not be written", e->disk) : 0;
}

/* The partition's place in the table. */
static int edit_find(const struct edit *e, const struct disks_place *p, unsigned *n, struct text t)
{
    struct gpt_partition part;

    for (*n = 0; *n < e->g.count; ++*n)
        if (gpt_partition(&e->g, *n, &part) && part.first == p->part.first)
            return 0;
    return fail(t, -ENOENT, "the partition has just been deleted");
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

static int make_contents(struct blk_backend *b, const struct contents *c, struct text t)
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
               ? fail(t, error, "the partition is too small for the tables of such an image")
           : error ? fail(t, error, "it could not be written")
                   : 0;
}

static int create_in(struct edit *e, const struct contents *c, struct text t)
{
    struct disks_place p = {.disk = e->disk, .part.sectors = c->room / BLK_SECTOR};
    struct blk_backend *b;
    uint8_t guid[GPT_GUID];
    int error = gpt_find_room(&e->g, c->room, &p.part.first);

    if (error)
        return fail(t, error, "disk %u has no room for %lu MiB in one piece", e->disk,
                    (unsigned long)(c->room >> 20));
    b = open_place(&p, HOST_DISK_WRITE);
    if (!b)
        return fail(t, -EBUSY, "out of memory, or somebody has disk %u", e->disk);
    error = make_contents(b, c, t);
    close_disk(b);
    if (error)
        return error;
    entropy.fill(entropy.ctx, guid, sizeof(guid));
    guid[7] = (uint8_t)((guid[7] & 0x0f) | 0x40); /* random, RFC 9562 */
    guid[8] = (uint8_t)((guid[8] & 0x3f) | 0x80);
    error = gpt_add(&e->g, c->n->name, p.part.first, p.part.sectors, guid);
    return error ? fail(t, error, "disk %u has as many partitions as its table can hold", e->disk)
                 : edit_commit(e, t);
}

/* The size and format of the template, which must not be written by anybody. */
static int look_at_template(struct contents *c, struct text t)
{
    struct blk_backend *b = NULL;
    struct look *l;
    int error = disks_open(c->n->template, true, &b, t.why, t.size);

    if (error)
        return error;
    error = look_into(b, &l, t);
    if (!error) {
        c->format = l->image ? "qcow2" : "raw";
        c->size = c->n->size ? c->n->size : l->size;
        if (l->image && !l->understood)
            error = -EINVAL; /* and its reason */
        look_end(l);
    }
    close_disk(b);
    return error;
}

static int check_new(struct contents *c, struct text t)
{
    struct disks_place p;
    const struct disks_new *n = c->n;
    int error;

    if (!name_ok(n->name))
        return fail(t, -EINVAL, "a name has 1 to %d letters, digits and . _ + -", GPT_NAME_UNITS);
    error = disks_find(n->name, &p, t.why, t.size);
    if (error != -ENOENT)
        return error == -ENOMEM ? error : fail(t, -EEXIST, "there is a partition '%s'", n->name);
    c->size = n->size;
    error = n->template ? look_at_template(c, t) : 0;
    if (error)
        return error;
    if (!c->size || c->size % BLK_SECTOR || c->size > BIT(50))
        return fail(t, -EINVAL, "a size is whole sectors of 512 bytes, at most 1 PiB");
    c->room = align_up(n->room ? n->room : n->raw ? c->size : qcow2_full_size(c->size), GPT_ALIGN);
    return 0;
}

int disks_create(const struct disks_new *n, char *why, size_t why_size)
{
    struct text t = {why, why_size};
    struct contents c = {.n = n};
    unsigned first = n->disk < 0 ? 0 : (unsigned)n->disk;
    unsigned end = n->disk < 0 ? host_disk_count() : first + 1;
    int error = check_new(&c, t);

    if (error)
        return error;
    error = fail(t, -ENOENT, "the machine has no such disk");
    for (unsigned i = first; i < end && error && i < host_disk_count(); i++) {
        struct edit e;

        error = edit_begin(&e, i, t);
        if (error)
            continue;
        error = create_in(&e, &c, t);
        edit_end(&e);
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

static int check_dependents(const char *name, struct text t)
{
    struct dependents d = {.name = name};

    if (disks_list(false, note_dependent, &d))
        return fail(t, -ENOMEM, "out of memory");
    return d.first[0]
               ? fail(t, -EBUSY, "it is behind '%.36s': delete that first, or say force", d.first)
               : 0;
}

static int delete_place(const struct disks_place *p, struct blk_backend *b, struct text t)
{
    struct edit e;
    unsigned n;
    int error = edit_begin(&e, p->disk, t);

    if (error)
        return error;
    error = edit_find(&e, p, &n, t);
    if (!error) {
        gpt_remove(&e.g, n);
        error = edit_commit(&e, t);
    }
    if (!error)
        blk_discard(b, 0, b->sectors * BLK_SECTOR);
    edit_end(&e);
    return error;
}

/* The partition for oneself. */
static int open_alone(const char *name, struct disks_place *p, struct blk_backend **b,
                      struct text t)
{
    int error = disks_find(name, p, t.why, t.size);

    if (error)
        return error;
    *b = open_place(p, HOST_DISK_WRITE);
    return *b ? 0 : fail(t, -EBUSY, "'%.36s' is in use by a VM: `destroy` that first", name);
}

int disks_delete(const char *name, bool force, char *why, size_t why_size)
{
    struct text t = {why, why_size};
    struct disks_place p;
    struct blk_backend *b;
    int error = open_alone(name, &p, &b, t);

    if (error)
        return error;
    error = force ? 0 : check_dependents(name, t);
    if (!error)
        error = delete_place(&p, b, t);
    close_disk(b);
    return error;
}

/* ---- resize ---- */

/* The partition grows to the sectors that are wanted, or as far as it can; *p is as it is then. Raw: what is new is zeros. */
static int grow_partition(struct disks_place *p, uint64_t sectors, bool raw, struct text t)
{
    uint64_t old = p->part.sectors, room;
    struct blk_backend *more;
    struct edit e;
    unsigned n;
    int error;

    if (sectors <= old)
        return 0;
    error = edit_begin(&e, p->disk, t);
    if (error)
        return error;
    error = edit_find(&e, p, &n, t);
    room = error ? 0 : gpt_room_of(&e.g, n);
    if (!error && raw && room < sectors)
        error = fail(t, -ENOSPC, "there are only %lu MiB free behind it",
                     (unsigned long)((room - old) >> 11));
    sectors = min_u64(sectors, room);
    if (!error && raw) {
        more = host_disk_open_range(p->disk, p->part.first + old, sectors - old, HOST_DISK_WRITE);
        error = !more ? fail(t, -EBUSY, "out of memory")
                : blk_zero(more, 0, (sectors - old) * BLK_SECTOR) || blk_flush(more)
                    ? fail(t, -EIO, "what is new could not be zeroed")
                    : 0;
        close_disk(more);
    }
    if (!error && sectors > old) {
        gpt_set_sectors(&e.g, n, sectors);
        error = edit_commit(&e, t);
        p->part.sectors = error ? old : sectors;
    }
    edit_end(&e);
    return error;
}

/* Past its own end an image must show zeros, not what a larger one behind it has there. */
static int check_behind(const struct look *l, struct text t)
{
    struct blk_backend *b = NULL;
    struct look *behind;
    int error;

    if (!l->q.has_backing)
        return 0;
    error = disks_open(l->q.backing, true, &b, t.why, t.size);
    if (error)
        return error;
    error = look_into(b, &behind, t);
    if (!error) {
        if (!behind->size || behind->size > l->q.size)
            error = fail(t, -EINVAL, "what is behind it is larger than it: not supported");
        look_end(behind);
    }
    close_disk(b);
    return error;
}

static int resize_image(const struct disks_place *p, uint64_t size, bool only_check, struct text t)
{
    struct blk_backend *b = open_place(p, HOST_DISK_WRITE);
    struct look *l = NULL;
    int error = b ? look_into(b, &l, t) : fail(t, -EBUSY, "it is in use by a VM");

    if (!error) {
        if (!l->understood)
            error = -EINVAL; /* and its reason */
        else if (only_check && size <= l->size)
            error = fail(t, -EINVAL, "it has %lu bytes: it can only be made larger",
                         (unsigned long)l->size);
        else
            error = only_check ? check_behind(l, t) : qcow2_resize(&l->q, size, t.why, t.size);
        look_end(l);
    }
    close_disk(b);
    return error;
}

int disks_resize(const char *name, uint64_t size, char *why, size_t why_size)
{
    struct text t = {why, why_size};
    struct disks_place p;
    struct blk_backend *b;
    struct look *l;
    uint64_t wanted;
    bool image;
    int error = open_alone(name, &p, &b, t);

    if (error)
        return error;
    error = look_into(b, &l, t);
    image = !error && l->image;
    if (!error)
        look_end(l);
    close_disk(b);
    if (error)
        return error;
    if (!size || size % BLK_SECTOR || size > BIT(50) ||
        (!image && size <= p.part.sectors * BLK_SECTOR))
        return fail(t, -EINVAL, "a size is whole sectors, more than now, at most 1 PiB");
    error = image ? resize_image(&p, size, true, t) : 0;
    wanted = align_up(image ? qcow2_full_size(size) : size, GPT_ALIGN) / BLK_SECTOR;
    if (!error)
        error = grow_partition(&p, wanted, !image, t);
    return !error && image ? resize_image(&p, size, false, t) : error;
}
