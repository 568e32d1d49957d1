// SPDX-License-Identifier: BSD-2-Clause
// Disks of VMs that exist: which is meant, and what changes while they are used.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/disks_edit.h"
#include "vdev/virtio/virtio_dev.h"
#include "vm/vm.h"

int vm_find_disk(const char *device, struct vm **vm, unsigned *disk)
{
    const char *slash = strrchr(device, '/');
    char name[VM_NAME_MAX], role[sizeof("disk-0")];

    if (!slash || (size_t)(slash - device) >= sizeof(name))
        return -ENOENT;
    memcpy(name, device, (size_t)(slash - device));
    name[slash - device] = '\0';
    *vm = vm_find(name);
    for (*disk = 0; *vm && *disk < (*vm)->config.disk_count; ++*disk) {
        fmt_snprintf(role, sizeof(role), "disk-%u", *disk);
        if (!strcmp(slash + 1, role))
            return 0;
    }
    return -ENOENT;
}

int vm_set_disk_limit(struct vm *vm, unsigned disk, const struct blk_limit *limit, const char **why)
{
    *why = "at most 10000000 requests a second (0: no limit)";
    if (limit->iops > BLK_LIMIT_IOPS_MAX)
        return -EINVAL;
    *why = "bytes a second are 0 (no limit), or 64 KiB to less than 8 GiB";
    if (limit->bytes && (limit->bytes < BLK_LIMIT_BYTES_MIN || limit->bytes >= BIT(33)))
        return -EINVAL;
    blk_limit_set(vm->disk[disk], limit);
    vm->config.disk[disk].limit = *limit;
    return 0;
}

static struct vdev *device_of(const struct vm *vm, unsigned disk)
{
    char role[sizeof("disk-0")];

    fmt_snprintf(role, sizeof(role), "disk-%u", disk);
    for (unsigned i = 0; i < vm->guest.bus.count; i++)
        if (!strcmp(vm->guest.bus.dev[i]->role, role))
            return vm->guest.bus.dev[i];
    return NULL;
}

/* Why a disk is as large as it is; NULL: it can be made larger. */
static const char *why_fixed(const struct vm *vm, unsigned disk)
{
    switch (vm->config.disk[disk].kind) {
    case VM_DISK_RAM:
        return "a RAM disk is as large as its image in the bundle";
    case VM_DISK_HOST:
        return "a whole disk of the host is as large as that";
    default:
        return vm->disk[disk]->read_only ? "it is read only" : NULL;
    }
}

int vm_resize_disk(struct vm *vm, unsigned disk, uint64_t size, char *why, size_t why_size)
{
    const struct vm_disk *d = &vm->config.disk[disk];
    const char *fixed = why_fixed(vm, disk);
    struct vdev *dev = device_of(vm, disk);
    int error;

    if (fixed || !dev) {
        fmt_snprintf(why, why_size, "%s", fixed ? fixed : "it has no device");
        return -EINVAL;
    }
    error = disks_grow(d->part, d->qcow2, vm->disk[disk], size, why, why_size);
    if (!error)
        virtio_blk_grown(dev);
    return error;
}

int vm_find_writer(const char *image, struct vm **vm, unsigned *disk)
{
    for (unsigned i = 0; i < VM_MAX; i++) {
        *vm = vm_at(i);
        for (*disk = 0; *vm && *disk < (*vm)->config.disk_count; ++*disk) {
            const struct vm_disk *d = &(*vm)->config.disk[*disk];

            if (d->kind == VM_DISK_PART && !d->read_only && !strcmp(d->part, image))
                return 0;
        }
    }
    return -ENOENT;
}

int vm_resize_image(const char *name, uint64_t size, char *why, size_t why_size)
{
    struct vm *vm;
    unsigned disk;

    return vm_find_writer(name, &vm, &disk) ? disks_resize(name, size, why, why_size)
                                            : vm_resize_disk(vm, disk, size, why, why_size);
}
