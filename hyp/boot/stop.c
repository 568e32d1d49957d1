// SPDX-License-Identifier: BSD-2-Clause
#include "boot/stop.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/symbol.h"
#include "boot/loud.h"
#include "sched/thread.h"
#include "sched/timer.h"

#define SBI_EXT_SRST_ 0x53525354

static const char *const reg_name[32] = {"zero", "ra", "sp",  "gp",  "tp", "t0", "t1", "t2",
                                         "s0",   "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
                                         "a6",   "a7", "s2",  "s3",  "s4", "s5", "s6", "s7",
                                         "s8",   "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
#define OTHERS_STOP_US 5000
static atomic_int stopping; /* 1 + index of the hart that reports */

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
        loud_print("\r\n(a fault in the report itself; the machine stops)\r\n");
    }
    if (reporter == me)
        power_off();
    for (;;)
        arch_wfi();
}

static NORETURN void stop_machine(void)
{
    loud_print("The machine stops. docs/debugging.md says how to read this.\r\n");
    power_off();
}

NORETURN void stop_on_fault(const uint64_t *gpr, uint64_t pc, uint64_t cause, uint64_t tval)
{
    char name[80];
    const struct hart *h = this_hart();

    claim();
    loud_print("\r\nHYPERVISOR FAULT on hart %lu: scause %lu stval %016lx\r\n", h->hartid, cause,
               tval);
    loud_print("pc %016lx %s\r\nthread %s\r\n", pc, symbol_at(pc, name, sizeof(name)),
               h->current ? h->current->name : "none");
    for (unsigned i = 1; i < 32; i++)
        loud_print("%-4s %016lx%s", reg_name[i], gpr[i], i % 4 == 0 || i == 31 ? "\r\n" : "  ");
    loud_print("htval %lx htinst %lx hstatus %lx sstatus %lx\r\n", csr_read(CSR_HTVAL),
               csr_read(CSR_HTINST), csr_read(CSR_HSTATUS), csr_read(CSR_SSTATUS));
    loud_print("called from %s\r\n", symbol_at(gpr[1], name, sizeof(name)));
    loud_backtrace(h->current, gpr[2]);
    stop_machine();
}

NORETURN void panic(const char *fmt, ...)
{
    char text[LOUD_LINE - 64];
    va_list ap;

    claim();
    va_start(ap, fmt);
    fmt_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    loud_print("\r\nHYPERVISOR PANIC on hart %lu: %s\r\n", this_hart()->hartid, text);
    loud_backtrace(thread_current(), (uint64_t)__builtin_frame_address(0));
    stop_machine();
}
