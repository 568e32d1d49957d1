// SPDX-License-Identifier: BSD-2-Clause
#include "vm/vm_memory.h"

#include "base/log.h"
#include "mem/frame.h"
#include "vm/vm_account.h"
#include "vm/vm_ops.h"

/* ---- what there is ---- */

static void add_promise(struct vm *vm, struct vm_memory_host *h)
{
    struct vm_account_memory m;

    if (vm_state(vm) == VM_OFF)
        return;
    vm_account_memory(vm, &m);
    h->promised += m.promised;
    h->owed += m.promised - min_u64(m.promised, m.mapped);
}

/* All but room and overcommitted. */
static void look(struct vm_memory_host *h)
{
    *h = (struct vm_memory_host){.free = frame_free_count() * PAGE_SIZE,
                                 .reserve = frame_reserve_size() * PAGE_SIZE};
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_hold(i);

        if (!vm)
            continue;
        add_promise(vm, h);
        vm_let_go(vm);
    }
}

void vm_memory_host(struct vm_memory_host *h)
{
    uint64_t n[FRAME_STATES];

    look(h);
    frame_count(-1, n);
    h->room = (n[FRAME_FREE] + n[FRAME_VM]) * PAGE_SIZE;
    h->room -= min_u64(h->room, h->reserve);
    h->overcommitted = h->promised > h->room ? h->promised - h->room : 0;
}

uint64_t vm_memory_spare(void)
{
    struct vm_memory_host h;

    look(&h);
    return h.free - min_u64(h.free, h.reserve + h.owed);
}

int vm_memory_describe(char *to, size_t size)
{
    struct vm_memory_host h;

    vm_memory_host(&h);
    if (h.overcommitted)
        return fmt_snprintf(
            to, size,
            "VMs are promised %lu MiB, the host has %lu MiB for them: %lu MiB are overcommitted",
            (unsigned long)(h.promised >> 20), (unsigned long)(h.room >> 20),
            (unsigned long)((h.overcommitted + MIB(1) - 1) >> 20));
    return fmt_snprintf(to, size, "VMs are promised %lu MiB, the host has %lu MiB for them",
                        (unsigned long)(h.promised >> 20), (unsigned long)(h.room >> 20));
}

/* ---- who goes ---- */

uint64_t vm_memory_held(struct vm *vm)
{
    struct vm_account_memory m;

    vm_account_memory(vm, &m);
    return m.mapped + m.tables + m.disks;
}

uint64_t vm_memory_weight(const struct vm *vm)
{
    return vm->config.sched.weight ? vm->config.sched.weight : FAIR_WEIGHT_DEFAULT;
}

struct vm *vm_memory_choose(void)
{
    struct vm *most = NULL;
    uint64_t held = 0;

    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_hold(i), *less = vm;
        uint64_t n = vm && !vm->keeps_memory ? vm_memory_held(vm) : 0;

        /* n / weight > held / weight of the most; at most 2^44 bytes, and weights of 14 bits. */
        if (n && (!most || n * vm_memory_weight(most) > held * vm_memory_weight(vm))) {
            less = most;
            most = vm;
            held = n;
        }
        if (less)
            vm_let_go(less);
    }
    return most;
}
