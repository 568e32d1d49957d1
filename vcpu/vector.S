// SPDX-License-Identifier: BSD-2-Clause
// The vector registers (RISC-V "V" extension 1.0), which the hypervisor itself never uses. Only the
// instructions that move eight whole registers do the work: they need no vtype, but they begin at vstart.
#include "base/csr.h"
#include "vcpu/offsets.h"

        .option arch, +v

        .macro EACH_EIGHT insn
        csrr t0, CSR_VLENB
        slli t0, t0, 3
        \insn v0, (a0)
        add a0, a0, t0
        \insn v8, (a0)
        add a0, a0, t0
        \insn v16, (a0)
        add a0, a0, t0
        \insn v24, (a0)
        .endm

// void vector_load(const void *registers, const struct vector_csrs *csrs)
        .globl vector_load
        .balign 4
vector_load:
        csrw CSR_VSTART, zero
        EACH_EIGHT vl8re8.v
        ld t0, VECTOR_VL(a1)
        ld t1, VECTOR_VTYPE(a1)
        vsetvl zero, t0, t1            // an impossible vtype becomes vill, a too large vl the largest
        ld t0, VECTOR_VCSR(a1)
        csrw CSR_VCSR, t0
        ld t0, VECTOR_VSTART(a1)
        csrw CSR_VSTART, t0
        ret

// void vector_save(void *registers, struct vector_csrs *csrs)
        .globl vector_save
        .balign 4
vector_save:
        csrr t1, CSR_VSTART
        sd t1, VECTOR_VSTART(a1)
        csrr t0, CSR_VL
        sd t0, VECTOR_VL(a1)
        csrr t0, CSR_VTYPE
        sd t0, VECTOR_VTYPE(a1)
        csrr t0, CSR_VCSR
        sd t0, VECTOR_VCSR(a1)
        csrw CSR_VSTART, zero
        EACH_EIGHT vs8r.v
        csrw CSR_VSTART, t1            // the hart goes on holding them
        ret

// void vector_clear(void): as after a reset
        .globl vector_clear
        .balign 4
vector_clear:
        csrw CSR_VSTART, zero
        csrw CSR_VCSR, zero
        vsetvli t0, zero, e8, m8, ta, ma
        vmv.v.i v0, 0
        vmv.v.i v8, 0
        vmv.v.i v16, 0
        vmv.v.i v24, 0
        li t0, -1
        slli t0, t0, 63                // vill
        vsetvl zero, zero, t0
        ret
