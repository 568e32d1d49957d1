// SPDX-License-Identifier: BSD-2-Clause
// The memory of all VMs together: what they were promised, what there is, and whose turn it is when it ends.
//
// VMs may be promised more than there is: RAM is given on first touch. When it has ended, the VM goes that holds the
// most memory for its weight. A VM's memory is what only it has: its RAM without pages that it shares with an
// image, its tables, what it wrote to RAM disks. So a VM that holds less than its weight's part of what all VMs hold
// is never the one.
// Lock rank: none held. Callers: vm_relief, uploads, commands.
#pragma once
#include "vm/vm.h"

struct vm_memory_host { /* bytes */
    uint64_t room; /* for VMs: what is free and what they hold, without the reserve */
    uint64_t promised; /* the RAM of all VMs that are not off */
    uint64_t owed; /* of it, what they have not got yet: no page, nor an image's */
    uint64_t overcommitted; /* what would be lacking if they used all of it */
    uint64_t free, reserve;
};
void vm_memory_host(struct vm_memory_host *h);
/* That as one line for people; its length. */
int vm_memory_describe(char *to, size_t size);
/* Bytes that only this VM holds. */
uint64_t vm_memory_held(struct vm *vm);
uint64_t vm_memory_weight(const struct vm *vm);
/* Bytes that a bundle may take: what is free beyond the reserve, and beyond what VMs that are not off were promised and have
 * not touched yet. So no upload takes the memory that a VM was told it has, as long as there is as much. */
uint64_t vm_memory_spare(void);
/* The VM that goes next, held (vm_hold), or NULL: none holds anything. */
struct vm *vm_memory_choose(void) MUST_CHECK;
