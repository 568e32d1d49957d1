// SPDX-License-Identifier: BSD-2-Clause
#include "vm/vm_account.h"

#include <string.h>

#include "ctl/console.h"
#include "mem/heap.h"
#include "vcpu/exit.h"
#include "vm/vm_ops.h"

static bool costs_on;

uint64_t vm_account_ns(uint64_t ticks)
{
    uint64_t hz = timer_hz ? timer_hz : 1;

    return ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
}

void vm_account_times(const struct vm *vm, uint64_t times[THREAD_TIMES])
{
    memset(times, 0, THREAD_TIMES * sizeof(times[0]));
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++) {
        uint64_t one[THREAD_TIMES];

        if (!vm->guest.vcpu[i])
            continue;
        thread_times(&vm->guest.vcpu[i]->thread, one);
        for (unsigned k = 0; k < THREAD_TIMES; k++)
            times[k] += one[k];
    }
}

uint64_t vm_account_uptime(struct vm *vm)
{
    switch (vm_state(vm)) {
    case VM_RUNNING:
        return arch_time() - vm->started_at;
    case VM_PAUSED:
        return vm->paused_at - vm->started_at;
    default:
        return 0;
    }
}

struct vm_account_exits vm_account_exits(const struct vm *vm, unsigned cause)
{
    struct vm_account_exits sum = {0};

    for (unsigned i = 0; i < vm->guest.vcpu_count; i++) {
        if (!vm->guest.vcpu[i])
            continue;
        sum.count += vm->guest.vcpu[i]->exits[cause];
        sum.instructions += vm->guest.vcpu[i]->exits_cost[cause];
    }
    return sum;
}

void vm_account_reset_exits(struct vm *vm)
{
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++) {
        struct vcpu *v = vm->guest.vcpu[i];

        if (!v)
            continue;
        memset(v->exits, 0, sizeof(v->exits));
        memset(v->exits_cost, 0, sizeof(v->exits_cost));
    }
}

bool vm_account_has_costs(void) { return costs_on; }

void vm_account_set_costs(bool on)
{
    for (unsigned i = 0; i < VM_MAX && on && !costs_on; i++)
        if (vm_at(i))
            vm_account_reset_exits(vm_at(i));
    exit_set_costs(on);
    costs_on = on;
}

/* Each part says what it has allocated: the heap knows no owners. */
static uint64_t hypervisor_memory(struct vm *vm)
{
    const struct bus *bus = &vm->guest.bus;
    uint64_t n = heap_takes(sizeof(*vm)) + console_memory() + vm->guest.vcpu_count * vcpu_memory();

    for (unsigned i = 0; i < __atomic_load_n(&bus->count, __ATOMIC_ACQUIRE); i++)
        n += bus->dev[i]->ops->memory(bus->dev[i]);
    return n + (vm->fdt ? heap_takes(vm->fdt_size) : 0);
}

/* What the guest has mapped of devices' registers, which is the hypervisor's memory and counted there. */
static uint64_t register_pages(const struct vm *vm)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < vm->guest.bus.count; i++)
        if (vm->guest.bus.dev[i]->page.hva)
            n += PAGE_SIZE;
    return n;
}

void vm_account_memory(struct vm *vm, struct vm_account_memory *m)
{
    uint64_t mapped;

    *m = (struct vm_account_memory){.hypervisor = hypervisor_memory(vm)};
    for (unsigned i = 0; i < vm->config.disk_count; i++)
        if (vm->disk[i] && vm->disk[i]->frames)
            m->disks += *vm->disk[i]->frames * PAGE_SIZE;
    if (vm_state(vm) == VM_OFF)
        return;
    m->promised = vm->config.memory;
    /* Read while other harts change them: not one after the other of the same moment. */
    mapped = vm->guest.s2.mapped_bytes;
    mapped -= min_u64(register_pages(vm), mapped);
    m->shared = min_u64(vm->guest.s2.shared_bytes, mapped);
    m->mapped = mapped - m->shared;
    m->tables = vm->guest.s2.table_frames * PAGE_SIZE;
}
