// SPDX-License-Identifier: BSD-2-Clause
// Lock rank: any may be held. Callers: vcpu/switch.S (trap_hs).
#pragma once
#include <stdint.h>

/* gpr: the registers at the trap, x0..x31. Returns where to go on. */
uint64_t trap_hypervisor(uint64_t *gpr, uint64_t pc);
