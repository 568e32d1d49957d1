// SPDX-License-Identifier: BSD-2-Clause
// What the ISA string promises is there and switched on. Each case does nothing where its extension is not in
// the string, and says so.
#include "unit/unit.h"

#define SENVCFG_CBIE_FLUSH 0x10ul
#define SENVCFG_CBCFE 0x40ul
#define SENVCFG_CBZE 0x80ul
#define SENVCFG_PMM 0x300000000ul
#define SENVCFG_PMM_7 0x200000000ul /* seven bits of a pointer do not count */
#define PTE_N (1ul << 63)
#define PTE_PBMT(n) ((uint64_t)(n) << 61)

#define WITH(arch, text) ".option push\n .option arch, +" arch "\n" text "\n .option pop\n"
#define NEED(extension) \
    do { \
        if (!rt_has(extension)) { \
            printf("not in the ISA: %s\n", extension); \
            return; \
        } \
    } while (0)

static uint64_t area[8192] __attribute__((aligned(65536))); /* 64 KiB */

/* User code: one instruction on a0, then home with a0. */
#define USER(name, arch, text) \
    uint64_t name(uint64_t); \
    __asm__(".text\n .balign 4\n .globl " #name "\n" #name ":\n" WITH(arch, text) "ecall\n")
USER(user_zero, "zicboz", "cbo.zero (a0)");
USER(user_flush, "zicbom", "cbo.flush (a0)");
USER(user_ld, "m", "ld a0, 0(a0)");
USER(user_seed, "m", "csrrw a0, 0x015, zero");

static struct trap_record user_trap(uint64_t (*code)(uint64_t), void *arg, uint64_t *value)
{
    uint64_t a0;

    trap_begin();
    a0 = rt_run_user((uint64_t)code, (uint64_t)arg);
    if (value)
        *value = a0;
    return trap_end();
}

static void fill(uint64_t *at, unsigned words)
{
    for (unsigned i = 0; i < words; i++)
        ((volatile uint64_t *)at)[i] = ~0ul;
}

UNIT_CASE(isa_zicboz, 0)
{
    unsigned zeroes = 0;

    NEED("zicboz");
    fill(area, 512);
    __asm__ volatile(WITH("zicboz", "cbo.zero (%0)")::"r"(area) : "memory");
    while (zeroes < 512 && !((volatile uint64_t *)area)[zeroes])
        zeroes++;
    CHECK(zeroes && zeroes < 512 && !(zeroes & (zeroes - 1)), "%u words", zeroes);
    for (unsigned i = zeroes; i < 512; i++)
        CHECK(area[i] == ~0ul, "word %u of %u", i, zeroes);
    csr_write(senvcfg, 0);
    struct trap_record t = user_trap(user_zero, area + 256, NULL);
    CHECK(t.count == 1 && t.cause == CAUSE_ILLEGAL, "user, off: %u, %lu", t.count, t.cause);
    csr_write(senvcfg, SENVCFG_CBZE);
    t = user_trap(user_zero, area + 256, NULL);
    csr_write(senvcfg, 0);
    CHECK_EQ(t.count, 0);
    CHECK_EQ(((volatile uint64_t *)area)[256], 0);
}

UNIT_CASE(isa_zicbom, 0)
{
    NEED("zicbom");
    fill(area, 512);
    __asm__ volatile(WITH("zicbom", "cbo.clean (%0)\n cbo.flush (%0)\n cbo.inval (%0)")::"r"(area)
                     : "memory");
    for (unsigned i = 0; i < 512; i++)
        CHECK_EQ(((volatile uint64_t *)area)[i], ~0ul);
    csr_write(senvcfg, 0);
    struct trap_record t = user_trap(user_flush, area, NULL);
    CHECK(t.count == 1 && t.cause == CAUSE_ILLEGAL, "user, off: %u, %lu", t.count, t.cause);
    csr_write(senvcfg, SENVCFG_CBIE_FLUSH | SENVCFG_CBCFE);
    t = user_trap(user_flush, area, NULL);
    csr_write(senvcfg, 0);
    CHECK_EQ(t.count, 0);
}

UNIT_CASE(isa_svpbmt, 0)
{
    NEED("svpbmt");
    area[0] = 0x5A5A;
    for (unsigned type = 0; type < 3; type++) /* plain, not cached, device */
        window_map(type, (uint64_t)area, PTE_RWX | PTE_PBMT(type));
    paging_on();
    for (unsigned type = 0; type < 3; type++) {
        uint64_t v = 0;

        trap_begin();
        __asm__ volatile(".option push\n .option norvc\n ld %0, 0(%1)\n .option pop"
                         : "+r"(v)
                         : "r"(window_va(type)));
        struct trap_record t = trap_end();
        if (t.count || v != 0x5A5A) {
            paging_off();
            CHECK(0, "type %u: %lx, %u traps, cause %lu", type, v, t.count, t.cause);
        }
    }
    paging_off();
}

UNIT_CASE(isa_svnapot, 0)
{
    uint64_t wrong = 0;

    NEED("svnapot");
    for (unsigned i = 0; i < 16; i++) {
        area[i * 512 + i] = 0x100 + i;
        window_map(16 + i, (uint64_t)area + 0x8000, PTE_RWX | PTE_N); /* 64 KiB */
    }
    paging_on();
    for (unsigned i = 0; i < 16; i++)
        wrong += *(volatile uint64_t *)(window_va(16 + i) + 8 * i) != 0x100 + i;
    paging_off();
    CHECK_EQ(wrong, 0);
}

UNIT_CASE(isa_svinval, 0)
{
    uint64_t first, second;

    NEED("svinval");
    area[0] = 1;
    area[512] = 2;
    window_map(0, (uint64_t)area, PTE_RWX);
    paging_on();
    first = *(volatile uint64_t *)window_va(0);
    window_map(0, (uint64_t)(area + 512), PTE_RWX);
    __asm__ volatile(
        WITH("svinval", "sfence.w.inval\n sinval.vma %0, zero\n sfence.inval.ir")::"r"(window_va(0))
        : "memory");
    second = *(volatile uint64_t *)window_va(0);
    paging_off();
    CHECK_EQ(first, 1);
    CHECK_EQ(second, 2);
}

/* The entry of the window's page n, found as the hart finds it. */
static uint64_t entry(unsigned n)
{
    uint64_t table = (csr_read(satp) & ((1ul << 44) - 1)) << 12;

    table = ((volatile uint64_t *)table)[WINDOW_VA >> 30] >> 10 << 12;
    table = ((volatile uint64_t *)table)[0] >> 10 << 12;
    return ((volatile uint64_t *)table)[n];
}

/* Accessed and dirty bits: svade faults; else it is one of both, for loads and stores alike (which one, a case of
 * FWFT may have switched). */
UNIT_CASE(isa_svade_svadu, 0)
{
    uint64_t after_load, after_store, v;
    struct trap_record load, store;

    window_map(0, (uint64_t)area, PTE_V | PTE_R | PTE_W);
    window_map(1, (uint64_t)area, PTE_V | PTE_R | PTE_W | PTE_A);
    paging_on();
    trap_begin();
    __asm__ volatile(".option push\n .option norvc\n ld %0, 0(%1)\n .option pop"
                     : "=r"(v)
                     : "r"(window_va(0)));
    load = trap_end();
    after_load = entry(0);
    trap_begin();
    __asm__ volatile(
        ".option push\n .option norvc\n sd zero, 0(%0)\n .option pop" ::"r"(window_va(1)));
    store = trap_end();
    after_store = entry(1);
    paging_off();
    CHECK_EQ(load.count, store.count);
    if (rt_has("svade"))
        CHECK_EQ(load.count, 1);
    if (load.count) {
        CHECK_EQ(load.cause, CAUSE_LOAD_PAGE);
        CHECK_EQ(store.cause, CAUSE_STORE_PAGE);
        CHECK_EQ(after_load & (PTE_A | PTE_D), 0);
        CHECK_EQ(after_store & (PTE_A | PTE_D), PTE_A);
    } else {
        CHECK_EQ(after_load & (PTE_A | PTE_D), PTE_A);
        CHECK_EQ(after_store & (PTE_A | PTE_D), PTE_A | PTE_D);
    }
}

UNIT_CASE(isa_ssnpm, 0)
{
    uint64_t v = 0;

    NEED("ssnpm");
    area[0] = 0xC0FFEE;
    csr_write(senvcfg, SENVCFG_PMM_7);
    CHECK_EQ(csr_read(senvcfg) & SENVCFG_PMM, SENVCFG_PMM_7);
    struct trap_record t = user_trap(user_ld, (void *)((uint64_t)area | 0x54ul << 57), &v);
    sbi_call(SBI_BASE, 0, 0, 0, 0, 0, 0);
    CHECK_EQ(csr_read(senvcfg) & SENVCFG_PMM, SENVCFG_PMM_7);
    csr_write(senvcfg, 0);
    CHECK_EQ(t.count, 0);
    CHECK_EQ(v, 0xC0FFEE);
}

UNIT_CASE(isa_zkr, 0)
{
    uint64_t v, words = 0, seen = 0, all = ~0ul;
    struct trap_record t;

    NEED("zkr");
    for (unsigned i = 0; i < 1000 && words < 32; i++) {
        __asm__ volatile("csrrw %0, 0x015, zero" : "=r"(v));
        CHECK((v >> 30 & 3) != 3, "the source is dead");
        if ((v >> 30 & 3) != 2) /* not yet */
            continue;
        words++;
        seen |= v;
        all &= v;
    }
    CHECK_EQ(words, 32);
    CHECK_EQ(seen & 0xffff, 0xffff);
    CHECK_EQ(all & 0xffff, 0);
    trap_begin();
    __asm__ volatile("csrr %0, 0x015" : "=r"(v));
    t = trap_end();
    CHECK(t.count == 1 && t.cause == CAUSE_ILLEGAL, "read only: %u, %lu", t.count, t.cause);
    t = user_trap(user_seed, NULL, NULL);
    CHECK(t.count == 1 && t.cause == CAUSE_ILLEGAL, "user: %u, %lu", t.count, t.cause);
}

UNIT_CASE(isa_ssstateen, 0)
{
    uint64_t v;

    NEED("ssstateen");
    trap_begin();
    __asm__ volatile("csrr %0, 0x10c\n csrw 0x10c, %0" : "=r"(v));
    CHECK_EQ(trap_end().count, 0);
    /* Nothing is in these yet, and nothing may pass from one guest to another there. */
    trap_begin();
    __asm__ volatile("csrw 0x10d, %0\n csrw 0x10e, %0\n csrw 0x10f, %0" ::"r"(~0ul));
    struct trap_record t = trap_end();
    CHECK(!rt_trapline || (t.count == 3 && t.cause == CAUSE_ILLEGAL), "sstateen1 to 3: %u",
          t.count);
}

static volatile uint64_t stage;

static void write_foreign(uint64_t value)
{
    trap_begin();
    __asm__ volatile("csrw 0x5a8, %0\n csrw 0x017, %0\n csrw 0x150, %0" ::"r"(value));
    (void)trap_end(); /* of those that the hart has not */
}

static uint64_t read_foreign(void)
{
    uint64_t scontext = 0, jvt = 0, siselect = 0;

    trap_begin();
    __asm__ volatile("csrr %0, 0x5a8\n csrr %1, 0x017\n csrr %2, 0x150"
                     : "+r"(scontext), "+r"(jvt), "+r"(siselect));
    (void)trap_end();
    return scontext | jvt | siselect;
}

static void leave_something(void *arg)
{
    uint64_t end = rt_patience();

    (void)arg;
    write_foreign(0x40);
    __atomic_store_n(&stage, 1, __ATOMIC_RELEASE);
    while (stage != 2 && rdtime() < end)
        write_foreign(0x40);
}

/* What a hart has and guests are not given: scontext, jvt, siselect. What one vCPU writes no other reads, on one
 * hart or two. */
UNIT_CASE(isa_not_given, UNIT_SMP)
{
    uint64_t seen = 0;

    stage = 0;
    CHECK(hart_run(1, leave_something, NULL), "hart did not start");
    CHECK(rt_wait(&stage, 1), "hart does not go on");
    for (unsigned i = 0; i < 100; i++) {
        for (volatile unsigned n = 0; n < 20000; n++)
            ;
        seen |= read_foreign();
    }
    __atomic_store_n(&stage, 2, __ATOMIC_RELEASE);
    CHECK(hart_wait(1), "hart does not end");
    CHECK_EQ(seen, 0);
}

UNIT_CASE(isa_bit_manipulation, 0)
{
    uint64_t a = 0xF0, b = 0x3, r;

    if (rt_has("zba")) {
        __asm__(WITH("zba", "sh2add %0, %1, %2") : "=r"(r) : "r"(a), "r"(b));
        CHECK_EQ(r, 4 * a + b);
    }
    if (rt_has("zbb")) {
        __asm__(WITH("zbb", "cpop %0, %1") : "=r"(r) : "r"(a));
        CHECK_EQ(r, 4);
    }
    if (rt_has("zbs")) {
        __asm__(WITH("zbs", "bset %0, %1, %2") : "=r"(r) : "r"(a), "r"(b));
        CHECK_EQ(r, 0xF8);
    }
    if (rt_has("zicond")) {
        __asm__(".insn r 0x33, 5, 7, %0, %1, zero" : "=r"(r) : "r"(a)); /* czero.eqz */
        CHECK_EQ(r, 0);
    }
}
