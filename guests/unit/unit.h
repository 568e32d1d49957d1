// SPDX-License-Identifier: BSD-2-Clause
// Unit guest: a case is a function UNIT_CASE(name, flags) { … } in any file of this folder; CHECK
// ends it with a FAIL line. After each case interrupts are off, translation is off and FP is on.
#pragma once
#include "rt/rt.h"

enum {
    UNIT_SMP = 1,      /* needs a second hart */
    UNIT_TRAPLINE = 2, /* makes sense, or is promised, only as a guest of Trapline */
    UNIT_SSTC = 4,     /* needs Sstc in riscv,isa */
};

struct unit_case {
    const char *name;
    void (*run)(void);
    uint64_t flags;
};

#define UNIT_CASE(id, f) \
    static void case_##id(void); \
    static const struct unit_case unit_##id \
        __attribute__((used, section(".unit_cases." #id), aligned(8))) = {#id, case_##id, f}; \
    static void case_##id(void)

#define CHECK(cond, ...) \
    do { \
        if (!(cond)) { \
            unit_fail(__LINE__, #cond, __VA_ARGS__); \
            return; \
        } \
    } while (0)
#define CHECK_EQ(got, want) \
    do { \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want); \
        CHECK(got_ == want_, "%s is %lx, not %lx", #got, got_, want_); \
    } while (0)
#define CHECK_SBI(ret, want) \
    do { \
        struct sbi_ret r_ = (ret); \
        CHECK(r_.error == (want), "%s: error %ld, not %s", #ret, r_.error, #want); \
    } while (0)

void unit_fail(int line, const char *cond, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Waits until *what reaches at least value; false when patience (rt_patience) is over. */
bool unit_wait(volatile uint64_t *what, uint64_t value);

/* One page table for the cases (paging.c): identity for everything, and a window of pages. */
#define WINDOW_VA 0x3000000000ul
enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_A = 64, PTE_D = 128 };
#define PTE_RWX (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)
void paging_on(void); /* this hart; every hart has the same table */
void paging_off(void);
/* Page n of the window maps to the page at pa, with these bits; no fence. */
void window_map(unsigned n, uint64_t pa, uint64_t bits);
static inline uint64_t window_va(unsigned n) { return WINDOW_VA + n * 4096ul; }
