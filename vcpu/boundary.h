// SPDX-License-Identifier: BSD-2-Clause
// The exit boundary: the only place where a vCPU waits, parks, changes hart or starts. Between the
// verdict of a handler and the return to the guest, with everything of the vCPU in struct vcpu.
// Lock rank: none held. Callers: exit.c, thread and timer set-up in vcpu.c.
#pragma once
#include "vcpu/vcpu.h"

/* Returns when the vCPU is loaded here and may enter the guest. */
void boundary_pass(struct vcpu *v);
/* What a vCPU's thread begins with, each time that it has a hart: never returns. */
void boundary_run(void *vcpu);
void boundary_take_over(void *vcpu); /* see sched/thread.h */
void boundary_timer_fired(struct timer *t);
