// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about the disks of VMs, in QEMU's shapes (its qapi/block-core.json).
#include <errno.h>

#include "base/log.h"
#include "ctl/qmp_command.h"
#include "vm/vm.h"

enum { DEVICE_NAME = VM_NAME_MAX + sizeof("/disk-0"), FILE_NAME = 64 };

/* The disk that "device" names. */
static int device_arg(struct qmp_call *c, struct vm **vm, unsigned *disk)
{
    char device[DEVICE_NAME];

    if (!qmp_arg_string(c, "device", device, sizeof(device)))
        return qmp_fail(c, -ENOENT, "no disk has a name that long: they are called VM/disk-N");
    if (vm_find_disk(device, vm, disk))
        return qmp_fail(c, -ENOENT, "%s: there is no such disk: they are called VM/disk-N", device);
    return 0;
}

/* ---- what there is ---- */

/* What the disk is made of: an image of the bundle, a disk of the host, a partition. */
static void name_file(const struct vm_disk *d, char *to, size_t size)
{
    switch (d->kind) {
    case VM_DISK_HOST:
        fmt_snprintf(to, size, "host@%u", d->host_index);
        return;
    case VM_DISK_PART:
        fmt_snprintf(to, size, "%s", d->part);
        return;
    default:
        fmt_snprintf(to, size, "%s", d->image.name);
    }
}

static void put_image(struct json_out *o, const struct vm_disk *d, const struct blk_backend *b)
{
    char file[FILE_NAME];

    name_file(d, file, sizeof(file));
    json_begin_object(o, "image");
    json_put_string(o, "filename", file);
    json_put_string(o, "format", d->qcow2 ? "qcow2" : "raw");
    json_put_u64(o, "virtual-size", b->sectors * 512);
    if (b->behind)
        json_put_string(o, "backing-filename", b->behind);
    json_end_object(o);
}

static void put_limits(struct json_out *o, const struct blk_limit *limit)
{
    json_put_u64(o, "bps", limit->bytes);
    json_put_u64(o, "bps_rd", 0);
    json_put_u64(o, "bps_wr", 0);
    json_put_u64(o, "iops", limit->iops);
    json_put_u64(o, "iops_rd", 0);
    json_put_u64(o, "iops_wr", 0);
}

static void put_disk(struct json_out *o, const struct vm *vm, unsigned n)
{
    const struct vm_disk *d = &vm->config.disk[n];
    char device[DEVICE_NAME], file[FILE_NAME];

    fmt_snprintf(device, sizeof(device), "%s/disk-%u", vm->config.name, n);
    name_file(d, file, sizeof(file));
    json_begin_object(o, NULL);
    json_put_string(o, "device", device);
    json_put_string(o, "type", "unknown"); /* as QEMU always says */
    json_put_bool(o, "removable", false);
    json_put_bool(o, "locked", false);
    json_begin_object(o, "inserted");
    json_put_string(o, "file", file);
    if (d->kind == VM_DISK_PART)
        json_put_string(o, "node-name", d->part);
    json_put_string(o, "drv", d->qcow2 ? "qcow2" : "raw");
    json_put_bool(o, "ro", vm->disk[n]->read_only); /* the host's disk may be, too */
    json_put_string(o, "serial", vm->disk[n]->serial);
    put_limits(o, &d->limit);
    put_image(o, d, vm->disk[n]);
    json_end_object(o);
    json_end_object(o);
}

int qmp_query_block(struct qmp_call *c)
{
    struct vm *only;
    int error = qmp_vm_or_all(c, &only);

    if (error)
        return error;
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; i < VM_MAX; i++) {
        const struct vm *vm = vm_at(i);

        for (unsigned n = 0; vm && (!only || vm == only) && n < vm->config.disk_count; n++)
            put_disk(c->out, vm, n);
    }
    json_end_array(c->out);
    return 0;
}

/* ---- what changes them ---- */

/* What QEMU has and Trapline has not is refused, unless it is none. */
static int refuse_others(struct qmp_call *c)
{
    static const char *const others[] = {"bps_rd", "bps_wr", "iops_rd", "iops_wr"};
    uint64_t v;

    for (unsigned i = 0; i < ARRAY_LEN(others); i++)
        if (qmp_arg_u64(c, others[i], &v) && v)
            return qmp_fail(
                c, -EINVAL,
                "Parameter '%s': reads and writes are limited together, by bps and iops",
                others[i]);
    return 0;
}

int qmp_block_set_io_throttle(struct qmp_call *c)
{
    struct blk_limit limit;
    struct vm *vm;
    unsigned disk;
    uint64_t iops;
    const char *why;
    int error = device_arg(c, &vm, &disk);

    if (!error)
        error = refuse_others(c);
    if (error)
        return error;
    limit = vm->config.disk[disk].limit;
    qmp_arg_u64(c, "bps", &limit.bytes);
    if (qmp_arg_u64(c, "iops", &iops))
        limit.iops = (uint32_t)min_u64(iops, UINT32_MAX); /* beyond every limit */
    error = vm_set_disk_limit(vm, disk, &limit, &why);
    return error ? qmp_fail(c, error, "%s/disk-%u: %s", vm->config.name, disk, why) : 0;
}

/* The disk that "device" (VM/disk-N) or "node-name" (what it is made of) names: one of them. */
static int device_or_node(struct qmp_call *c, struct vm **vm, unsigned *disk)
{
    bool device = qmp_arg(c, "device") >= 0;
    char node[VM_PART_NAME];

    if (device == (qmp_arg(c, "node-name") >= 0))
        return qmp_fail(c, -EINVAL, "Need exactly one of 'device' and 'node-name'");
    if (device)
        return device_arg(c, vm, disk);
    if (!qmp_arg_string(c, "node-name", node, sizeof(node)))
        return qmp_fail(c, -ENOENT, "no disk has a name that long");
    if (vm_find_writer(node, vm, disk))
        return qmp_fail(c, -ENOENT, "no VM has %s to write to it: image-resize is for others",
                        node);
    return 0;
}

int qmp_block_resize(struct qmp_call *c)
{
    char why[192];
    uint64_t size = 0;
    struct vm *vm;
    unsigned disk;
    int error = device_or_node(c, &vm, &disk);

    if (error)
        return error;
    qmp_arg_u64(c, "size", &size);
    error = vm_resize_disk(vm, disk, size, why, sizeof(why));
    return error ? qmp_fail(c, error, "cannot resize %s/disk-%u: %s", vm->config.name, disk, why)
                 : 0;
}
