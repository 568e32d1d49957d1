// SPDX-License-Identifier: BSD-2-Clause
// Disks of VMs that exist: which is meant, and what changes while they are used.
#include <errno.h>
#include <string.h>

#include "base/log.h"
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
