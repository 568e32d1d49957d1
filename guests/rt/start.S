// SPDX-License-Identifier: BSD-2-Clause
// Entry by the RISC-V Linux boot protocol (a0 = hartid, a1 = fdt), relocation to wherever the image
// was put, secondary entry, trap vector, and the way to user mode and back.
#include "rt/offsets.h"

    .section .head, "ax"
    .globl image_start
image_start: // Linux, Documentation/arch/riscv/boot-image-header.rst
    .option push
    .option norvc
    j _start
    nop
    .option pop
    .dword 0x200000            // text_offset
    .dword _end - image_start  // image_size
    .dword 0                   // flags: little endian
    .word 2                    // version 0.2
    .word 0
    .dword 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\x05"
    .word 0

    .text
    .globl _start
_start:
    .option push
    .option norelax
    lla gp, __global_pointer$
    .option pop
    lla t0, __bss_start
    lla t1, _end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:  lla t0, image_start // linked at 0: this is the load bias
    lla t1, __rela_start
    lla t2, __rela_end
    li t5, 3 // R_RISCV_RELATIVE: all are, where symbols of assembler files are .hidden
3:  bgeu t1, t2, 4f
    ld t3, 8(t1)
    bne t3, t5, . // else here is better than anywhere
    ld t3, 0(t1)
    ld t4, 16(t1)
    add t3, t3, t0
    add t4, t4, t0
    sd t4, 0(t3)
    addi t1, t1, 24
    j 3b
4:  lla tp, harts
    j enter

// HSM start: a0 = hartid, a1 = struct hart
    .globl secondary_start
secondary_start:
    .option push
    .option norelax
    lla gp, __global_pointer$
    .option pop
    mv tp, a1
enter:
    csrw sie, zero
    csrw satp, zero
    ld sp, HART_STACK(tp)
    bnez sp, 5f // the boot hart's is not filled in yet
    lla sp, boot_stack_top
5:  csrw sscratch, tp
    lla t0, trap_vector
    csrw stvec, t0
    li t0, 0x6000 // FS: floating point on, as the cases use it
    csrs sstatus, t0
    csrwi fcsr, 0
    call rt_enter
6:  wfi
    j 6b

// sscratch always holds the hart. From user mode the stack is the hart's own, else what it was.
    .align 2
    .globl trap_vector
trap_vector:
    csrrw tp, sscratch, tp
    sd sp, HART_SCRATCH(tp)
    sd t0, HART_SCRATCH+8(tp)
    csrr t0, sstatus
    andi t0, t0, 0x100 // SPP
    bnez t0, 1f
    ld sp, HART_USER_SP(tp)
1:  addi sp, sp, -FRAME_SIZE
    sd ra, 8(sp)
    sd gp, 24(sp)
    ld t0, HART_SCRATCH(tp)
    sd t0, 16(sp)
    csrr t0, sscratch
    sd t0, 32(sp)
    ld t0, HART_SCRATCH+8(tp)
    .irp r, 5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\r, 8*\r(sp)
    .endr
    csrw sscratch, tp
    csrr t0, sepc
    sd t0, 0(sp)
    .option push
    .option norelax
    lla gp, __global_pointer$
    .option pop
    mv a0, sp
    call rt_trap
    ld t0, 0(sp)
    csrw sepc, t0
    ld ra, 8(sp)
    ld gp, 24(sp)
    ld tp, 32(sp)
    .irp r, 5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\r, 8*\r(sp)
    .endr
    ld sp, 16(sp)
    sret

// uint64_t rt_run_user(pc, a0 for it): returns the a0 of the user's ecall.
    .globl rt_run_user
rt_run_user:
    addi sp, sp, -112
    sd ra, 0(sp)
    sd s0, 104(sp)
    sd s1, 96(sp)
    sd s2, 88(sp)
    sd s3, 80(sp)
    sd s4, 72(sp)
    sd s5, 64(sp)
    sd s6, 56(sp)
    sd s7, 48(sp)
    sd s8, 40(sp)
    sd s9, 32(sp)
    sd s10, 24(sp)
    sd s11, 16(sp)
    sd sp, HART_USER_SP(tp)
    csrw sepc, a0
    mv a0, a1
    li t0, 0x120 // SPP, SPIE
    csrc sstatus, t0
    sret
    .globl rt_leave_user // rt_leave_user(value): by the trap handler, on an ecall of user mode
rt_leave_user:
    ld sp, HART_USER_SP(tp)
    ld ra, 0(sp)
    ld s0, 104(sp)
    ld s1, 96(sp)
    ld s2, 88(sp)
    ld s3, 80(sp)
    ld s4, 72(sp)
    ld s5, 64(sp)
    ld s6, 56(sp)
    ld s7, 48(sp)
    ld s8, 40(sp)
    ld s9, 32(sp)
    ld s10, 24(sp)
    ld s11, 16(sp)
    addi sp, sp, 112
    ret

    .bss
    .align 4
    .space 32768
boot_stack_top:
