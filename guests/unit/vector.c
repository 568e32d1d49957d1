// SPDX-License-Identifier: BSD-2-Clause
// Vector state is each hart's own, whatever runs in between, and nobody sees another's. Each case does
// nothing on a hart without V.
#include "unit/unit.h"

#define VLENB_MAX 256
#define V_ASM(text) ".option push\n .option arch, +v\n" text "\n .option pop\n"

/* What a case finds wrong: registers (bytes), and each of the CSRs. */
enum { WRONG_VCSR = 1 << 16, WRONG_VTYPE = 1 << 17, WRONG_VL = 1 << 18, WRONG_VSTART = 1 << 19 };

static uint8_t want[RT_HARTS][32 * VLENB_MAX], got[RT_HARTS][32 * VLENB_MAX];

static bool vector_on(void)
{
    const char *s = rt_isa;

    while (*s && *s != '_' && *s != 'v') /* "rv64..." */
        s = s == rt_isa ? s + 4 : s + 1;
    if (*s != 'v')
        return false;
    csr_set(sstatus, SSTATUS_VS);
    return true;
}

static uint64_t vlenb(void)
{
    uint64_t v;

    __asm__ volatile("csrr %0, 0xc22" : "=r"(v));
    return v;
}

static void load_all(const void *from, uint64_t eight)
{
    __asm__ volatile(V_ASM("csrw 0x008, zero\n vl8re8.v v0, (%0)\n add %0, %0, %1\n"
                           "vl8re8.v v8, (%0)\n add %0, %0, %1\n vl8re8.v v16, (%0)\n"
                           "add %0, %0, %1\n vl8re8.v v24, (%0)")
                     : "+r"(from)
                     : "r"(eight)
                     : "memory");
}

static void store_all(void *to, uint64_t eight)
{
    __asm__ volatile(V_ASM("csrw 0x008, zero\n vs8r.v v0, (%0)\n add %0, %0, %1\n"
                           "vs8r.v v8, (%0)\n add %0, %0, %1\n vs8r.v v16, (%0)\n"
                           "add %0, %0, %1\n vs8r.v v24, (%0)")
                     : "+r"(to)
                     : "r"(eight)
                     : "memory");
}

static uint64_t fill_and_compare(unsigned hart, uint64_t seed, uint64_t loops)
{
    uint64_t n = vlenb(), wrong = 0, vl, set_vl, vtype, vcsr, vstart;
    uint64_t avl = 1 + seed % 7, type = 8 + seed % 3, want_csr = seed & 7, want_start = seed % 5;

    for (uint64_t i = 0; i < 32 * n; i++)
        want[hart][i] = (uint8_t)(seed + i * 5);
    load_all(want[hart], 8 * n);
    __asm__ volatile(V_ASM("vsetvl %0, %1, %2\n csrw 0x00f, %3\n csrw 0x008, %4")
                     : "=r"(set_vl)
                     : "r"(avl), "r"(type), "r"(want_csr), "r"(want_start));
    while (loops--)
        __asm__ volatile("");
    __asm__ volatile("csrr %0, 0x008\n csrr %1, 0x00f\n csrr %2, 0xc20\n csrr %3, 0xc21"
                     : "=r"(vstart), "=r"(vcsr), "=r"(vl), "=r"(vtype));
    store_all(got[hart], 8 * n);
    for (uint64_t i = 0; i < 32 * n; i++)
        wrong += want[hart][i] != got[hart][i];
    return wrong | (vcsr != want_csr ? WRONG_VCSR : 0) | (vtype != type ? WRONG_VTYPE : 0) |
           (vl != set_vl ? WRONG_VL : 0) | (vstart != want_start ? WRONG_VSTART : 0);
}

UNIT_CASE(vector_kept_alone, 0)
{
    if (!vector_on())
        return;
    CHECK(vlenb() <= VLENB_MAX, "vlenb %lu", vlenb());
    CHECK_EQ(fill_and_compare(0, 0x1234, 1000), 0);
}

UNIT_CASE(vector_off_traps, 0)
{
    uint64_t v;

    if (!vector_on())
        return;
    __asm__ volatile(V_ASM("csrw 0x008, zero\n vsetivli zero, 1, e64, m1, ta, ma\n"
                           "vmv.v.x v5, %0")::"r"(0x77ul));
    csr_clear(sstatus, SSTATUS_VS);
    trap_begin();
    __asm__ volatile(V_ASM("vmv.v.i v5, 0"));
    struct trap_record t = trap_end();

    csr_set(sstatus, SSTATUS_VS);
    CHECK_EQ(t.count, 1);
    CHECK_EQ(t.cause, CAUSE_ILLEGAL);
    __asm__ volatile(V_ASM("vmv.x.s %0, v5") : "=r"(v));
    CHECK_EQ(v, 0x77);
}

/* The guest's own lazy switching works: VS says dirty only after a change. */
UNIT_CASE(vector_dirty, 0)
{
    if (!vector_on())
        return;
    csr_clear(sstatus, SSTATUS_VS);
    csr_set(sstatus, 0x400); /* clean */
    sbi_call(SBI_BASE, 0, 0, 0, 0, 0, 0);
    CHECK_EQ(csr_read(sstatus) & SSTATUS_VS, 0x400);
    __asm__ volatile(V_ASM("vsetivli zero, 1, e64, m1, ta, ma"));
    CHECK_EQ(csr_read(sstatus) & SSTATUS_VS, 0x600);
}

static volatile uint64_t v_wrong, v_rounds;
static const uint64_t tick_us = 300;

static void ticks(bool on)
{
    struct hart *h = hart_self();

    h->timer_every = on ? usec(tick_us) : 0;
    sbi_call(SBI_TIME, 0, on ? rdtime() + h->timer_every : ~0ul, 0, 0, 0, 0);
    if (on) {
        csr_set(sie, SIE_STIE);
        csr_set(sstatus, SSTATUS_SIE);
    } else {
        csr_clear(sstatus, SSTATUS_SIE);
        csr_clear(sie, SIE_STIE);
    }
}

/* With more vCPUs than harts they are preempted, and may come back on another hart. */
static void compute(void *arg)
{
    uint64_t end = rdtime() + usec(100000), wrong = 0, rounds = 0;

    csr_set(sstatus, SSTATUS_VS);
    ticks(true);
    for (; rdtime() < end || rounds < 8; rounds++) {
        wrong |= fill_and_compare((unsigned)(uint64_t)arg, 77 * (uint64_t)arg + rounds, 3000);
        if (rounds % 4 == 3)
            __asm__ volatile("wfi");
    }
    ticks(false);
    __atomic_or_fetch(&v_wrong, wrong, __ATOMIC_RELAXED);
    __atomic_add_fetch(&v_rounds, rounds, __ATOMIC_RELAXED);
}

/* Others use the registers; who never has finds them as after a reset. A write of vcsr alone is kept. */
static void look(void *arg)
{
    unsigned hart = (unsigned)(uint64_t)arg;
    uint64_t wrong = 0, v;

    csr_set(sstatus, SSTATUS_VS);
    ticks(true);
    for (unsigned round = 0; round < 40; round++) {
        store_all(got[hart], 8 * vlenb());
        for (uint64_t i = 0; i < 32 * vlenb(); i++)
            wrong += got[hart][i] != 0;
        __asm__ volatile("csrr %0, 0x00f" : "=r"(v));
        wrong |= v != (round & 7) ? WRONG_VCSR : 0;
        __asm__ volatile("csrw 0x00f, %0" ::"r"((round + 1) & 7));
        __asm__ volatile("wfi");
    }
    __asm__ volatile("csrw 0x00f, zero");
    ticks(false);
    __atomic_or_fetch(&v_wrong, wrong, __ATOMIC_RELAXED);
    __atomic_add_fetch(&v_rounds, 40, __ATOMIC_RELAXED);
}

static void check_vector(unsigned count, void (*others)(void *))
{
    if (!vector_on())
        return;
    v_wrong = v_rounds = 0;
    for (unsigned i = 1; i < count; i++)
        CHECK(hart_run(i, others, (void *)(uint64_t)i), "hart %u did not start", i);
    compute((void *)0);
    for (unsigned i = 1; i < count; i++)
        CHECK(hart_wait(i), "hart %u does not end", i);
    CHECK(v_rounds > count, "%lu rounds", v_rounds);
    CHECK(v_wrong == 0, "%lx (WRONG_...) in %lu rounds", v_wrong, v_rounds);
}

/* Before the other (cases run by name): the harts have not used a vector register yet. */
UNIT_CASE(vector_a_not_seen, UNIT_SMP | UNIT_TRAPLINE) { check_vector(rt_hart_count, look); }
UNIT_CASE(vector_kept_with_timer, 0) { check_vector(1, compute); }
UNIT_CASE(vector_kept_on_every_hart, UNIT_SMP) { check_vector(rt_hart_count, compute); }
