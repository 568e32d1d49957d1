// SPDX-License-Identifier: BSD-2-Clause
// Exceptions arrive in the guest with the right cause, stval and sepc, from S-mode and user mode.
#include "unit/unit.h"

static uint64_t page[512] __attribute__((aligned(4096)));

/* Runs one instruction, given as a word, and takes its trap. t0 is 0 and a0 a good address. */
#define TRAP_OF(word) \
    ({ \
        uint64_t at_; \
        trap_begin(); \
        __asm__ volatile("mv a0, %1\n li t0, 0\n lla %0, 1f\n .option push\n .option norvc\n" \
                         "1: .word " #word "\n .option pop" \
                         : "=&r"(at_) \
                         : "r"(page) \
                         : "a0", "t0", "memory"); \
        struct trap_record r_ = trap_end(); \
        if (r_.count) \
            r_.epc -= at_; \
        r_; \
    })

#define CHECK_ILLEGAL(word) \
    do { \
        struct trap_record t_ = TRAP_OF(word); \
        CHECK(t_.count == 1 && t_.cause == CAUSE_ILLEGAL, "%s: %u traps, cause %lu", #word, \
              t_.count, t_.cause); \
        CHECK(t_.epc == 0, "%s: sepc off by %ld", #word, (long)t_.epc); \
        CHECK(t_.tval == 0 || t_.tval == (uint64_t)(word), "%s: stval %lx", #word, t_.tval); \
    } while (0)

UNIT_CASE(trap_illegal, 0)
{
    CHECK_ILLEGAL(0x0000700b); /* custom-0 */
    CHECK_ILLEGAL(0x00007003); /* load, funct3 7 */
    CHECK_ILLEGAL(0xfffff0f3); /* a CSR that is not there, and read-only */
    CHECK_ILLEGAL(0x30002573); /* mstatus */
    CHECK_EQ(TRAP_OF(0x30200073).cause, CAUSE_ILLEGAL); /* mret; QEMU leaves an old stval */
}

UNIT_CASE(trap_illegal_compressed, 0)
{
    uint64_t at;

    trap_begin();
    __asm__ volatile("lla %0, 1f\n .option push\n .option rvc\n .align 2\n 1: .half 0\n c.nop\n"
                     ".option pop"
                     : "=&r"(at));
    struct trap_record t = trap_end();

    CHECK_EQ(t.count, 1);
    CHECK_EQ(t.cause, CAUSE_ILLEGAL);
    CHECK_EQ(t.epc, at);
    CHECK(t.tval == 0 || (t.tval & 0xffff) == 0, "stval %lx", t.tval);
}

/* The hypervisor extension's own: virtual-instruction traps there, illegal for this guest. */
UNIT_CASE(trap_virtual_instruction, UNIT_TRAPLINE)
{
    CHECK_ILLEGAL(0x60002573); /* csrr a0, hstatus */
    CHECK_ILLEGAL(0x60251073); /* csrw hedeleg, a0 */
    CHECK_ILLEGAL(0x68002573); /* csrr a0, hgatp */
    CHECK_ILLEGAL(0x20002573); /* csrr a0, vsstatus */
    CHECK_ILLEGAL(0x28002573); /* csrr a0, vsatp */
    CHECK_ILLEGAL(0x22000073); /* hfence.vvma */
    CHECK_ILLEGAL(0x62000073); /* hfence.gvma */
    CHECK_ILLEGAL(0x68054573); /* hlv.w a0, (a0) */
    CHECK_ILLEGAL(0x6a054073); /* hsv.w zero, (a0) */
}

UNIT_CASE(trap_breakpoint, 0)
{
    struct trap_record t = TRAP_OF(0x00100073);

    CHECK_EQ(t.count, 1);
    CHECK_EQ(t.cause, CAUSE_BREAKPOINT);
    CHECK_EQ(t.epc, 0);
}

/* A misaligned AMO may work (Zama16b); a misaligned LR never does. */
UNIT_CASE(trap_misaligned, 0)
{
    uint64_t a = (uint64_t)page + 2, v;

    trap_begin();
    __asm__ volatile("lr.w %0, (%1)" : "=&r"(v) : "r"(a) : "memory");
    struct trap_record t = trap_end();

    CHECK_EQ(t.count, 1);
    /* QEMU says load when the page is not yet in its TLB. */
    CHECK(t.cause >= CAUSE_LOAD_MISALIGNED && t.cause <= CAUSE_STORE_ACCESS, "cause %lu", t.cause);
    CHECK_EQ(t.tval, a);
}

UNIT_CASE(misaligned_access_works, 0)
{
    volatile char *bytes = (volatile char *)page;
    uint64_t got;

    for (int i = 0; i < 16; i++)
        bytes[i] = (char)i;
    __asm__ volatile("ld %0, 3(%1)" : "=r"(got) : "r"(page) : "memory");
    CHECK_EQ(got, 0x0a09080706050403);
    __asm__ volatile("sw %0, 5(%1)" ::"r"(0x11223344), "r"(page) : "memory");
    CHECK_EQ(bytes[5] << 8 | bytes[8], 0x4411);
}

static void check_fault(uint64_t va, char how, uint64_t cause)
{
    uint64_t v = 0;

    trap_begin();
    if (how == 'r')
        __asm__ volatile("ld %0, 0(%1)" : "+r"(v) : "r"(va) : "memory");
    else if (how == 'w')
        __asm__ volatile("sd zero, 0(%0)" ::"r"(va) : "memory");
    else
        __asm__ volatile("jalr ra, %0" ::"r"(va) : "ra", "memory");
    struct trap_record t = trap_end();

    CHECK(t.count == 1 && t.cause == cause, "%c at %lx: %u traps, cause %lu, not %lu", how, va,
          t.count, t.cause, cause);
    CHECK_EQ(t.tval, va);
    CHECK(!t.from_user, "from user mode");
}

UNIT_CASE(page_faults, 0)
{
    paging_on();
    window_map(0, 0, 0);
    window_map(1, (uint64_t)page, PTE_V | PTE_R | PTE_A);
    window_map(2, (uint64_t)page, PTE_V | PTE_X | PTE_A);
    window_map(3, (uint64_t)page, PTE_RWX | PTE_U);
    window_map(4, (uint64_t)page, PTE_V | PTE_W | PTE_A | PTE_D); /* reserved: W without R */
    __asm__ volatile("sfence.vma" ::: "memory");
    check_fault(window_va(0) + 8, 'r', CAUSE_LOAD_PAGE);
    check_fault(window_va(0) + 16, 'w', CAUSE_STORE_PAGE);
    check_fault(window_va(0) + 4, 'x', CAUSE_FETCH_PAGE);
    check_fault(window_va(1) + 24, 'w', CAUSE_STORE_PAGE);
    check_fault(window_va(1), 'x', CAUSE_FETCH_PAGE);
    check_fault(window_va(2) + 8, 'r', CAUSE_LOAD_PAGE);
    check_fault(window_va(3) + 8, 'r', CAUSE_LOAD_PAGE); /* user page, no SUM */
    check_fault(window_va(4) + 8, 'r', CAUSE_LOAD_PAGE);
    check_fault(0x4000000000, 'r', CAUSE_LOAD_PAGE);         /* not canonical */
    check_fault(0xffffffc000000000, 'w', CAUSE_STORE_PAGE);  /* not mapped */
}

/* A page table that lies where there is no RAM is the guest's own mistake; not tried here. */

/* Where no memory is, by an address that is none too: Linux's kexec relies on it. */
UNIT_CASE(fetch_access_faults, 0)
{
    uint64_t end = rt_ram_base + rt_ram_size;

    check_fault(end, 'x', CAUSE_FETCH_ACCESS);
    check_fault(0xff60000000001000, 'x', CAUSE_FETCH_ACCESS);
    paging_on();
    window_map(0, end, PTE_V | PTE_X | PTE_A);
    __asm__ volatile("sfence.vma" ::: "memory");
    check_fault(window_va(0) + 8, 'x', CAUSE_FETCH_ACCESS);
}

UNIT_CASE(page_access_through_window, 0)
{
    paging_on();
    window_map(1, (uint64_t)page, PTE_RWX);
    __asm__ volatile("sfence.vma" ::: "memory");
    *(volatile uint64_t *)(window_va(1) + 64) = 0x1234;
    CHECK_EQ(((volatile uint64_t *)page)[8], 0x1234);
}

/* ---- user mode ---- */

#define USER_CODE(name, text) \
    extern char name[]; \
    __asm__(".text\n .option push\n .option norvc\n .align 2\n" #name ":\n" text \
            "\n ecall\n .option pop\n")

USER_CODE(user_add, "addi a0, a0, 5");
USER_CODE(user_illegal, ".word 0x0000700b");
USER_CODE(user_sstatus, "csrr a0, sstatus");
USER_CODE(user_sret, "sret");
USER_CODE(user_sfence, "sfence.vma");
USER_CODE(user_ebreak, "ebreak");
USER_CODE(user_satp, "csrw satp, zero");
USER_CODE(user_hfence, ".word 0x22000073");
USER_CODE(user_load, "ld a0, 0(a0)");
USER_CODE(user_wfi, "wfi");

UNIT_CASE(user_mode, 0) { CHECK_EQ(rt_run_user((uint64_t)user_add, 37), 42); }

static void check_user(const char *what, char *code, uint64_t cause)
{
    trap_begin();
    rt_run_user((uint64_t)code, (uint64_t)page);
    struct trap_record t = trap_end();

    CHECK(t.count == 1 && t.cause == cause, "%s: %u traps, cause %lu, not %lu", what, t.count,
          t.cause, cause);
    CHECK(t.from_user, "%s: from S-mode", what);
    CHECK(t.epc == (uint64_t)code, "%s: sepc off by %ld", what, (long)(t.epc - (uint64_t)code));
    if (cause == CAUSE_ILLEGAL)
        CHECK(t.tval == 0 || t.tval == *(uint32_t *)code, "%s: stval %lx", what, t.tval);
}

UNIT_CASE(user_traps, 0)
{
    check_user("illegal", user_illegal, CAUSE_ILLEGAL);
    check_user("sstatus", user_sstatus, CAUSE_ILLEGAL);
    check_user("satp", user_satp, CAUSE_ILLEGAL);
    check_user("sret", user_sret, CAUSE_ILLEGAL);
    check_user("sfence.vma", user_sfence, CAUSE_ILLEGAL);
    check_user("hfence.vvma", user_hfence, CAUSE_ILLEGAL);
    check_user("ebreak", user_ebreak, CAUSE_BREAKPOINT);
}

/* May be illegal or be done at once, but must not stop the hart for good. */
UNIT_CASE(user_wfi_ends, 0)
{
    csr_set(sie, SIE_SSIE);
    csr_set(sip, SIE_SSIE); /* pending, and taken as soon as user mode is entered */
    trap_begin();
    rt_run_user((uint64_t)user_wfi, 0);
    trap_end();
    CHECK_EQ(harts[0].irqs[IRQ_SOFT] > 0, true);
}

UNIT_CASE(user_page_fault, 0)
{
    uint64_t text = (uint64_t)user_load & ~4095ul;

    paging_on();
    window_map(0, text, PTE_V | PTE_X | PTE_R | PTE_U | PTE_A);
    window_map(1, text + 4096, PTE_V | PTE_X | PTE_R | PTE_U | PTE_A);
    __asm__ volatile("sfence.vma" ::: "memory");
    trap_begin();
    rt_run_user(window_va(0) + ((uint64_t)user_load & 4095), (uint64_t)page);
    struct trap_record t = trap_end();

    CHECK_EQ(t.count, 1);
    CHECK_EQ(t.cause, CAUSE_LOAD_PAGE);
    CHECK_EQ(t.tval, page);
    CHECK(t.from_user, "from S-mode");
}
