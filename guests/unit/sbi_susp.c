// SPDX-License-Identifier: BSD-2-Clause
// System suspend (SBI SUSP): to RAM and back, and its errors. OpenSBI has it only where the platform
// can do it, so most of this is for Trapline.
#include "unit/unit.h"

#define SBI_SUSP 0x53555350u

static struct sbi_ret suspend(uint64_t type, uint64_t address, uint64_t opaque)
{
    return sbi_call(SBI_SUSP, 0, type, address, opaque, 0, 0);
}

UNIT_CASE(susp_errors, UNIT_TRAPLINE)
{
    CHECK(sbi_call(SBI_BASE, 3, SBI_SUSP, 0, 0, 0, 0).value, "is missing");
    CHECK_SBI(sbi_call(SBI_SUSP, 1, 0, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
    CHECK_SBI(suspend(1, (uint64_t)image_start, 0), SBI_INVALID_PARAM);
    CHECK_SBI(suspend(0x80000000, (uint64_t)image_start, 0), SBI_INVALID_PARAM);
    CHECK_SBI(suspend(0, 0x10000000, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(suspend(0, (uint64_t)image_start + 1, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(suspend(0, rt_ram_base + rt_ram_size, 0), SBI_INVALID_ADDRESS);
}

static void spin(void *arg)
{
    while (!*(volatile uint64_t *)arg)
        ;
}

UNIT_CASE(susp_others_run, UNIT_TRAPLINE | UNIT_SMP)
{
    uint64_t stop = 0;

    CHECK(hart_run(1, spin, &stop), "hart did not start");
    long error = suspend(0, (uint64_t)image_start, 0).error;
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    CHECK(hart_wait(1), "hart does not end");
    CHECK_EQ(error, SBI_DENIED);
}

static void stop_self(void *arg)
{
    struct hart *h = hart_self();

    (void)arg;
    __atomic_store_n(&h->run, NULL, __ATOMIC_RELEASE);
    sbi_call(SBI_HSM, 1, 0, 0, 0, 0, 0);
}

static uint64_t frame[16], resumed_id;
void susp_resume_here(void);
__asm__(".text\n .align 2\n .globl susp_resume_here\n susp_resume_here:\n"
        "ld sp, 0(a1)\n ld tp, 8(a1)\n ld gp, 16(a1)\n"
        "ld s0, 24(a1)\n ld s1, 32(a1)\n ld s2, 40(a1)\n ld s3, 48(a1)\n ld s4, 56(a1)\n"
        "ld s5, 64(a1)\n ld s6, 72(a1)\n ld s7, 80(a1)\n ld s8, 88(a1)\n ld s9, 96(a1)\n"
        "ld s10, 104(a1)\n ld s11, 112(a1)\n ld t0, 120(a1)\n jr t0\n");

__attribute__((noinline)) static uint64_t suspend_to_ram(void)
{
    register uint64_t a0 __asm__("a0") = 0;
    register uint64_t a1 __asm__("a1") = (uint64_t)susp_resume_here;
    register uint64_t a2 __asm__("a2") = (uint64_t)frame;
    register uint64_t a6 __asm__("a6") = 0;
    register uint64_t a7 __asm__("a7") = SBI_SUSP;

    __asm__ volatile(
        "sd sp, 0(a2)\n sd tp, 8(a2)\n sd gp, 16(a2)\n"
        "sd s0, 24(a2)\n sd s1, 32(a2)\n sd s2, 40(a2)\n sd s3, 48(a2)\n sd s4, 56(a2)\n"
        "sd s5, 64(a2)\n sd s6, 72(a2)\n sd s7, 80(a2)\n sd s8, 88(a2)\n sd s9, 96(a2)\n"
        "sd s10, 104(a2)\n sd s11, 112(a2)\n lla t0, 1f\n sd t0, 120(a2)\n"
        "ecall\n 1:"
        : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a6), "+r"(a7)
        :
        : "memory", "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a3", "a4", "a5");
    resumed_id = a0;
    return a1;
}

UNIT_CASE(susp_to_ram, UNIT_TRAPLINE)
{
    uint64_t vector = csr_read(stvec), end = rdtime() + usec(5000000), at, arg;

    for (unsigned i = 1; i < rt_hart_count; i++) {
        CHECK(hart_run(i, stop_self, NULL), "hart %u did not start", i);
        while (sbi_call(SBI_HSM, 2, harts[i].id, 0, 0, 0, 0).value != 1)
            CHECK(rdtime() < end, "hart %u does not stop", i);
    }
    at = rdtime() + usec(3000);
    csr_set(sie, SIE_STIE);
    sbi_call(SBI_TIME, 0, at, 0, 0, 0, 0);
    arg = suspend_to_ram();
    csr_write(stvec, vector);
    csr_write(sscratch, hart_self());
    csr_set(sstatus, SSTATUS_FS);
    CHECK(arg == (uint64_t)frame, "a1 is %lx; a0, or the error, %ld", arg, (long)resumed_id);
    CHECK_EQ(resumed_id, harts[0].id);
    CHECK_EQ(csr_read(satp), 0);
    CHECK_EQ(csr_read(sstatus) & SSTATUS_SIE, 0);
    CHECK(rdtime() >= at, "woke %lu units early", at - rdtime());
}
