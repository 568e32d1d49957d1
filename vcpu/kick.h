// SPDX-License-Identifier: BSD-2-Clause
// The operator's kick: makes a guest that hangs say where, interrupts off or on.
//
// A guest that has enabled Trapline's software event (SSE_KICK, docs/sbi.md) gets that, and may go on after it. Any
// other gets an exception that its kernel does not know (hardware error), as nothing else comes through
// when interrupts are off: Linux shows registers and call trace, and panics. So this one is only given to
// a kernel that seems to hang: not to user mode, and not to a hart that waits in WFI, unless the operator
// insists.
// Lock rank: none held. Callers: hyp/ctl with the vCPU parked; the exit boundary.
#pragma once
#include "vcpu/vcpu.h"

enum kick_result {
    KICK_EVENT, /* the software event: it comes at once */
    KICK_MASKED, /* the same, but the hart masks events, or handles a more urgent one: when that ends */
    KICK_EXCEPTION, /* the exception */
    KICK_USER, /* none: the guest's user mode runs */
    KICK_IDLE, /* none: it waits in WFI */
    KICK_OFF, /* none: the hart is stopped or suspended */
};
/* What v gets when it runs on. Parked. */
enum kick_result kick_vcpu(struct vcpu *v, bool insist);
/* The exception, asked for by VCPU_REQ_KICK. On v's own thread, loaded. */
void kick_inject(struct vcpu *v);
