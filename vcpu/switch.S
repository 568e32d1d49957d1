// SPDX-License-Identifier: BSD-2-Clause
// The world switch. One trap vector for everything: sscratch holds the vCPU while a guest runs, and
// zero while the hypervisor does.
//
// An exit saves the registers that C may change, and lands on the thread's empty stack. An SBI call (the
// frequent exit) goes to its handler at once and back with those alone; s0..s11 and gp stay in the
// hart, as C keeps them. All other exits save these too, since their handlers may read, change, or
// switch them away. The hypervisor itself is never interrupted, so sepc, sstatus and hstatus stay as the
// trap left them unless a handler or a thread switch says otherwise.
#include "base/csr.h"
#include "sched/hart_offsets.h"
#include "vcpu/offsets.h"

#define GPR(n) (VCPU_GPR + 8 * (n))

        .macro SAVE_CALLER
        csrrw a0, sscratch, a0
        beqz a0, trap_hs
        sd ra, GPR(1)(a0)
        sd sp, GPR(2)(a0)
        sd tp, GPR(4)(a0)
        sd t0, GPR(5)(a0)
        sd t1, GPR(6)(a0)
        sd t2, GPR(7)(a0)
        sd a1, GPR(11)(a0)
        sd a2, GPR(12)(a0)
        sd a3, GPR(13)(a0)
        sd a4, GPR(14)(a0)
        sd a5, GPR(15)(a0)
        sd a6, GPR(16)(a0)
        sd a7, GPR(17)(a0)
        sd t3, GPR(28)(a0)
        sd t4, GPR(29)(a0)
        sd t5, GPR(30)(a0)
        sd t6, GPR(31)(a0)
        csrrw t0, sscratch, zero
        sd t0, GPR(10)(a0)
        ld sp, VCPU_STACK_TOP(a0)
        ld tp, VCPU_HART(a0)
        .endm

        .section .text.hot, "ax"
        .globl exit_entry
        .balign 64
exit_entry:
        SAVE_CALLER
        csrr t0, scause
        li t1, CAUSE_ECALL_VS
        bne t0, t1, exit_no_call
        ld t0, VCPU_EXITS + 8 * CAUSE_ECALL_VS(a0)
        addi t0, t0, 1
        sd t0, VCPU_EXITS + 8 * CAUSE_ECALL_VS(a0)
        call sbi_dispatch
        mv a1, a0
        lbu t0, HART_RESCHED(tp)       /* the call may have woken another thread of this hart */
        ld a0, HART_VCPU(tp)
        or t0, t0, a1
        bnez t0, exit_save_again
        csrw sscratch, a0
exit_restore_caller:
        ld ra, GPR(1)(a0)
        ld sp, GPR(2)(a0)
        ld tp, GPR(4)(a0)
        ld t0, GPR(5)(a0)
        ld t1, GPR(6)(a0)
        ld t2, GPR(7)(a0)
        ld a1, GPR(11)(a0)
        ld a2, GPR(12)(a0)
        ld a3, GPR(13)(a0)
        ld a4, GPR(14)(a0)
        ld a5, GPR(15)(a0)
        ld a6, GPR(16)(a0)
        ld a7, GPR(17)(a0)
        ld t3, GPR(28)(a0)
        ld t4, GPR(29)(a0)
        ld t5, GPR(30)(a0)
        ld t6, GPR(31)(a0)
        ld a0, GPR(10)(a0)
        sret

        .macro SAVE_REST
        sd gp, GPR(3)(a0)
        sd s0, GPR(8)(a0)
        sd s1, GPR(9)(a0)
        sd s2, GPR(18)(a0)
        sd s3, GPR(19)(a0)
        sd s4, GPR(20)(a0)
        sd s5, GPR(21)(a0)
        sd s6, GPR(22)(a0)
        sd s7, GPR(23)(a0)
        sd s8, GPR(24)(a0)
        sd s9, GPR(25)(a0)
        sd s10, GPR(26)(a0)
        sd s11, GPR(27)(a0)
        csrr t0, sepc
        sd t0, VCPU_PC(a0)
        .endm

/* A load or store guest page fault, most likely of a device. */
exit_no_call:
        andi t0, t0, ~2
        li t1, CAUSE_LOAD_GUEST_PAGE_FAULT
        bne t0, t1, exit_save_rest
        call fault_fast_access
        mv a1, a0
        lbu t0, HART_RESCHED(tp)
        ld a0, HART_VCPU(tp)
        bnez a1, exit_save_rest
        bnez t0, exit_save_again
        csrw sscratch, a0
        j exit_restore_caller

/* The vector while the costs of exits are measured: all of them, SBI calls too. */
        .globl exit_entry_costs
        .balign 4
exit_entry_costs:
        SAVE_CALLER
        SAVE_REST
        call exit_slow_costs
        j exit_return

/* The vector while firmware events are counted (PMU): all exits, SBI calls too. */
        .globl exit_entry_counted
        .balign 4
exit_entry_counted:
        SAVE_CALLER
        SAVE_REST
        call exit_slow_counted
        j exit_return

/* The fast call wants the slow path: a1 is its verdict, EXIT_RESUME when it is done. */
exit_save_again:
        SAVE_REST
        call exit_slow_call
        j exit_return
exit_save_rest:
        SAVE_REST
        call exit_handle
        mv a1, a0
        ld a0, HART_VCPU(tp)
        call exit_finish
exit_return:
        ld a0, HART_VCPU(tp)
/* void vcpu_enter(struct vcpu *v): everything comes from the vCPU. */
        .globl vcpu_enter
vcpu_enter:
        ld t0, VCPU_PC(a0)
        csrw sepc, t0
        csrw sscratch, a0
        ld gp, GPR(3)(a0)
        ld s0, GPR(8)(a0)
        ld s1, GPR(9)(a0)
        ld s2, GPR(18)(a0)
        ld s3, GPR(19)(a0)
        ld s4, GPR(20)(a0)
        ld s5, GPR(21)(a0)
        ld s6, GPR(22)(a0)
        ld s7, GPR(23)(a0)
        ld s8, GPR(24)(a0)
        ld s9, GPR(25)(a0)
        ld s10, GPR(26)(a0)
        ld s11, GPR(27)(a0)
        j exit_restore_caller

/* A trap in the hypervisor: sscratch was zero, and holds a0 now. Everything is saved in the hart's fault
 * frame and the handler runs on the hart's emergency stack, as sp may be what is broken. */
trap_hs:
        sd t0, HART_SCRATCH(tp)
        ld t0, HART_FAULT_FRAME(tp)
        sd ra, 8(t0)
        sd sp, 16(t0)
        sd gp, 24(t0)
        sd tp, 32(t0)
        sd t1, 48(t0)
        sd t2, 56(t0)
        sd s0, 64(t0)
        sd s1, 72(t0)
        sd a1, 88(t0)
        sd a2, 96(t0)
        sd a3, 104(t0)
        sd a4, 112(t0)
        sd a5, 120(t0)
        sd a6, 128(t0)
        sd a7, 136(t0)
        sd s2, 144(t0)
        sd s3, 152(t0)
        sd s4, 160(t0)
        sd s5, 168(t0)
        sd s6, 176(t0)
        sd s7, 184(t0)
        sd s8, 192(t0)
        sd s9, 200(t0)
        sd s10, 208(t0)
        sd s11, 216(t0)
        sd t3, 224(t0)
        sd t4, 232(t0)
        sd t5, 240(t0)
        sd t6, 248(t0)
        csrrw a0, sscratch, zero
        sd a0, 80(t0)
        ld a0, HART_SCRATCH(tp)
        sd a0, 40(t0)
        ld sp, HART_FAULT_STACK(tp)
        mv a0, t0
        csrr a1, sepc
        call trap_hypervisor           /* returns the pc to go on at */
        csrw sepc, a0
        ld t0, HART_FAULT_FRAME(tp)
        ld ra, 8(t0)
        ld sp, 16(t0)
        ld t1, 48(t0)
        ld t2, 56(t0)
        ld a0, 80(t0)
        ld a1, 88(t0)
        ld a2, 96(t0)
        ld a3, 104(t0)
        ld a4, 112(t0)
        ld a5, 120(t0)
        ld a6, 128(t0)
        ld a7, 136(t0)
        ld t3, 224(t0)
        ld t4, 232(t0)
        ld t5, 240(t0)
        ld t6, 248(t0)
        ld t0, 40(t0)
        sret
