// SPDX-License-Identifier: BSD-2-Clause
// PMU: what of the counters the rest of vcpu/ takes part in.
//
// Counters 0 to 31 have the numbers of their CSRs. 0 and 2 are cycle and instret: without an event they are the hart's
// own, and cost nothing; with one they are virtual: the guest's reads exit (hcounteren), and find the value that it has
// set. 3 to 31 are the host's, where it has them (vcpu/hostpmu.h). 32 and up count firmware events.
// A virtual or firmware counter that runs is the state's value plus its source: the hart's CSR, or the count of
// the event. What the source counts while the vCPU is on no hart is taken off at its next load.
// While any vCPU of a guest has a firmware counter configured, all of them exit through exit_slow_counted, which
// counts; at other times the path of an exit knows nothing of it.
// Lock rank: none. Callers: load.c, exit.c, virtual.c, regs.c, vcpu.c, boundary.c: the vCPU's own thread,
// or while it is parked.
#pragma once
#include "vcpu/vcpu.h"

struct state_writer;
struct state_reader;

enum {
    PMU_CYCLE = 0,
    PMU_INSTRET = 2,
    PMU_FIRST_HOST = 3,
    PMU_FIRST_FIRMWARE = PMU_HARDWARE_COUNTERS
};
#define PMU_FIRMWARE ((BIT(PMU_COUNTERS) - 1) & ~(BIT(PMU_FIRST_FIRMWARE) - 1))

/* The counters that there are. */
uint64_t pmu_counters(void);
/* Whether counter i, one of those that there are, can count the event; of the host's: whether it could be asked to. */
bool pmu_can_count(unsigned i, uint64_t event);
void pmu_load_used(struct vcpu *v);
void pmu_unload_used(struct vcpu *v);
/* The vCPU comes to the hart, leaves it: nothing to do unless it has given events, or the one before it had. */
static inline void pmu_load(struct vcpu *v)
{
    if (v->pmu.used || this_hart()->counters_closed)
        pmu_load_used(v);
}
static inline void pmu_unload(struct vcpu *v)
{
    if (v->pmu.used)
        pmu_unload_used(v);
}
/* As after a hart's reset. Not loaded. True as pmu_used_changed. */
bool pmu_reset(struct vcpu *v);
/* Events were given or taken: what follows from them for others. True when the guest counts firmware events from now
 * on, or no more: of several vCPUs that change at the same time, each change has one that is told. */
bool pmu_used_changed(struct vcpu *v);
/* The same in the hart: what the guest may read by itself. Loaded. */
void pmu_let_read(const struct vcpu *v);
/* The guest's read of a counter of 0 to 31 by its CSR; false: there is none. Loaded. */
bool pmu_read(struct vcpu *v, unsigned i, uint64_t *value);
/* Count firmware events: of an SBI call that is about to be answered, everything saved; of the exception
 * that the guest has just been given. */
void pmu_count_call(struct vcpu *v);
void pmu_count_trap(struct vcpu *v);
/* Its part of the state stream. Loading: into *to, all of it checked; pmu_used_changed when it becomes the vCPU's. */
void pmu_save(const struct vcpu *v, struct state_writer *w);
void pmu_load_state(struct vcpu_pmu *to, struct state_reader *r);
