// SPDX-License-Identifier: BSD-2-Clause
#include "vm/vm_relief.h"

#include "base/log.h"
#include "mem/frame.h"
#include "vm/event.h"
#include "vm/vm_memory.h"
#include "vm/vm_ops.h"

static atomic_uint ended; /* somebody found no memory since the manager last looked */
static atomic_uint hopeless; /* and the manager found no VM to stop */

/* For who reads the log: who held what. */
static void log_holders(void)
{
    char line[160];

    vm_memory_describe(line, sizeof(line));
    log_error("memory: none is left but %lu KiB in reserve. %s",
              (unsigned long)(frame_free_count() * PAGE_SIZE >> 10), line);
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_hold(i);

        if (!vm)
            continue;
        if (vm_memory_held(vm))
            log_error("memory: %s holds %lu MiB of its own, weight %lu", vm->config.name,
                      (unsigned long)(vm_memory_held(vm) >> 20),
                      (unsigned long)vm_memory_weight(vm));
        vm_let_go(vm);
    }
}

static void drop_disks(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config.disk_count; i++)
        if (vm->disk[i] && vm->disk[i]->revert)
            vm->disk[i]->revert(vm->disk[i]->ctx);
    log_error("%s: what it had written to its RAM disks is dropped", vm->config.name);
}

static void write_report(struct vm *vm, uint64_t held)
{
    char host[160];

    vm_memory_describe(host, sizeof(host));
    fmt_snprintf(
        vm->crash_report, sizeof(vm->crash_report),
        "%s was stopped because the host had no memory left.\n"
        "It held %lu MiB of its own at weight %lu: the most of all VMs for its weight.\n"
        "Before it was stopped: %s.\n"
        "Give it less memory, run fewer VMs, or give it a greater weight (set %s weight=N).\n",
        vm->config.name, (unsigned long)(held >> 20), (unsigned long)vm_memory_weight(vm), host,
        vm->config.name);
}

/* With the VM claimed. */
static void take_from(struct vm *vm)
{
    uint64_t held = vm_memory_held(vm);
    char reason[sizeof(vm->end_reason)];
    const char *why;

    log_holders();
    if (vm_state(vm) == VM_OFF) {
        drop_disks(vm);
        return;
    }
    fmt_snprintf(reason, sizeof(reason), "the host had no memory left, and it held most: %lu MiB",
                 (unsigned long)(held >> 20));
    write_report(vm, held);
    if (vm_stop_claimed(vm, reason, &why)) {
        log_limited(&vm->guest.log, LOG_ERROR, "%s: cannot be stopped for its memory: %s",
                    vm->config.name, why);
        vm->keeps_memory = true;
    }
    vm_event(vm, vm_state(vm) == VM_OFF ? VM_EVENT_STOPPED : VM_EVENT_CRASHED, true);
}

static void spare_all(void)
{
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_hold(i);

        if (!vm)
            continue;
        atomic_store(&vm->guest.s2.starved, false);
        vm_let_go(vm);
    }
}

bool vm_relief_run(void)
{
    struct vm *vm;
    int error;

    if (!atomic_exchange(&ended, false))
        return false;
    if (frame_free_count() > frame_reserve_size()) { /* somebody has given some back */
        spare_all();
        atomic_store(&hopeless, false);
        return false;
    }
    vm = vm_memory_choose();
    atomic_store(&hopeless, !vm);
    if (!vm)
        return false;
    /* From here on nothing is left for it, whatever its devices do. */
    atomic_store(&vm->guest.s2.starved, true);
    error =
        vm_claim(vm, 1u << VM_OFF | 1u << VM_RUNNING | 1u << VM_PAUSED | 1u << VM_CRASHED, NULL);
    vm_let_go(vm); /* a VM that is claimed stays, too */
    if (error) {
        atomic_store(&ended, true); /* the end of that operation wakes the manager */
        return false;
    }
    take_from(vm);
    vm_release(vm);
    return true;
}

/* ---- who finds none ---- */

/* From whatever needs a frame for a guest, perhaps with a device's lock held. */
static void memory_ended(void)
{
    if (!atomic_exchange(&ended, true))
        manager_wake();
}

void vm_relief_watch(void)
{
    atomic_store(&hopeless, false);
    atomic_store(&ended, false);
    frame_guests_low = memory_ended;
}

bool vm_relief_wait(struct guest *g)
{
    (void)g;
    if (atomic_load(&hopeless))
        return false;
    memory_ended();
    return true;
}
