// SPDX-License-Identifier: BSD-2-Clause
// Start, stop, pause, resume, reset. What waits here are threads that are not vCPUs: they ask the
// vCPUs to park and poll, giving others the hart in between.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "boot/options.h"
#include "mem/frame.h"
#include "vcpu/exit.h"
#include "vcpu/report.h"
#include "vm/event.h"
#include "vm/layout.h"
#include "vm/vm_ops.h"

#define PARK_TIMEOUT_US 5000000
#define DRAIN_TIMEOUT_US 30000000

static bool all_parked(struct vm *vm)
{
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++)
        if (!vcpu_is_parked(vm->guest.vcpu[i]))
            return false;
    return true;
}

static bool devices_idle(struct vm *vm)
{
    for (unsigned i = 0; i < vm->guest.bus.count; i++)
        if (vdev_busy(vm->guest.bus.dev[i]))
            return false;
    return true;
}

static bool wait_for(struct vm *vm, bool (*condition)(struct vm *vm), uint64_t timeout_us)
{
    uint64_t start = arch_time(), patience = timer_us(timeout_us);

    while (!condition(vm)) {
        if (arch_time() - start > patience)
            return false;
        thread_yield();
    }
    return true;
}

static void unpark_all(struct vm *vm)
{
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++)
        vcpu_unpark(vm->guest.vcpu[i]);
}

static int park_all(struct vm *vm, const char **why)
{
    bool parked;

    for (unsigned i = 0; i < vm->guest.vcpu_count; i++)
        vcpu_park(vm->guest.vcpu[i]);
    vm_sched_lift_cap(vm, true);
    parked = wait_for(vm, all_parked, PARK_TIMEOUT_US);
    vm_sched_lift_cap(vm, false);
    if (parked)
        return 0;
    return vm_fail(vm, why, -ETIMEDOUT,
                   "a vCPU does not leave the guest (a defect of Trapline: see log)");
}

static void reset_devices(struct vm *vm)
{
    for (unsigned i = 0; i < vm->guest.bus.count; i++) {
        struct vdev *dev = vm->guest.bus.dev[i];
        dev->ops->reset(dev);
    }
}

/* The last step back from any state: OFF, no guest memory. vCPUs are parked, devices idle. */
static void release_memory(struct vm *vm)
{
    uint64_t counts[FRAME_STATES], left = 0;

    stage2_destroy(&vm->guest.s2);
    frame_count(vm->guest.id, counts);
    for (unsigned i = 0; i < FRAME_STATES; i++)
        left += counts[i];
    if (left)
        log_limited(&vm->guest.log, LOG_ERROR,
                    "%s: %lu frames were not given back (a defect of Trapline)", vm->config.name,
                    (unsigned long)left);
}

static unsigned long microseconds(uint64_t ticks)
{
    return timer_hz ? ticks * 1000000 / timer_hz : 0;
}

/* Where there is no memory for it, reads of these registers are exits. */
static void map_pages_of_devices(struct vm *vm)
{
    for (unsigned i = 0; i < vm->guest.bus.count; i++) {
        const struct vdev *dev = vm->guest.bus.dev[i];

        if (dev->page.hva && stage2_map(&vm->guest.s2, gpa_add(dev->base, dev->page.offset),
                                        hva_to_pa(dev->page.hva), PAGE_SIZE, PROT_R, 0))
            return;
    }
}

/* A fresh stage 2 with RAM, kernel, initrd and device tree; on error nothing is left of it. */
static int make_memory(struct vm *vm, gpa_t *entry, gpa_t *fdt, const char **why)
{
    struct guest *g = &vm->guest;
    int error = stage2_create(&g->s2, g->id, GUEST_RAM_BASE + vm->config.memory);

    if (error)
        return vm_fail(vm, why, error,
                       error == -ENOMEM ? "out of memory for its page tables"
                                        : "memory: more than this machine can translate");
    error = stage2_add_ram(&g->s2, gpa(GUEST_RAM_BASE), vm->config.memory);
    if (error)
        vm_fail(vm, why, error, "memory: its RAM could not be set up (error %d)", -error);
    else
        error = vm_load(vm, entry, fdt, why);
    if (error)
        release_memory(vm);
    return error;
}

int vm_start_claimed(struct vm *vm, const char **why)
{
    uint64_t begin = arch_time();
    struct guest *g = &vm->guest;
    gpa_t entry, fdt;
    int error = make_memory(vm, &entry, &fdt, why);

    if (error)
        return error;
    reset_devices(vm);
    map_pages_of_devices(vm);
    for (unsigned i = 0; i < g->vcpu_count; i++) {
        vcpu_reset(g->vcpu[i]);
        memset(g->vcpu[i]->exits, 0, sizeof(g->vcpu[i]->exits));
    }
    atomic_store(&vm->pending, 0);
    atomic_store(&g->crashed, 0);
    vm->end_reason[0] = vm->crash_report[0] = 0;
    vm->keeps_memory = false;
    vm->started_at = arch_time();
    g->time_delta = -vm->started_at; /* a machine's clock starts at 0 */
    vm->boots++;
    log_limited(&g->log, LOG_INFO,
                "%s: started: %u vCPU%s, %lu MiB, entry %#lx, device tree %#lx; made in %lu us, "
                "loaded in %lu us",
                vm->config.name, g->vcpu_count, g->vcpu_count == 1 ? "" : "s",
                (unsigned long)(vm->config.memory >> 20), (unsigned long)entry.v,
                (unsigned long)fdt.v, microseconds(vm->made_in),
                microseconds(vm->started_at - begin));
    /* From here on the guest may ask for its end. */
    atomic_store(&vm->state, VM_RUNNING);
    unpark_all(vm);
    error = vcpu_start(g->vcpu[0], entry.v, fdt.v);
    if (error) {
        const char *ignored;
        vm_fail(vm, why, error, "vCPU 0 does not start (error %d)", -error);
        if (vm_stop_claimed(vm, "could not start", &ignored))
            log_limited(&g->log, LOG_ERROR, "%s: %s", vm->config.name, ignored);
    }
    return error;
}

/* One line, continued when it would be too long for the log: causes that occurred, and how often. */
static void log_exits(struct vm *vm)
{
    char line[200];
    uint64_t sum[EXIT_CAUSES] = {0}, total = 0;
    size_t at;

    for (unsigned i = 0; i < vm->guest.vcpu_count; i++)
        for (unsigned c = 0; c < EXIT_CAUSES; c++) {
            sum[c] += vm->guest.vcpu[i]->exits[c];
            total += vm->guest.vcpu[i]->exits[c];
        }
    at = (size_t)fmt_snprintf(line, sizeof(line), "exits total=%lu", (unsigned long)total);
    for (unsigned c = 0; c < EXIT_CAUSES; c++) {
        char item[64];
        int len;
        if (!sum[c])
            continue;
        len =
            fmt_snprintf(item, sizeof(item), " %s:%lu", exit_cause_name(c), (unsigned long)sum[c]);
        if (at + (size_t)len >= sizeof(line)) {
            log_notice("%s: %s", vm->config.name, line);
            at = (size_t)fmt_snprintf(line, sizeof(line), "exits (more)");
        }
        at += (size_t)fmt_snprintf(line + at, sizeof(line) - at, "%s", item);
    }
    log_notice("%s: %s", vm->config.name, line);
}

static void note_end(struct vm *vm, const char *reason)
{
    if (reason != vm->end_reason)
        fmt_snprintf(vm->end_reason, sizeof(vm->end_reason), "%s", reason);
    if (boot_option("stats") && log_ratelimit(&vm->guest.log))
        log_exits(vm);
}

int vm_stop_claimed(struct vm *vm, const char *reason, const char **why)
{
    enum vm_state was = vm_state(vm);
    int error = park_all(vm, why);

    if (error) {
        if (was == VM_RUNNING)
            unpark_all(vm);
        return error;
    }
    if (!wait_for(vm, devices_idle, DRAIN_TIMEOUT_US)) {
        /* Its frames are still the target of DMA: keep them. A later stop tries again. */
        vm_fail(vm, why, -ETIMEDOUT,
                "a disk request does not end; its memory is kept until it does");
        fmt_snprintf(vm->end_reason, sizeof(vm->end_reason), "%s", vm->why);
        atomic_store(&vm->state, VM_CRASHED);
        return -ETIMEDOUT;
    }
    atomic_store(&vm->pending, 0); /* no vCPU runs: nothing newer can come */
    reset_devices(vm);
    release_memory(vm);
    if (was != VM_CRASHED)
        note_end(vm, reason);
    atomic_store(&vm->state, VM_OFF);
    log_limited(&vm->guest.log, LOG_NOTICE, "%s: stopped: %s", vm->config.name, vm->end_reason);
    return 0;
}

/* The vCPU that could not go on, for people; its registers are kept too. */
static void write_crash_report(struct vm *vm)
{
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++) {
        struct vcpu *v = vm->guest.vcpu[i];
        if (!v->stop_reason)
            continue;
        report_guest_fault(v, v->stop_reason, vm->crash_report, sizeof(vm->crash_report));
        return;
    }
}

void vm_crash_claimed(struct vm *vm, const char *reason)
{
    const char *why;

    if (park_all(vm, &why))
        log_limited(&vm->guest.log, LOG_ERROR, "%s: %s", vm->config.name, why);
    atomic_store(&vm->pending, 0);
    note_end(vm, reason);
    write_crash_report(vm);
    atomic_store(&vm->state, VM_CRASHED);
    log_limited(&vm->guest.log, LOG_ERROR, "%s: crashed: %s", vm->config.name, vm->end_reason);
    if (log_ratelimit(&vm->guest.log))
        report_log_vcpus(&vm->guest);
}

/* The end of an operation by command. */
static int done(struct vm *vm, int error, enum vm_event_kind kind)
{
    if (!error)
        vm_event(vm, kind, false);
    vm_release(vm);
    return error;
}

int vm_start(struct vm *vm, const char **why)
{
    int error = vm_claim(vm, 1u << VM_OFF, why);

    if (error)
        return error;
    log_limit_renew(&vm->guest.log);
    error = vm_start_claimed(vm, why);
    return done(vm, error, VM_EVENT_STARTED);
}

int vm_stop(struct vm *vm, const char **why)
{
    int error = vm_claim(vm, 1u << VM_RUNNING | 1u << VM_PAUSED | 1u << VM_CRASHED, why);

    if (error)
        return error;
    log_limit_renew(&vm->guest.log);
    error = vm_stop_claimed(vm, "stopped by command", why);
    return done(vm, error, VM_EVENT_STOPPED);
}

int vm_reset(struct vm *vm, const char **why)
{
    int error = vm_claim(vm, 1u << VM_RUNNING | 1u << VM_PAUSED | 1u << VM_CRASHED, why);

    if (error)
        return error;
    log_limit_renew(&vm->guest.log);
    error = vm_stop_claimed(vm, "reset by command", why);
    if (!error)
        error = vm_start_claimed(vm, why);
    return done(vm, error, VM_EVENT_RESET);
}

int vm_pause(struct vm *vm, const char **why)
{
    int error = vm_claim(vm, 1u << VM_RUNNING, why);

    if (error)
        return error;
    error = park_all(vm, why);
    if (error) {
        unpark_all(vm);
    } else {
        vm->paused_at = arch_time();
        atomic_store(&vm->state, VM_PAUSED);
    }
    return done(vm, error, VM_EVENT_PAUSED);
}

int vm_resume(struct vm *vm, const char **why)
{
    int error = vm_claim(vm, 1u << VM_PAUSED, why);

    if (error)
        return error;
    /* Guest time stood still: it goes on where the last vCPU left it. */
    vm->guest.time_delta -= arch_time() - vm->paused_at;
    for (unsigned i = 0; i < vm->guest.vcpu_count && !vm->guest.sstc; i++)
        vcpu_set_timer(vm->guest.vcpu[i], vm->guest.vcpu[i]->wake_at); /* in host time it moved */
    atomic_store(&vm->state, VM_RUNNING);
    vm_watchdog_resume(vm);
    unpark_all(vm);
    return done(vm, 0, VM_EVENT_RESUMED);
}
