// SPDX-License-Identifier: BSD-2-Clause
// void arch_zero_page_run(void *hva, size_t bytes): whole pages, page aligned. With Zicboz 132
// instructions a page at 64-byte blocks (cbo.zero has no offset: each block needs an add, so 128 is
// the floor); else 516.

        .text
        .globl  arch_zero_page_run
        .type   arch_zero_page_run, @function
        .balign 16
arch_zero_page_run:
        beqz    a1, 3f
        add     a1, a1, a0
        la      t0, arch_zero_block
        ld      t0, 0(t0)
        beqz    t0, 2f
        li      t1, 256                 // 16 larger blocks would not divide a page
        bgtu    t0, t1, 2f
1:
        .rept   16
        .insn i 0x0F, 2, x0, a0, 4      // cbo.zero (a0)
        add     a0, a0, t0
        .endr
        bne     a0, a1, 1b
        ret
2:
        li      t1, 2048                // as far as an offset reaches
4:
        .set    offset, 0
        .rept   256
        sd      zero, offset(a0)
        .set    offset, offset + 8
        .endr
        add     a0, a0, t1
        bne     a0, a1, 4b
3:
        ret
        .size   arch_zero_page_run, . - arch_zero_page_run
