// SPDX-License-Identifier: BSD-2-Clause
// An SSE handler: a6 is the hart, a7 the argument, here where to say what it found. a6 and a7 are the
// only registers that the completion gives back, so all others are kept here.
    .text
    .align 2
    .globl sse_handler
    .hidden sse_handler
sse_handler:
    sd t0, 32(a7)
    sd a6, 0(a7)
    csrr t0, sepc
    sd t0, 8(a7)
    csrr t0, sstatus
    sd t0, 16(a7)
    csrr t0, time
    sd t0, 40(a7)
    ld t0, 24(a7)
    addi t0, t0, 1
    sd t0, 24(a7)
    ld t0, 32(a7)
    li a7, 0x535345
    li a6, 6 // complete: does not return
    ecall
1:  j 1b
