// SPDX-License-Identifier: BSD-2-Clause
// Takes the guest into a handler of its kernel, as its hart would: privileged architecture, "Trap Entry" for
// VS-mode. Inline: it is most of a reflected exception.
// Lock rank: none. Callers: inject.c and sse.c; the vCPU is loaded.
#pragma once
#include "vcpu/vcpu.h"

/* The kernel goes on at handler, as after a trap at v->pc: vsepc, vsstatus, mode. */
static inline void trap_entry(struct vcpu *v, uint64_t handler)
{
    uint64_t vsstatus = csr_read(CSR_VSSTATUS);
    uint64_t sstatus = csr_read(CSR_SSTATUS);

    csr_write(CSR_VSEPC, v->pc);
    vsstatus &= ~(uint64_t)(SSTATUS_SPP | SSTATUS_SPIE);
    vsstatus |= sstatus & SSTATUS_SPP;
    vsstatus |= (vsstatus & SSTATUS_SIE) << 4; /* SPIE = SIE */
    csr_write(CSR_VSSTATUS, vsstatus & ~(uint64_t)SSTATUS_SIE);
    csr_write(CSR_SSTATUS, sstatus | SSTATUS_SPP);
    v->pc = handler;
}
