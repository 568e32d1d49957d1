// SPDX-License-Identifier: BSD-2-Clause
// The clock behind a VM's watchdog: a timer of the hypervisor's, and the time by the guest's own clock at which
// the VM is reset. Time stands still while the VM is paused: the timer may come then, and does nothing.
#include "vm/vm_ops.h"

static uint64_t guest_now(struct vm *vm)
{
    uint64_t host = vm_state(vm) == VM_PAUSED ? vm->paused_at : arch_time();

    return host + vm->guest.time_delta;
}

/* When it was fed meanwhile, the timer is set again already. */
static void watchdog_due(struct timer *t)
{
    struct vm *vm = CONTAINER_OF(t, struct vm, watchdog.timer);

    if (vm_state(vm) == VM_RUNNING && atomic_load(&vm->watchdog.deadline) <= guest_now(vm))
        manager_event(&vm->guest, GUEST_WATCHDOG, 0);
}

static void watchdog_arm(struct vm *vm, uint64_t deadline)
{
    timer_set(&vm->watchdog.timer, deadline - vm->guest.time_delta);
}

static void watchdog_start(void *ctx, uint64_t us)
{
    struct vm *vm = ctx;
    uint64_t deadline = guest_now(vm) + timer_us(us);

    atomic_store(&vm->watchdog.deadline, deadline);
    watchdog_arm(vm, deadline);
}

static void watchdog_stop(void *ctx)
{
    struct vm *vm = ctx;

    atomic_store(&vm->watchdog.deadline, UINT64_MAX);
    timer_cancel(&vm->watchdog.timer);
}

static uint64_t watchdog_left(void *ctx)
{
    struct vm *vm = ctx;
    uint64_t deadline = atomic_load(&vm->watchdog.deadline), now = guest_now(vm);

    if (deadline == UINT64_MAX)
        return UINT64_MAX;
    return deadline > now ? (deadline - now) * 1000000 / timer_hz : 0;
}

static void watchdog_close(void *ctx)
{
    struct vm *vm = ctx;

    atomic_store(&vm->watchdog.deadline, UINT64_MAX);
    timer_cancel_wait(&vm->watchdog.timer);
}

void vm_watchdog_init(struct vm *vm)
{
    timer_init(&vm->watchdog.timer, watchdog_due);
    atomic_store(&vm->watchdog.deadline, UINT64_MAX);
    vm->watchdog.backend = (struct watchdog_backend){
        .start = watchdog_start,
        .stop = watchdog_stop,
        .left = watchdog_left,
        .close = watchdog_close,
        .ctx = vm,
    };
}

void vm_watchdog_resume(struct vm *vm)
{
    uint64_t deadline = atomic_load(&vm->watchdog.deadline);

    if (deadline != UINT64_MAX)
        watchdog_arm(vm, deadline);
}
