// SPDX-License-Identifier: BSD-2-Clause
// What VMs had and did: the numbers behind `top`, `exits`, `list`, and the protocol's query-stats.
// Numbers are read while VMs run, without stopping anything: each is whole, but they are not of one instant.
// Lock rank: none (memory takes none; times: LOCK_RUNQUEUE's data, without it). Callers: commands.
#pragma once
#include "vm/vm.h"

/* Ticks of the host's clock as nanoseconds. */
uint64_t vm_account_ns(uint64_t ticks);
/* Of all vCPUs together, in ticks since the VM was made: where their threads' time went. */
void vm_account_times(const struct vm *vm, uint64_t times[THREAD_TIMES]);
/* Ticks since the last start, up to a pause; 0 for a VM that is off or has crashed. */
uint64_t vm_account_uptime(struct vm *vm);

struct vm_account_exits {
    uint64_t count;
    uint64_t instructions; /* of the host, while costs are counted */
};
/* Of all vCPUs for one cause (an index into vcpu->exits), since the last start or reset. */
struct vm_account_exits vm_account_exits(const struct vm *vm, unsigned cause);
void vm_account_reset_exits(struct vm *vm);
bool vm_account_has_costs(void);
/* When switched on all counts begin anew: a mean over exits that were not all measured would be wrong. */
void vm_account_set_costs(bool on);

struct vm_account_memory {
    uint64_t promised; /* RAM that the guest was told of; 0 when off */
    uint64_t mapped; /* of it, what it has touched, and is its own */
    uint64_t shared; /* pages of images that it has touched, and not written */
    uint64_t tables; /* its stage 2 */
    uint64_t disks; /* what was written to its RAM disks, also while it is off */
    /* Of the hypervisor's own: vCPUs with their stacks, devices, console, tree, also while it is off. */
    uint64_t hypervisor;
};
void vm_account_memory(struct vm *vm, struct vm_account_memory *m);
