// SPDX-License-Identifier: BSD-2-Clause
// void swtch(uint64_t *save_sp, uint64_t load_sp), for arch_switch_stack alone: no register but sp is kept, and ra on the
// stack that is left.
        .globl swtch
        .balign 4
swtch:
        addi sp, sp, -16
        sd ra, 0(sp)
        sd sp, 0(a0)
        mv sp, a1
        ld ra, 0(sp)
        addi sp, sp, 16
        ret
