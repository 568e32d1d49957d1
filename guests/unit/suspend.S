// SPDX-License-Identifier: BSD-2-Clause
// A call that suspends the hart, or all there is, and comes back where it says: SBI HSM hart_suspend, SUSP system_suspend.

// struct sbi_ret unit_suspend(uint64_t ext, uint64_t fid, uint64_t type, uint64_t frame[16])
    .globl unit_suspend
unit_suspend:
    sd ra, 0(a3)
    sd sp, 8(a3)
    sd gp, 16(a3)
    sd tp, 24(a3)
    sd s0, 32(a3)
    sd s1, 40(a3)
    sd s2, 48(a3)
    sd s3, 56(a3)
    sd s4, 64(a3)
    sd s5, 72(a3)
    sd s6, 80(a3)
    sd s7, 88(a3)
    sd s8, 96(a3)
    sd s9, 104(a3)
    sd s10, 112(a3)
    sd s11, 120(a3)
    mv a7, a0
    mv a6, a1
    mv a0, a2
    lla a1, resumed
    mv a2, a3
    ecall
    ret // it was refused
    .balign 4
resumed: // nothing is known but a0, the hart's id, and a1, what was given
    ld ra, 0(a1)
    ld sp, 8(a1)
    ld gp, 16(a1)
    ld tp, 24(a1)
    ld s0, 32(a1)
    ld s1, 40(a1)
    ld s2, 48(a1)
    ld s3, 56(a1)
    ld s4, 64(a1)
    ld s5, 72(a1)
    ld s6, 80(a1)
    ld s7, 88(a1)
    ld s8, 96(a1)
    ld s9, 104(a1)
    ld s10, 112(a1)
    ld s11, 120(a1)
    ret
