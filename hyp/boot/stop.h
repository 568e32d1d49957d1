// SPDX-License-Identifier: BSD-2-Clause
// The end of a hypervisor that found itself broken: message, registers, backtrace with symbols, all harts
// stopped, the machine powered off (with a failure reason).
// Lock rank: none: takes no lock, whatever is held. Callers: panic, the trap handler.
#pragma once
#include <stdint.h>

#include "base/util.h"

NORETURN void stop_on_fault(const uint64_t *gpr, uint64_t pc, uint64_t cause, uint64_t tval);
