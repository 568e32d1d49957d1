// SPDX-License-Identifier: BSD-2-Clause
// A call with every register known, and the ways in of a hart that starts or resumes.
    .text

// void spec_ecall(uint64_t regs[64]): x1 to x31, but sp, are loaded from regs[0..31], and stored to
// regs[32..63] after the ecall. Traps meanwhile (a legacy call's own fault, say) find sp in use and
// the hart in sscratch, as ever.
    .globl spec_ecall
    .hidden spec_ecall
spec_ecall:
    addi sp, sp, -144
    sd ra, 0(sp)
    sd gp, 8(sp)
    sd tp, 16(sp)
    sd a0, 24(sp)
    sd s0, 40(sp)
    sd s1, 48(sp)
    sd s2, 56(sp)
    sd s3, 64(sp)
    sd s4, 72(sp)
    sd s5, 80(sp)
    sd s6, 88(sp)
    sd s7, 96(sp)
    sd s8, 104(sp)
    sd s9, 112(sp)
    sd s10, 120(sp)
    sd s11, 128(sp)
    .irp r, 1,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,10
    ld x\r, 8*\r(a0)
    .endr
    .option push
    .option norvc
    ecall
    .option pop
    sd ra, 32(sp)
    ld ra, 24(sp)
    .irp r, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\r, 256+8*\r(ra)
    .endr
    ld t0, 32(sp)
    sd t0, 256+8*1(ra)
    ld ra, 0(sp)
    ld gp, 8(sp)
    ld tp, 16(sp)
    ld s0, 40(sp)
    ld s1, 48(sp)
    ld s2, 56(sp)
    ld s3, 64(sp)
    ld s4, 72(sp)
    ld s5, 80(sp)
    ld s6, 88(sp)
    ld s7, 96(sp)
    ld s8, 104(sp)
    ld s9, 112(sp)
    ld s10, 120(sp)
    ld s11, 128(sp)
    addi sp, sp, 144
    ret

    .macro record_arrival
    lla t0, arrival
    sd a0, 0(t0)
    sd a1, 8(t0)
    csrr t1, satp
    sd t1, 16(t0)
    csrr t1, sstatus
    sd t1, 24(t0)
    fence rw, rw
    li t1, 1
    sd t1, 32(t0)
    .endm

    .align 2
    .globl spec_started
    .hidden spec_started
spec_started:
    record_arrival
1:  li a7, 0x48534d // hart_stop
    li a6, 1
    ecall
    j 1b

    .macro each_kept op // what C wants kept: ra, sp, gp, tp, s0 to s11
    .irp r, 1,2,3,4,8,9,18,19,20,21,22,23,24,25,26,27
    \op x\r, 8*\r(t0)
    .endr
    .endm

// long suspend_to_resumed(type, address, opaque, fid, ext): 1 when it comes back by spec_resumed
    .globl suspend_to_resumed
    .hidden suspend_to_resumed
suspend_to_resumed:
    lla t0, context
    each_kept sd
    mv a6, a3
    mv a7, a4
    ecall
    ret

    .align 2
    .globl spec_resumed
    .hidden spec_resumed
spec_resumed:
    record_arrival
    lla t0, context
    each_kept ld
    csrw satp, zero
    csrw sscratch, tp
    lla t0, trap_vector
    csrw stvec, t0
    li t0, 0x6000 // FS
    csrs sstatus, t0
    li a0, 1
    ret

    .bss
    .align 3
context:
    .space 256
