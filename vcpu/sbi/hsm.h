// SPDX-License-Identifier: BSD-2-Clause
// HSM: what the exit boundary needs to know of stopped and suspended vCPUs.
//
// A handler only sets the state and returns EXIT_BLOCK; the exit boundary then waits:
//   HSM_STOPPED    until vcpu_start makes it HSM_START_PENDING or HSM_STARTED;
//   HSM_SUSPENDED  (in_wfi is set) until an interrupt is pending that vsie enables, whatever
//                  vsstatus.SIE says; then it calls hsm_resume and goes on.
// Registers and pc are as they shall be after the resume from the moment of the suspend, so that
// a suspended vCPU can be saved, moved or reset like any other.
// Lock rank: none. Callers: vcpu's exit boundary, on the vCPU's own thread.
#pragma once
#include "vcpu/vcpu.h"

/* Ends a suspend: false, and nothing done, when the vCPU is not suspended. */
bool hsm_resume(struct vcpu *v);
