// SPDX-License-Identifier: BSD-2-Clause
// Floating-point state is each hart's own, whatever runs in between.
#include "unit/unit.h"

/* Loads f0..f31 with seed+n and fcsr, loops, and compares: the number of wrong ones. */
uint64_t fp_fill_and_compare(uint64_t seed, uint64_t loops);
/* clang-format off */
#define EACH(M) \
    M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15) \
    M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23) M(24) M(25) M(26) M(27) M(28) M(29) M(30) M(31)
#define FILL(n) "addi t0, a0, " #n "\n fmv.d.x f" #n ", t0\n"
#define COMPARE(n) \
    "addi t0, a0, " #n "\n fmv.x.d t1, f" #n "\n sub t0, t0, t1\n snez t0, t0\n add t2, t2, t0\n"
__asm__(".text\n .globl fp_fill_and_compare\n fp_fill_and_compare:\n"
        "andi t3, a0, 0x1f\n fscsr t3\n li t2, 0\n" EACH(FILL)
        "1: addi a1, a1, -1\n bgtz a1, 1b\n" EACH(COMPARE)
        "frcsr t0\n sub t0, t0, t3\n snez t0, t0\n slli t0, t0, 16\n add t2, t2, t0\n"
        "fscsr zero\n mv a0, t2\n ret\n");
/* clang-format on */

UNIT_CASE(fp_kept_alone, 0) { CHECK_EQ(fp_fill_and_compare(0x1111, 1000), 0); }

UNIT_CASE(fp_off_traps, 0)
{
    uint64_t v;

    __asm__ volatile("fmv.d.x fs5, %0" ::"r"(0x77ul) : "fs5");
    csr_clear(sstatus, SSTATUS_FS);
    trap_begin();
    __asm__ volatile(".option push\n .option norvc\n fmv.d.x ft0, zero\n .option pop");
    struct trap_record t = trap_end();

    csr_set(sstatus, SSTATUS_FS);
    CHECK_EQ(t.count, 1);
    CHECK_EQ(t.cause, CAUSE_ILLEGAL);
    __asm__ volatile("fmv.x.d %0, fs5" : "=r"(v));
    CHECK_EQ(v, 0x77);
}

/* The guest's own lazy switching works: FS says dirty only after a change. */
UNIT_CASE(fp_dirty, 0)
{
    csr_clear(sstatus, SSTATUS_FS);
    csr_set(sstatus, 0x4000); /* clean */
    CHECK_EQ(csr_read(sstatus) & SSTATUS_FS, 0x4000);
    sbi_call(SBI_BASE, 0, 0, 0, 0, 0, 0);
    CHECK_EQ(csr_read(sstatus) & SSTATUS_FS, 0x4000);
    __asm__ volatile("fmv.d.x ft0, zero" ::: "ft0");
    CHECK_EQ(csr_read(sstatus) & SSTATUS_FS, 0x6000);
    sbi_call(SBI_BASE, 0, 0, 0, 0, 0, 0);
    CHECK_EQ(csr_read(sstatus) & SSTATUS_FS, 0x6000);
}

/* Each hart keeps its own numbers while timers fire, for a tenth of a second; with more vCPUs than
 * harts they are preempted, and may come back on another hart. */
static volatile uint64_t fp_wrong, fp_rounds;

static void compute(void *arg)
{
    struct hart *h = hart_self();
    uint64_t end = rdtime() + usec(100000), wrong = 0, rounds = 0;

    h->timer_every = usec(300);
    sbi_call(SBI_TIME, 0, rdtime() + h->timer_every, 0, 0, 0, 0);
    csr_set(sie, SIE_STIE);
    csr_set(sstatus, SSTATUS_SIE);
    for (; rdtime() < end || rounds < 8; rounds++) {
        wrong += fp_fill_and_compare(((uint64_t)arg << 32) + rounds, 3000);
        if (rounds % 8 == 7)
            __asm__ volatile("wfi");
    }
    csr_clear(sstatus, SSTATUS_SIE);
    csr_clear(sie, SIE_STIE);
    h->timer_every = 0;
    sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
    __atomic_add_fetch(&fp_wrong, wrong, __ATOMIC_RELAXED);
    __atomic_add_fetch(&fp_rounds, rounds, __ATOMIC_RELAXED);
}

static void check_fp(unsigned count)
{
    fp_wrong = fp_rounds = 0;
    for (unsigned i = 1; i < count; i++)
        CHECK(hart_run(i, compute, (void *)(uint64_t)(i + 1)), "hart %u did not start", i);
    compute((void *)1);
    for (unsigned i = 1; i < count; i++)
        CHECK(hart_wait(i), "hart %u does not end", i);
    CHECK(fp_rounds > count, "%lu rounds", fp_rounds);
    CHECK(fp_wrong == 0, "%lu registers, %lu fcsr were wrong in %lu rounds", fp_wrong & 0xffff,
          fp_wrong >> 16, fp_rounds);
}

UNIT_CASE(fp_kept_with_timer, 0) { check_fp(1); }
UNIT_CASE(fp_kept_on_every_hart, UNIT_SMP) { check_fp(rt_hart_count); }
