// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/inspect.h"

#include <errno.h>

#include "vm/vm_ops.h"

#define PARK_TIMEOUT_US 1000000

int inspect_vm(struct inspect *in, struct vm *vm, const char **why)
{
    *in = (struct inspect){.vm = vm};
    return vm_claim(vm, ~0u, why);
}

static bool wait_parked(struct vcpu *v)
{
    uint64_t start = arch_time(), patience = timer_us(PARK_TIMEOUT_US);

    while (!vcpu_is_parked(v)) {
        if (arch_time() - start > patience)
            return false;
        thread_yield();
    }
    return true;
}

int inspect_vcpu(struct inspect *in, struct vm *vm, uint64_t index, const char **why)
{
    int error = inspect_vm(in, vm, why);
    bool parked;

    if (error)
        return error;
    if (index >= vm->guest.vcpu_count) {
        inspect_end(in);
        *why = "it has no such vCPU: they count from 0";
        return -EINVAL;
    }
    in->v = vm->guest.vcpu[index];
    if (vm_state(vm) == VM_RUNNING) {
        in->parked_here = true;
        vcpu_park(in->v);
    }
    vm_sched_lift_cap(vm, true);
    parked = wait_parked(in->v);
    vm_sched_lift_cap(vm, false);
    if (!parked) {
        inspect_end(in);
        *why = "the vCPU does not leave its guest: try again, or stop the VM";
        return -ETIMEDOUT;
    }
    return 0;
}

void inspect_end(struct inspect *in)
{
    if (in->parked_here)
        vcpu_unpark(in->v);
    vm_release(in->vm);
}
