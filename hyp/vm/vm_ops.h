// SPDX-License-Identifier: BSD-2-Clause
// Between the files of hyp/vm only.
//   vm.c              the list, create, destroy, one operation at a time on a VM
//   vm_from_bundle.c  create, by its name in a bundle (bundle.c; fit.c, hash.c: what a bundle is made of)
//   vm_sched.c        its share of the harts
//   vm_devices.c      its devices and disks
//   vm_disk.c         what its disks may ask for
//   vm_watchdog.c     the clock behind the watchdog
//   vm_load.c         device tree (guest_fdt.c), kernel, initrd into a guest's fresh memory (layout.c)
//   vm_account.c      what it had and did
//   lifecycle.c       start, stop, pause, resume, reset
//   manager.c         the thread that carries out what guests ask for
//   vm_memory.c       the memory of all VMs: promises, and whose turn it is when it ends
//   vm_relief.c       stopping that one
//   event.c           what happened, for who watches
//   poweroff.c        flush the disks and turn the machine off
// Invariants: a VM with busy set is changed only by the thread that set it.
// Lock rank: LOCK_VM guards the list, busy and state changes; never held while waiting.
#pragma once
#include "vm/vm.h"

/* Claims the VM for one operation when its state is one of states (a bit (1 << state) each), after another
 * operation's end when that comes soon (why NULL: at once or not). 0, or -EBUSY and *why. Each claim is given back by vm_release, which wakes the manager. */
int vm_claim(struct vm *vm, unsigned states, const char **why) MUST_CHECK;
void vm_release(struct vm *vm);
/* Writes vm->why, sets *why (when why is not NULL) and returns error. */
int vm_fail(struct vm *vm, const char **why, int error, const char *fmt, ...) PRINTF_LIKE(4, 5);
static inline enum vm_state vm_state(struct vm *vm)
{
    return (enum vm_state)atomic_load(&vm->state);
}
/* Whether any VM runs, is paused, is being changed, or has an event waiting. */
bool vm_any_active(void);

/* What the configuration says of its share becomes so. */
void vm_sched_apply(struct vm *vm);
/* With the VM claimed: a vCPU that is to park has to run for a moment, and under a small cap its turn may be many
 * seconds away. So the cap is lifted while vCPUs park; what they use counts. */
void vm_sched_lift_cap(struct vm *vm, bool lifted);

/* Bus, devices, disks, console; on error what was made is for vm_devices_free. */
int vm_devices_make(struct vm *vm, const char **why) MUST_CHECK;
void vm_devices_free(struct vm *vm);
/* Before the devices are made. */
void vm_watchdog_init(struct vm *vm);
/* Guest time goes on: at the end of a pause, before the vCPUs do. */
void vm_watchdog_resume(struct vm *vm);
unsigned vm_virtio_count(const struct vm *vm);

/* Fills the guest's memory (stage 2 with its RAM is there): 0, the entry point and the place of the
 * device tree. -EINVAL, -ENOMEM and *why. */
int vm_load(struct vm *vm, gpa_t *entry, gpa_t *fdt, const char **why) MUST_CHECK;

/* With the VM claimed by the caller. */
int vm_start_claimed(struct vm *vm, const char **why) MUST_CHECK;
int vm_stop_claimed(struct vm *vm, const char *reason, const char **why) MUST_CHECK;
/* Parks the vCPUs and keeps everything for inspection. */
void vm_crash_claimed(struct vm *vm, const char *reason);

/* Reset reasons of SBI 3.0, "System Reset Extension". */
enum { VM_SRST_NO_REASON = 0, VM_SRST_SYSTEM_FAILURE = 1 };

/* manager.c: guest_ops.event, and "look again" after an operation. */
void manager_event(struct guest *g, enum guest_event event, uint32_t reason);
void manager_wake(void);
