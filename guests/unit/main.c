// SPDX-License-Identifier: BSD-2-Clause
// Runs the cases: all, or with "only=word" in the command line those whose name holds the word.
#include "unit/unit.h"

extern const struct unit_case __unit_cases[], __unit_cases_end[];

static volatile bool failed;
static const char *running;

void unit_fail(int line, const char *cond, const char *fmt, ...)
{
    char text[192];
    va_list ap;

    va_start(ap, fmt);
    rt_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    printf("FAIL %s: %s (line %d: %s)\n", running, text, line, cond);
    failed = true;
}

struct sbi_ret unit_suspend(uint64_t ext, uint64_t fid, uint64_t type, uint64_t frame[16]);

void unit_check_suspend(uint64_t ext, uint64_t fid, uint64_t type)
{
    uint64_t at = rdtime() + usec(3000), vector = csr_read(stvec);
    static uint64_t frame[16];
    struct sbi_ret r;

    csr_set(sie, SIE_STIE);
    sbi_call(SBI_TIME, 0, at, 0, 0, 0, 0);
    r = unit_suspend(ext, fid, type, frame);
    csr_write(stvec, vector);
    csr_write(sscratch, hart_self());
    csr_set(sstatus, SSTATUS_FS);
    CHECK(r.value == (uint64_t)frame, "a1 is %lx; a0, or the error, %ld", r.value, r.error);
    CHECK_EQ(r.error, harts[0].id);
    CHECK_EQ(csr_read(satp), 0);
    CHECK_EQ(csr_read(sstatus) & SSTATUS_SIE, 0);
    CHECK(rdtime() >= at, "woke %lu units early", at - rdtime());
}

static const char *reason_to_skip(const struct unit_case *c)
{
    if ((c->flags & UNIT_SMP) && rt_hart_count < 2)
        return "one hart";
    if ((c->flags & UNIT_TRAPLINE) && !rt_trapline)
        return "not under Trapline";
    if ((c->flags & UNIT_SSTC) && !rt_has("sstc"))
        return "no Sstc";
    if ((c->flags & UNIT_RTC) && !rt_rtc)
        return "no clock of the day";
    return NULL;
}

static bool selected(const char *name)
{
    const char *only = strstr(rt_bootargs, "only=");

    if (!only)
        return true;
    for (const char *s = name; *s; s++) {
        size_t n = 0;

        while (only[5 + n] && only[5 + n] != ' ' && only[5 + n] == s[n])
            n++;
        if (!only[5 + n] || only[5 + n] == ' ')
            return true;
    }
    return false;
}

void guest_main(void)
{
    unsigned passed = 0, bad = 0, skipped = 0;

    printf("unit guest: %u harts, %lu MiB at %lx, image at %p, %s\n", rt_hart_count,
           rt_ram_size >> 20, rt_ram_base, image_start, rt_trapline ? "Trapline" : "native");
    for (const struct unit_case *c = __unit_cases; c < __unit_cases_end; c++) {
        const char *why = reason_to_skip(c);

        if (!selected(c->name))
            continue;
        if (why) {
            printf("skip %s: %s\n", c->name, why);
            skipped++;
            continue;
        }
        failed = false;
        running = c->name;
        c->run();
        rt_tidy();
        if (!failed)
            printf("ok %s\n", c->name);
        failed ? bad++ : passed++;
    }
    printf("unit guest: %u passed, %u failed, %u skipped\n", passed, bad, skipped);
}
