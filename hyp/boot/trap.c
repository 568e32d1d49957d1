// SPDX-License-Identifier: BSD-2-Clause
// Traps taken in the hypervisor itself: a guarded access (see base/arch.h) goes to its fixup; a stale
// view of a new mapping is tried again; everything else is a hypervisor fault, which is loud.
#include "boot/trap.h"

#include "base/log.h"
#include "boot/stop.h"
#include "mem/hostmap_init.h"
#include "sched/hart.h"

struct extable_entry {
    uint64_t fault_pc, fixup_pc;
};
extern const struct extable_entry __extable_start[], __extable_end[];

uint64_t trap_hypervisor(uint64_t *gpr, uint64_t pc)
{
    uint64_t cause = csr_read(CSR_SCAUSE);

    for (const struct extable_entry *e = __extable_start; e < __extable_end; e++)
        if (e->fault_pc == pc)
            return e->fixup_pc;
    if ((cause == CAUSE_LOAD_PAGE_FAULT || cause == CAUSE_STORE_PAGE_FAULT) &&
        hostmap_spurious(csr_read(CSR_STVAL))) {
        arch_sfence_all();
        return pc;
    }
    stop_on_fault(gpr, pc, cause, csr_read(CSR_STVAL));
}
