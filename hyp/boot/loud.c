// SPDX-License-Identifier: BSD-2-Clause
#include "boot/loud.h"

#include "base/log.h"
#include "base/symbol.h"
#include "drv/drv.h"

enum { CALLERS = 24 };

void loud_print(const char *fmt, ...)
{
    char line[LOUD_LINE];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = fmt_vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    host_console_write(line, min_u64((uint64_t)n, sizeof(line) - 1));
}

/* The end of the stack that sp lies on, or sp itself when it does not lie on t's. */
static uint64_t stack_end(const struct thread *t, uint64_t sp)
{
    /* Below it lies the guard page, where an overflow faults. */
    if (t && t->stack && sp - (uint64_t)t->stack + PAGE_SIZE < THREAD_STACK_SIZE + PAGE_SIZE)
        return (uint64_t)t->stack + THREAD_STACK_SIZE;
    return sp;
}

void loud_backtrace(const struct thread *t, uint64_t sp)
{
    const uint64_t *end = (const uint64_t *)stack_end(t, sp);
    char name[80];
    unsigned shown = 0;

    loud_print("possible callers, newest first:\r\n");
    if (t && t->stack && sp < (uint64_t)t->stack && (uint64_t)end > sp)
        sp = (uint64_t)t->stack;
    for (const uint64_t *p = (const uint64_t *)align_up(sp, 8); p < end && shown < CALLERS; p++) {
        if (symbol_is_text(*p)) {
            loud_print("  %016lx %s\r\n", *p, symbol_at(*p, name, sizeof(name)));
            shown++;
        }
    }
}
