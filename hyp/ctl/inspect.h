// SPDX-License-Identifier: BSD-2-Clause
// Looking into a VM: while one does, its state does not change (other operations on it are
// refused), and the registers of one vCPU are in memory.
// Lock rank: none; takes LOCK_VM for a moment. Callers: commands, on a thread, no lock held.
#pragma once
#include "vm/vm.h"

struct inspect {
    struct vm *vm;
    struct vcpu *v;   /* NULL: the VM only */
    bool parked_here; /* goes on when the inspection ends */
};

/* Any state. Any number of them, one after another; inspect_end is due after 0 only.
 * -EBUSY: another operation is under way. */
int inspect_vm(struct inspect *in, struct vm *vm, const char **why) MUST_CHECK;
/* The vCPU as well, parked for the while if it runs. Also -EINVAL (no such vCPU), -ETIMEDOUT. */
int inspect_vcpu(struct inspect *in, struct vm *vm, uint64_t index, const char **why) MUST_CHECK;
void inspect_end(struct inspect *in);
