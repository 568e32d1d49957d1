// SPDX-License-Identifier: BSD-2-Clause
#include "boot/stop.h"

#include "base/log.h"
#include "base/panic.h"
#include "drv/drv.h"
#include "sched/thread.h"
#include "sched/timer.h"

#define SBI_EXT_SRST_ 0x53525354

extern const uint32_t symbol_offsets[];
extern const char symbol_names[];
extern char _start[], _text_end[], boot_stack_top[];

static const char *const reg_name[32] = {"zero", "ra", "sp",  "gp",  "tp", "t0", "t1", "t2",
                                         "s0",   "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
                                         "a6",   "a7", "s2",  "s3",  "s4", "s5", "s6", "s7",
                                         "s8",   "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
#define OTHERS_STOP_US 5000
static atomic_int stopping; /* 1 + index of the hart that reports */

/* Straight to the terminal: the log's lock may be held by whoever is broken. */
static PRINTF_LIKE(1, 2) void say(const char *fmt, ...)
{
    char line[256];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = fmt_vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    host_console_write(line, min_u64((uint64_t)n, sizeof(line) - 1));
}

const char *symbol_at(uint64_t address, char *buf, unsigned size)
{
    uint64_t offset = address - (uint64_t)_start;
    const char *name = symbol_names;
    unsigned i;

    if (address < (uint64_t)_start || address >= (uint64_t)_text_end)
        return "?";
    for (i = 0; symbol_offsets[i + 1] <= offset; i++)
        while (*name++)
            ;
    fmt_snprintf(buf, size, "%s+0x%lx", name, offset - symbol_offsets[i]);
    return buf;
}

/* The end of the stack that sp lies on, or sp itself when it lies on none. */
static uint64_t stack_end(uint64_t sp)
{
    const struct thread *t = thread_current();
    uint64_t boot = (uint64_t)boot_stack_top;

    /* Below it lies the guard page, where an overflow faults. */
    if (t && t->stack && sp - (uint64_t)t->stack + PAGE_SIZE < THREAD_STACK_SIZE + PAGE_SIZE)
        return (uint64_t)t->stack + THREAD_STACK_SIZE;
    if (sp < boot && boot - sp <= THREAD_STACK_SIZE)
        return boot;
    return sp;
}

/* Every word on the stack that points into the text: there are no frame pointers, so some are
 * left-overs of earlier calls. */
static void backtrace(uint64_t sp)
{
    char name[80];
    unsigned shown = 0;
    const uint64_t *end = (const uint64_t *)stack_end(sp);

    say("possible callers, newest first:\r\n");
    if (thread_current() && thread_current()->stack && sp < (uint64_t)thread_current()->stack &&
        (uint64_t)end > sp)
        sp = (uint64_t)thread_current()->stack;
    for (const uint64_t *p = (const uint64_t *)align_up(sp, 8); p < end && shown < 24; p++) {
        if (*p > (uint64_t)_start && *p < (uint64_t)_text_end) {
            say("  %016lx %s\r\n", *p, symbol_at(*p, name, sizeof(name)));
            shown++;
        }
    }
}

static NORETURN void power_off(void)
{
    arch_sbi(SBI_EXT_SRST_, 0, 0 /* shutdown */, 1 /* system failure */, 0, 0, 0, 0);
    for (;;)
        arch_wfi();
}

/* The first hart reports, others stop quietly. A fault in the report itself ends it, and if saying so
 * faults too, without a word: the machine stops in any case. */
static void claim(void)
{
    static bool report_failed;
    int reporter = 0, me = (int)hart_index() + 1;

    if (atomic_compare_exchange_strong(&stopping, &reporter, me)) {
        uint64_t until = arch_time() + timer_us(OTHERS_STOP_US);

        atomic_store(&hart_halt, true);
        for (unsigned i = 0; i < hart_count; i++)
            hart_request(i, HART_REQ_HALT);
        while (arch_time() < until)
            arch_pause();
        return;
    }
    if (reporter == me && !report_failed) {
        report_failed = true;
        say("\r\n(a fault in the report itself; the machine stops)\r\n");
    }
    if (reporter == me)
        power_off();
    for (;;)
        arch_wfi();
}

static NORETURN void stop_machine(void)
{
    say("The machine stops. docs/debugging.md says how to read this.\r\n");
    power_off();
}

NORETURN void stop_on_fault(const uint64_t *gpr, uint64_t pc, uint64_t cause, uint64_t tval)
{
    char name[80];
    const struct hart *h = this_hart();

    claim();
    say("\r\nHYPERVISOR FAULT on hart %lu: scause %lu stval %016lx\r\n", h->hartid, cause, tval);
    say("pc %016lx %s\r\nthread %s\r\n", pc, symbol_at(pc, name, sizeof(name)),
        h->current ? h->current->name : "none");
    for (unsigned i = 1; i < 32; i++)
        say("%-4s %016lx%s", reg_name[i], gpr[i], i % 4 == 0 || i == 31 ? "\r\n" : "  ");
    say("htval %lx htinst %lx hstatus %lx sstatus %lx\r\n", csr_read(CSR_HTVAL),
        csr_read(CSR_HTINST), csr_read(CSR_HSTATUS), csr_read(CSR_SSTATUS));
    say("called from %s\r\n", symbol_at(gpr[1], name, sizeof(name)));
    backtrace(gpr[2]);
    stop_machine();
}

NORETURN void panic(const char *fmt, ...)
{
    char text[200];
    va_list ap;

    claim();
    va_start(ap, fmt);
    fmt_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    say("\r\nHYPERVISOR PANIC on hart %lu: %s\r\n", this_hart()->hartid, text);
    backtrace((uint64_t)__builtin_frame_address(0));
    stop_machine();
}
