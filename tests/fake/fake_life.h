// SPDX-License-Identifier: BSD-2-Clause
// VMs that live over the fakes, for unit tests of hyp/vm. Link: tests/fake/life.units.
#pragma once
#include "fake_vcpu.h"
#include "vm/vm_ops.h"

enum { LIFE_KERNEL = 300000, LIFE_INITRD = 70000 };

extern struct vm_config
    life_config; /* of the next VM: "vm0", 2 vCPUs, 32 MiB, a kernel and an initrd */
extern uint8_t life_kernel[LIFE_KERNEL], life_initrd[LIFE_INITRD];
extern const char *life_why; /* of the last operation that failed */
extern unsigned life_srst_calls; /* how often the machine was switched off, and the last reason */
extern unsigned long life_srst_reason;

/* Before and after each test. After it all VMs are destroyed: it fails if one cannot be, or if a part is left. */
int life_setup(void **state);
int life_teardown(void **state);
/* A VM of life_config; fails the test. */
struct vm *life_make(void);
/* The same, with the manager at work, and started. */
struct vm *life_start(void);
/* Fails the test, with the reason, unless the operation went well. */
void life_ok(int error);
/* Frames that are the VM's. */
uint64_t life_owned(struct vm *vm);
/* Fails the test unless the log has the text. */
void life_says(const char *text);
void life_guest_asks(struct vm *vm, enum guest_event event, uint32_t reason);
/* Until neither the manager nor a timer has more to do. */
void life_run_manager(void);
enum vm_state life_state_of(struct vm *vm);
