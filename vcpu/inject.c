// SPDX-License-Identifier: BSD-2-Clause
// Delivers an exception to the guest. The vCPU is loaded.
#include "vcpu/trap_entry.h"

void vcpu_inject(struct vcpu *v, uint64_t cause, uint64_t tval)
{
    csr_write(CSR_VSCAUSE, cause);
    csr_write(CSR_VSTVAL, tval);
    trap_entry(v, csr_read(CSR_VSTVEC) & ~3ul);
}
