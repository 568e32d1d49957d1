// SPDX-License-Identifier: BSD-2-Clause
// PMU: what of the counters the rest of vcpu/ takes part in.
//
// Counters 0 and 2 are cycle and instret, 1 is nothing (it would be time), the others count firmware
// events. A running counter's value is the state's value plus its source: the hart's CSR, or the count
// of the event. What the source counts while the vCPU is on no hart is taken off at its next load.
// A hardware counter that is configured is virtual: the guest's reads of its CSR exit (hcounteren), and
// find the value that it has set. One that is not is the hart's own CSR, and costs nothing.
// While any vCPU of a guest has a firmware counter configured, all of them exit through
// exit_slow_counted, which counts; at other times the path of an exit knows nothing of it.
// Lock rank: none. Callers: load.c, exit.c, virtual.c, regs.c, vcpu.c, boundary.c: the vCPU's own thread,
// or while it is parked.
#pragma once
#include "vcpu/vcpu.h"

enum { PMU_CYCLE = 0, PMU_INSTRET = 2, PMU_FIRST_FIRMWARE = 3 };
#define PMU_HARDWARE (BIT(PMU_CYCLE) | BIT(PMU_INSTRET))
#define PMU_FIRMWARE ((BIT(PMU_COUNTERS) - 1) & ~(BIT(PMU_FIRST_FIRMWARE) - 1))

/* Whether counter i, one of those that there are, can count the event. */
bool pmu_can_count(unsigned i, uint64_t event);
void pmu_load(struct vcpu *v);
void pmu_unload(struct vcpu *v);
/* As after a hart's reset. Not loaded. */
void pmu_reset(struct vcpu *v);
/* The registers were set: what follows from them. Not loaded. */
void pmu_restored(struct vcpu *v);
/* The guest's read of cycle or instret; false: the host has none. Loaded. */
bool pmu_read(struct vcpu *v, unsigned i, uint64_t *value);
/* Count firmware events: of an SBI call that is about to be answered, everything saved; of the exception
 * that the guest has just been given. */
void pmu_count_call(struct vcpu *v);
void pmu_count_trap(struct vcpu *v);
