// SPDX-License-Identifier: BSD-2-Clause
// Delivers an exception to the guest, as its hart would take it: privileged architecture,
// "Trap Entry" for VS-mode. The vCPU is loaded.
#include "vcpu/vcpu.h"

void vcpu_inject(struct vcpu *v, uint64_t cause, uint64_t tval)
{
    uint64_t vsstatus = csr_read(CSR_VSSTATUS);
    uint64_t sstatus = csr_read(CSR_SSTATUS);

    csr_write(CSR_VSEPC, v->pc);
    csr_write(CSR_VSCAUSE, cause);
    csr_write(CSR_VSTVAL, tval);
    vsstatus &= ~(uint64_t)(SSTATUS_SPP | SSTATUS_SPIE);
    vsstatus |= sstatus & SSTATUS_SPP;
    vsstatus |= (vsstatus & SSTATUS_SIE) << 4; /* SPIE = SIE */
    csr_write(CSR_VSSTATUS, vsstatus & ~(uint64_t)SSTATUS_SIE);
    csr_write(CSR_SSTATUS, sstatus | SSTATUS_SPP);
    v->pc = csr_read(CSR_VSTVEC) & ~3ul;
}
