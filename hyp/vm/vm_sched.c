// SPDX-License-Identifier: BSD-2-Clause
// A VM's share of the harts, while it runs or not.
#include <errno.h>

#include "sched/thread.h"
#include "vm/vm_ops.h"

static uint64_t online_harts(void) { return ~0ul >> (HART_MAX - hart_count); }

int vm_sched_check(const struct vm_sched *s, unsigned vcpus, const char **why)
{
    *why = NULL;
    if (s->weight > FAIR_WEIGHT_MAX)
        *why = "weight is 1 to 10000";
    else if (s->cap > 100 * vcpus)
        *why = "cap is percent of one hart: at most 100 for each vCPU";
    else if (s->affinity && !(s->affinity & online_harts()))
        *why = "affinity has no hart that this machine has";
    return *why ? -EINVAL : 0;
}

void vm_sched_apply(struct vm *vm)
{
    const struct vm_sched *s = &vm->config.sched;
    struct fair_group *g = &vm->guest.sched;

    fair_set_weight(g, s->weight ? s->weight : FAIR_WEIGHT_DEFAULT);
    if (atomic_load(&g->cap) != s->cap)
        fair_set_cap(g, s->cap);
    atomic_store(&g->affinity, s->affinity ? s->affinity : FAIR_ALL_HARTS);
}

void vm_sched_lift_cap(struct vm *vm, bool lifted)
{
    struct fair_group *g = &vm->guest.sched;

    if (lifted ? !atomic_load(&g->cap) : !g->lifted)
        return;
    fair_lift_cap(g, lifted);
    if (lifted)
        thread_group_changed();
}

int vm_set_sched(struct vm *vm, const struct vm_sched *s, const char **why)
{
    int error = vm_sched_check(s, vm->config.vcpus, why);

    if (error)
        return error;
    vm->config.sched = *s;
    vm_sched_apply(vm);
    thread_group_changed();
    return 0;
}
