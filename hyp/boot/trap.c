// SPDX-License-Identifier: BSD-2-Clause
// Traps taken in the hypervisor itself: a guarded access (see base/arch.h) goes to its fixup; everything
// else is a hypervisor fault, which is loud.
#include "boot/trap.h"

#include "base/arch.h"
#include "boot/stop.h"

struct extable_entry {
    uint64_t fault_pc, fixup_pc;
};
extern const struct extable_entry __extable_start[], __extable_end[];

uint64_t trap_hypervisor(uint64_t *gpr, uint64_t pc)
{
    for (const struct extable_entry *e = __extable_start; e < __extable_end; e++)
        if (e->fault_pc == pc)
            return e->fixup_pc;
    stop_on_fault(gpr, pc, csr_read(CSR_SCAUSE), csr_read(CSR_STVAL));
}
