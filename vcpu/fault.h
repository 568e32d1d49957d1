// SPDX-License-Identifier: BSD-2-Clause
// Exits by guest page faults: guest RAM is populated, devices are emulated, the rest is reported.
// Lock rank: none held. Callers: exit.c's table, switch.S.
#pragma once
#include "vcpu/exit.h"

enum exit_result exit_guest_page_fault(struct vcpu *v);
enum exit_result fault_fast_access(struct vcpu *v); /* called by switch.S */
/* The guest's own exception, seen by us; or an access of its that the host refuses: the guest gets it. */
enum exit_result exit_reflect(struct vcpu *v);
/* The guest's instruction at pc by HLVX; of a 16-bit one the low half counts. false: it could not be read
 * now. Loaded vCPU only. */
static inline bool fault_fetch(uint64_t pc, uint32_t *raw)
{
    struct arch_fault fault;

    return arch_guest_fetch(pc, raw, &fault);
}
