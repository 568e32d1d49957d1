// SPDX-License-Identifier: BSD-2-Clause
// The host's programmable counters, hpmcounter3 to 31: what a vCPU has of them, through the firmware's SBI PMU.
//
// A counter is named by its CSR: N is hpmcounterN, whatever the firmware calls it. A guest's counter N is the
// host's, so that the guest reads the CSR (hcounteren) and scountovf without an exit.
// All counters of a hart belong to one vCPU, its owner: the last one that was there and used any. They stand still
// while it is elsewhere, and keep their events until another vCPU becomes the owner. Where the host has Sscofpmf
// they count in VS- and VU-mode only; elsewhere also what Trapline and the firmware do while the vCPU is loaded.
// v->pmu.value is a counter's value unless it counts on a hart now; v->pmu.overflowed: those that have overflown
// since they were started, as far as scountovf has been read.
// Lock rank: none; a hart's counters are touched by that hart only. Callers: features.c (probe);
// sbi/counters.c, sbi/pmu.c, for the vCPU that is loaded.
#pragma once
#include "vcpu/vcpu.h"

/* At boot: asks the firmware which counters there are. sscofpmf: the host has it; true when guests may have it. */
bool hostpmu_probe(bool sscofpmf);
/* Those that there are, a bit for each; bits of one, less one. */
uint64_t hostpmu_counters(void);
unsigned hostpmu_width(unsigned i);

/* Gives one counter of the set, none of which has an event, this event: its number, or -1 when the host has none for
 * it. It is stopped. filter: CONFIG_SET_UINH, _SINH, of the guest's modes. */
int hostpmu_configure(struct vcpu *v, uint64_t set, uint32_t event, uint64_t data, uint32_t filter);
/* They have no event any more. Stopped. */
void hostpmu_release(struct vcpu *v, uint64_t set);
void hostpmu_start(struct vcpu *v, unsigned i);
void hostpmu_stop(struct vcpu *v, uint64_t set);
/* v->pmu.value of a stopped one has changed: as the guest reads it in the hart, too. Loaded. */
void hostpmu_set(const struct vcpu *v, unsigned i);
/* As scountovf is to show them. Loaded. */
uint64_t hostpmu_overflowed(const struct vcpu *v);
/* The hart's overflow interrupt: the guest gets its own, by hvip.LCOFIP, where it clears it. */
void hostpmu_overflow(struct vcpu *v);
/* The vCPU comes to the hart, leaves it before hvip is saved: v->pmu.running are those that count. */
void hostpmu_load(struct vcpu *v);
void hostpmu_unload(struct vcpu *v);
/* Those that the guest may read in the hart itself. */
uint64_t hostpmu_readable(const struct vcpu *v);
/* The value now. */
uint64_t hostpmu_value(const struct vcpu *v, unsigned i);
