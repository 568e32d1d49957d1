// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about partitions of the host's disks, and the images in them.
#include <errno.h>
#include <string.h>

#include "blk/disks_edit.h"
#include "blk/image.h"
#include "ctl/qmp_command.h"
#include "mem/heap.h"
#include "vm/vm.h"

/* ---- what there is ---- */

struct node {
    struct node *next;
    struct disks_info info;
};

struct images {
    struct node *first, **end;
    bool out_of_memory;
    bool counted; /* what images use of their partitions */
};

static void collect(void *ctx, const struct disks_info *i)
{
    struct images *all = ctx;
    struct node *n = heap_alloc(sizeof(*n));

    if (!n) {
        all->out_of_memory = true;
        return;
    }
    *n = (struct node){NULL, *i};
    *all->end = n;
    all->end = &n->next;
}

static void free_images(struct images *all)
{
    for (struct node *n = all->first, *next; n; n = next) {
        next = n->next;
        heap_free(n);
    }
}

static const char *behind(const struct images *all, const char *name)
{
    for (const struct node *n = all->first; n; n = n->next)
        if (!strcmp(n->info.place.part.name, name))
            return n->info.behind;
    return "";
}

/* Whether a VM's disk is the partition, has it behind it, or is the host's disk that it is on. */
static bool is_used_by(const struct images *all, const struct disks_place *p,
                       const struct vm_disk *d)
{
    const char *name = d->part;

    if (d->kind == VM_DISK_HOST)
        return d->host_index == p->disk;
    for (unsigned i = 0; d->kind == VM_DISK_PART && name[0] && i < IMAGE_LAYERS; i++) {
        if (!strcmp(name, p->part.name))
            return true;
        name = d->qcow2 ? behind(all, name) : "";
    }
    return false;
}

static void put_users(struct json_out *o, const struct images *all, const struct disks_place *p)
{
    char text[VM_NAME_MAX + 16];

    json_begin_array(o, "used-by");
    for (unsigned i = 0; i < VM_MAX; i++) {
        const struct vm *vm = vm_at(i);

        for (unsigned n = 0; vm && n < vm->config.disk_count; n++) {
            if (!is_used_by(all, p, &vm->config.disk[n]))
                continue;
            fmt_snprintf(text, sizeof(text), "%s/disk-%u", vm->config.name, n);
            json_put_string(o, NULL, text);
        }
    }
    json_end_array(o);
}

static void put_image(struct json_out *o, const struct images *all, const struct disks_info *i)
{
    json_begin_object(o, NULL);
    json_put_string(o, "image", i->place.part.name);
    json_put_string(o, "format", i->image ? "qcow2" : "raw");
    if (i->size) /* else it is an image that is not understood */
        json_put_u64(o, "virtual-size", i->size);
    if (all->counted)
        json_put_u64(o, "actual-size", i->used);
    if (i->used_more)
        json_put_bool(o, "actual-size-incomplete", true);
    if (i->behind[0])
        json_put_string(o, "backing", i->behind);
    put_users(o, all, &i->place);
    json_put_u64(o, "partition", i->place.part.sectors * 512);
    json_put_u64(o, "disk", i->place.disk);
    json_end_object(o);
}

int qmp_query_images(struct qmp_call *c)
{
    struct images all = {.end = &all.first, .counted = true};
    int error;

    qmp_arg_bool(c, "count", &all.counted);
    error = disks_list(all.counted, collect, &all);
    if (error || all.out_of_memory)
        error = qmp_fail(c, -ENOMEM, "out of memory");
    json_begin_array(c->out, NULL);
    for (const struct node *n = all.first; n && !error; n = n->next)
        put_image(c->out, &all, &n->info);
    json_end_array(c->out);
    free_images(&all);
    return error;
}

/* ---- what changes them ---- */

static int name_arg(struct qmp_call *c, const char *arg, char name[GPT_NAME_MAX])
{
    if (qmp_arg_string(c, arg, name, GPT_NAME_MAX))
        return 0;
    return qmp_fail(c, -EINVAL, "Parameter '%s': a name has at most %d characters", arg,
                    GPT_NAME_UNITS);
}

/* "room" and "disk" of a new image, and its making. */
static int create(struct qmp_call *c, struct disks_new *n)
{
    char why[192];
    uint64_t disk;
    int error;

    n->disk = -1;
    qmp_arg_u64(c, "room", &n->room);
    if (n->room > BIT(50))
        return qmp_fail(c, -EINVAL, "Parameter 'room': at most 1 PiB");
    if (qmp_arg_u64(c, "disk", &disk))
        n->disk = (int)min_u64(disk, INT32_MAX);
    error = disks_create(n, why, sizeof(why));
    return error ? qmp_fail(c, error, "cannot create %.40s: %s", n->name, why) : 0;
}

int qmp_image_create(struct qmp_call *c)
{
    char name[GPT_NAME_MAX], template[GPT_NAME_MAX], format[8] = "qcow2";
    struct disks_new n = {.name = name};
    int error = name_arg(c, "image", name);

    if (!error && qmp_arg(c, "backing") >= 0) {
        error = name_arg(c, "backing", template);
        n.template = template;
    }
    if (error)
        return error;
    if (qmp_arg(c, "format") >= 0 && !qmp_arg_string(c, "format", format, sizeof(format)))
        format[0] = '\0';
    n.raw = !strcmp(format, "raw");
    if (!n.raw && strcmp(format, "qcow2"))
        return qmp_fail(c, -EINVAL, "Parameter 'format' is neither \"qcow2\" nor \"raw\"");
    if (n.raw && n.template)
        return qmp_fail(c, -EINVAL, "a raw image has nothing behind it");
    qmp_arg_u64(c, "size", &n.size);
    if (!n.size)
        return qmp_fail(c, -EINVAL, "Parameter 'size': 0 bytes are no disk");
    return create(c, &n);
}

int qmp_image_clone(struct qmp_call *c)
{
    char name[GPT_NAME_MAX], template[GPT_NAME_MAX];
    struct disks_new n = {.name = name, .template = template};
    int error = name_arg(c, "image", name);

    if (!error)
        error = name_arg(c, "from", template);
    if (error)
        return error;
    qmp_arg_u64(c, "size", &n.size);
    return create(c, &n);
}

int qmp_image_resize(struct qmp_call *c)
{
    char name[GPT_NAME_MAX], why[192];
    uint64_t size = 0;
    int error = name_arg(c, "image", name);

    if (error)
        return error;
    qmp_arg_u64(c, "size", &size);
    error = vm_resize_image(name, size, why, sizeof(why));
    return error ? qmp_fail(c, error, "cannot resize %.40s: %s", name, why) : 0;
}

int qmp_image_delete(struct qmp_call *c)
{
    char name[GPT_NAME_MAX], why[192];
    bool force = false;
    int error = name_arg(c, "image", name);

    if (error)
        return error;
    qmp_arg_bool(c, "force", &force);
    error = disks_delete(name, force, why, sizeof(why));
    return error ? qmp_fail(c, error, "cannot delete %.40s: %s", name, why) : 0;
}
