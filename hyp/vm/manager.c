// SPDX-License-Identifier: BSD-2-Clause
// The VM manager: a thread that carries out what guests ask for (a vCPU cannot wait for itself to
// park), starts VMs at boot, and powers the machine off when nothing is left to run.
#include <errno.h>

#include "base/log.h"
#include "ctl/console.h"
#include "vm/event.h"
#include "vm/vm_ops.h"
#include "vm/vm_relief.h"

static struct thread *manager;
static bool off_when_idle;
static bool any_failed; /* a VM crashed or could not start */

/* A guest that does nothing but reboot would have this thread copy its images all the time, at the
 * others' cost, and be never at rest for a person's command. */
#define REBOOT_EVERY_US 1000000

static struct timer reboot_timer;
static uint64_t reboot_at; /* the earliest that waits, as of this look; UINT64_MAX: none */

void manager_wake(void)
{
    if (manager)
        thread_wake(manager);
}

/* An event in one word: never 0. */
static uint64_t pack(enum guest_event event, uint32_t reason)
{
    return (uint64_t)reason << 32 | ((uint64_t)event + 1);
}

void manager_event(struct guest *g, enum guest_event event, uint32_t reason)
{
    uint64_t none = 0;

    /* Several vCPUs may ask: the first decides. */
    if (atomic_compare_exchange_strong(&guest_to_vm(g)->pending, &none, pack(event, reason)))
        manager_wake();
}

/* SBI 3.0, "System Reset Extension", reset reasons. */
static void describe(char *to, size_t size, const char *what, uint32_t reason)
{
    if (reason == VM_SRST_NO_REASON)
        fmt_snprintf(to, size, "guest %s (no reason given)", what);
    else if (reason == VM_SRST_SYSTEM_FAILURE)
        fmt_snprintf(to, size, "guest %s (system failure)", what);
    else
        fmt_snprintf(to, size, "guest %s (reason %#x)", what, reason);
}

static const char *crash_reason(struct vm *vm)
{
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++)
        if (vm->guest.vcpu[i]->stop_reason)
            return vm->guest.vcpu[i]->stop_reason;
    return "a vCPU cannot go on";
}

static void restart(struct vm *vm, const char *reason)
{
    const char *why;

    if (vm_stop_claimed(vm, reason, &why)) {
        log_limited(&vm->guest.log, LOG_ERROR, "%s: cannot restart: %s", vm->config.name, why);
        any_failed = true;
    } else if (vm_start_claimed(vm, &why)) {
        log_limited(&vm->guest.log, LOG_ERROR, "%s: cannot restart: %s", vm->config.name, why);
        fmt_snprintf(vm->end_reason, sizeof(vm->end_reason), "%s", why);
        any_failed = true;
        vm_event(vm, VM_EVENT_STOPPED, true);
    } else {
        vm_event(vm, VM_EVENT_RESET, true);
    }
}

/* With the VM claimed. */
static void carry_out(struct vm *vm, enum guest_event event, uint32_t reason)
{
    char text[sizeof(vm->end_reason)];
    const char *why;

    /* The others it can do again and again; after these a person has to start it. */
    if (event == GUEST_SHUTDOWN || event == GUEST_CRASHED)
        log_limit_renew(&vm->guest.log);
    switch (event) {
    case GUEST_SHUTDOWN:
        describe(text, sizeof(text), "shut down", reason);
        if (vm_stop_claimed(vm, text, &why)) {
            log_limited(&vm->guest.log, LOG_ERROR, "%s: cannot stop: %s", vm->config.name, why);
            vm_crash_claimed(vm, why);
            any_failed = true;
        }
        vm_event(vm, vm_state(vm) == VM_OFF ? VM_EVENT_STOPPED : VM_EVENT_CRASHED, true);
        break;
    case GUEST_REBOOT_COLD:
    case GUEST_REBOOT_WARM:
        describe(text, sizeof(text), event == GUEST_REBOOT_COLD ? "rebooted" : "rebooted (warm)",
                 reason);
        restart(vm, text);
        break;
    case GUEST_WATCHDOG:
        restart(vm, "its watchdog expired");
        break;
    case GUEST_CRASHED:
        vm_crash_claimed(vm, crash_reason(vm));
        any_failed = true;
        vm_event(vm, VM_EVENT_CRASHED, true);
        break;
    }
}

static enum guest_event event_of(uint64_t packed)
{
    return (enum guest_event)((uint32_t)packed - 1);
}

/* Whether what the guest asks for has to wait; the VM stays as it is meanwhile. */
static bool too_early(const struct vm *vm, uint64_t packed)
{
    enum guest_event event = event_of(packed);
    uint64_t when = vm->started_at + timer_us(REBOOT_EVERY_US);

    if (event == GUEST_SHUTDOWN || event == GUEST_CRASHED || arch_time() >= when)
        return false;
    reboot_at = min_u64(reboot_at, when);
    return true;
}

/* Whether something was done. The VM is held. */
static bool look_at(struct vm *vm)
{
    uint64_t event = atomic_load(&vm->pending);

    if (!event || too_early(vm, event))
        return false;
    /* When another operation is under way: its end wakes this thread again. */
    if (vm_claim(vm, 1u << VM_RUNNING | 1u << VM_PAUSED, NULL))
        return false;
    event = atomic_exchange(&vm->pending, 0); /* 0: a stop was faster */
    if (event)
        carry_out(vm, event_of(event), (uint32_t)(event >> 32));
    vm_release(vm);
    return event != 0;
}

static void start_at_boot(struct vm *vm)
{
    const char *why;

    if (!vm->config.autostart || vm_state(vm) != VM_OFF || !vm_start(vm, &why))
        return;
    log_error("%s: cannot start: %s", vm->config.name, why);
    any_failed = true;
}

static void autostart(void)
{
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_hold(i);

        if (!vm)
            continue;
        start_at_boot(vm);
        vm_let_go(vm);
    }
}

/* A console of a VM that has ended is a dead end; the shell can start it again. */
static void show_shell(void)
{
    if (console_has_focus(NULL))
        return;
    console_set_focus(NULL);
    log_info("no VM runs: `list` says why, `start VM` starts one, `poweroff` ends");
}

static void reboot_is_due(struct timer *t)
{
    (void)t;
    manager_wake();
}

static void manager_main(void *arg)
{
    bool look_idle = true; /* at first: perhaps none could start */

    (void)arg;
    vm_relief_watch();
    autostart();
    for (;;) {
        reboot_at = UINT64_MAX;
        while (vm_relief_run())
            look_idle = any_failed = true;
        for (unsigned i = 0; i < VM_MAX; i++) {
            struct vm *vm = vm_hold(i);

            if (!vm)
                continue;
            look_idle |= look_at(vm);
            vm_let_go(vm);
        }
        if (look_idle && !vm_any_active()) {
            if (off_when_idle)
                vm_machine_off(any_failed);
            else
                show_shell();
        }
        look_idle = false;
        if (reboot_at != UINT64_MAX)
            timer_set(&reboot_timer, reboot_at);
        thread_block();
    }
}

int vm_manager_start(bool power_off_when_idle)
{
    off_when_idle = power_off_when_idle;
    any_failed = false;
    timer_init(&reboot_timer, reboot_is_due);
    manager = thread_create("vm-manager", manager_main, NULL);
    if (!manager)
        return -ENOMEM;
    thread_wake(manager);
    return 0;
}
