// SPDX-License-Identifier: BSD-2-Clause
// VMs made by hand, for the tests of commands: vm.h and vm_ops.h without lifecycle, vCPUs that
// park when asked. Stage 2 and frames are the real ones. Link: tests/fake/fake_vm.c, stage2/*.c,
// hyp/mem/frame.c, vdev/bus.c, tests/fake/fake_base.c fake_heap.c fake_mem.c fake_xcall.c.
#pragma once

#include "vm/vm.h"

void fake_vms_start(void);   /* a machine of 64 MiB without VMs */
void fake_vms_end(void);
/* A VM with RAM at 0x80000000 and this many vCPUs, in this state (its memory exists unless OFF). */
struct vm *fake_vm_add(const char *name, unsigned vcpus, enum vm_state state);
/* One in each state, of the names "on", "off", "held" (paused) and "dead" (crashed). */
void fake_vms_states(struct vm **on, struct vm **off, struct vm **held, struct vm **dead);
extern unsigned fake_group_changes; /* calls of thread_group_changed */
extern void (*fake_on_yield)(void); /* called while somebody waits */
extern bool fake_vm_busy; /* every claim fails */
extern bool fake_vcpu_stuck; /* vCPUs do not park */
extern const char *fake_vm_why; /* operations fail with this */
extern const char *fake_vm_refused; /* the VM of this name cannot be created */
extern unsigned fake_vm_claims, fake_parks, fake_machine_off, fake_destroyed;
extern bool fake_costs;
