// SPDX-License-Identifier: BSD-2-Clause
// void swtch(uint64_t *save_sp, uint64_t load_sp), for arch_switch_stack alone: no register but sp is kept, and ra on the
// stack that is left.
        .globl swtch
        .balign 4
swtch:
        li a2, 0
// void swtch_begin(uint64_t *save_sp, uint64_t load_sp, void (*fn)(void)), the same, to fn on an empty stack.
        .globl swtch_begin
swtch_begin:
        addi sp, sp, -16
        sd ra, 0(sp)
        sd sp, 0(a0)
        mv sp, a1
        bnez a2, begin
        ld ra, 0(sp)
        addi sp, sp, 16
        ret
begin:
        jr a2
