// SPDX-License-Identifier: BSD-2-Clause
// Drills: the hypervisor breaks itself in a known way, so that one can see what a report of it looks like, and
// that the machine stops. Each also proves something: guard pages, W^X.
#include <string.h>

#include "base/panic.h"
#include "ctl/command.h"

static uint64_t data_word = 0x8082; /* ret, if it could run */

static __attribute__((noinline)) void drill_null(void)
{
    volatile uintptr_t nowhere = 8; /* in the page at 0, which is never mapped */

    (void)*(volatile uint64_t *)nowhere;
}

static __attribute__((noinline)) unsigned drill_deeper(const volatile unsigned *above)
{
    volatile unsigned here[64];

    here[0] = *above + 1;
    return here[0] ? drill_deeper(here) + here[0] : 0;
}

/* An endless recursion reaches the guard page below the stack. */
static void drill_stack(void)
{
    unsigned none = 0;

    (void)drill_deeper(&none);
}

static void drill_text(void) { *(volatile char *)(uintptr_t)drill_null = 0; }
static void drill_rodata(void) { *(volatile char *)(uintptr_t)&commands[0] = 0; }
static void drill_data(void) { ((void (*)(void))(uintptr_t)&data_word)(); }
static void drill_panic(void) { panic("a drill: the shell was asked for it"); }

static const struct {
    const char *name;
    void (*run)(void);
} drills[] = {
    {"null", drill_null},     {"stack", drill_stack}, {"text", drill_text},
    {"rodata", drill_rodata}, {"data", drill_data},   {"panic", drill_panic},
};

const char *fault_drill(unsigned n) { return n < ARRAY_LEN(drills) ? drills[n].name : NULL; }

int cmd_fault(const struct command_out *out, int argc, char *const argv[])
{
    for (unsigned i = 0; argc == 2 && i < ARRAY_LEN(drills); i++)
        if (!strcmp(argv[1], drills[i].name)) {
            drills[i].run();
            return command_fail(out, -1, "%s: nothing happened, which is a defect", argv[1]);
        }
    command_print(out, "kinds: null, stack, text, rodata, data, panic (docs/debugging.md)");
    return COMMAND_USAGE;
}
