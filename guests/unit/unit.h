// SPDX-License-Identifier: BSD-2-Clause
// Unit guest: a case is a function UNIT_CASE(name, flags) { … } in any file of this folder; CHECK
// ends it with a FAIL line. After each case interrupts are off, translation is off and FP is on.
#pragma once
#include "rt/paging.h"
#include "rt/rt.h"

enum {
    UNIT_SMP = 1,      /* needs a second hart */
    UNIT_TRAPLINE = 2, /* makes sense, or is promised, only as a guest of Trapline */
    UNIT_SSTC = 4,     /* needs Sstc in riscv,isa */
    UNIT_RTC = 8,      /* needs a clock of the day */
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
/* A check of its own: the call, of this type, suspends the hart until its timer wakes it, and it begins again as one that
 * was started does: with its id, what was given, and translation and interrupts off. */
void unit_check_suspend(uint64_t ext, uint64_t fid, uint64_t type);
