// SPDX-License-Identifier: BSD-2-Clause
// A vCPU's register state on and off a hart.
// Lock rank: none held. Callers: the scheduler (hooks), boundary.c.
#pragma once
#include "vcpu/vcpu.h"

void load_switch_in(struct thread *t);
void load_switch_out(struct thread *t);
/* Loaded: the VS CSRs, FP and vector registers, hgatp of the hart are the vCPU's. On its own thread only. */
void load_vcpu(struct vcpu *v);
void load_unload(struct vcpu *v);
/* The vCPU goes away: no hart may think that it holds its FP or vector registers. */
void load_forget_registers(struct vcpu *v);
/* On each hart, once: what is the same for all guests. */
void load_hart_init(void);
/* Brings irq_level and irq_edge into hvip. Loaded only. */
void load_sync_irq(struct vcpu *v);
