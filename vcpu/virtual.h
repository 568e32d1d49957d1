// SPDX-License-Identifier: BSD-2-Clause
// Exits by virtual-instruction exceptions: WFI when others wait for the hart, CSRs that are emulated; all
// other such instructions do not exist on the guest's machine.
// Lock rank: none held. Callers: exit.c's table.
#pragma once
#include "vcpu/exit.h"

enum exit_result exit_virtual_instruction(struct vcpu *v);
