// SPDX-License-Identifier: BSD-2-Clause
// Exits by guest page faults: guest RAM is populated, devices are emulated, the rest is reported.
// Callers: exit.c's table.
#pragma once
#include "vcpu/exit.h"

enum exit_result exit_guest_page_fault(struct vcpu *v);
enum exit_result fault_fast_access(struct vcpu *v); /* called by switch.S */
enum exit_result exit_access_fault(struct vcpu *v); /* host's view of a bad access: given to the guest */
enum exit_result exit_reflect(struct vcpu *v);      /* the guest's own exception, seen by us */
/* The instruction at pc, 16 or 32 bits, by HLVX. false: it could not be read (retry: stale
 * translation, or a report). */
bool fault_fetch(struct vcpu *v, uint32_t *raw);
