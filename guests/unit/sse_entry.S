// SPDX-License-Identifier: BSD-2-Clause
#include "sse.h"

    .text
    .align 2
    .globl sse_entry
sse_entry: // a6 = hart, a7 = struct sse_context
    sd ra, SSE_CONTEXT_SAVED(a7)
    sd sp, SSE_CONTEXT_SAVED + 8(a7)
    .set at, 16
    .irp r, t0,t1,t2,t3,t4,t5,t6,a0,a1,a2,a3,a4,a5
    sd \r, SSE_CONTEXT_SAVED + at(a7)
    .set at, at + 8
    .endr
    ld sp, SSE_CONTEXT_STACK(a7)
    addi sp, sp, -16
    sd a7, 0(sp)
    mv a0, a7
    mv a1, a6
    ld t0, SSE_CONTEXT_RUN(a7)
    jalr t0
    ld a7, 0(sp)
    ld ra, SSE_CONTEXT_SAVED(a7)
    .set at, 16
    .irp r, t0,t1,t2,t3,t4,t5,t6,a0,a1,a2,a3,a4,a5
    ld \r, SSE_CONTEXT_SAVED + at(a7)
    .set at, at + 8
    .endr
    ld sp, SSE_CONTEXT_SAVED + 8(a7)
    li a7, 0x535345
    li a6, 6 // complete
    ecall
    unimp // not reached
