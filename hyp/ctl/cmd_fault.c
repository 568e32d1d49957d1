// SPDX-License-Identifier: BSD-2-Clause
// Drills: the hypervisor breaks itself in a known way, so that one can see what a report of it looks like, and
// that the machine stops (after those for the watchdog it goes on). Each also proves something: guard pages, W^X.
#include <errno.h>
#include <string.h>

#include "base/panic.h"
#include "ctl/command.h"
#include "mem/heap.h"
#include "sched/stack.h"
#include "sched/timer.h"

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

/* Locks that nothing else takes. */
static struct spinlock outer = SPINLOCK_INIT(LOCK_STAGE2), inner = SPINLOCK_INIT(LOCK_FRAME);

static void drill_rank(void)
{
    spin_lock(&inner);
    spin_lock(&outer);
}

static void drill_unlock(void)
{
    spin_lock(&outer);
    spin_unlock(&inner);
}

static void drill_switch(void)
{
    spin_lock(&inner);
    thread_yield();
}

static void drill_undefined(void)
{
    unsigned bits = 64 * hart_count; /* no tool is to see it beforehand */

    (void)(volatile uint64_t){1ul << bits};
}

/* Down into the margin, and not as far as the guard page. */
static __attribute__((noinline)) unsigned drill_down(uint64_t to)
{
    volatile unsigned here[16];

    here[0] = (unsigned)to;
    return (uint64_t)__builtin_frame_address(0) > to ? drill_down(to) + here[0] : 0;
}

static void drill_margin(void)
{
    (void)drill_down((uint64_t)thread_current()->stack + STACK_MARGIN / 2);
    thread_yield();
}

/* ---- drills for the watchdog: the machine goes on after them ---- */

#define DRILL_LASTS_S 60

/* Loops, and polls nothing, until the watchdog has made so many reports, or a minute is over. */
static __attribute__((noinline)) void drill_loop(unsigned reports)
{
    unsigned before = atomic_load(&hart_stuck_reports);
    uint64_t until = arch_time() + timer_us(DRILL_LASTS_S * 1000000ul);

    while (atomic_load(&hart_stuck_reports) - before < reports && arch_time() < until)
        ;
}

static void drill_stuck(void) { drill_loop(1); }

static atomic_uint keeper_has_it;

/* Keeps a lock for as long as it takes. */
static void keeper_main(void *arg)
{
    (void)arg;
    spin_lock(&inner);
    atomic_store(&keeper_has_it, true);
    drill_loop(1);
    spin_unlock(&inner);
}

static void drill_deadlock(void)
{
    struct thread *keeper = thread_create("lock-keeper", keeper_main, NULL);

    if (!keeper)
        return;
    atomic_store(&keeper_has_it, false);
    thread_wake(keeper);
    while (!atomic_load(&keeper_has_it))
        thread_yield();
    spin_lock(&inner);
    spin_unlock(&inner);
    thread_destroy(keeper);
    heap_free(keeper);
}

/* Whether the watchdog sees it. */
static int drill_watchdog(const struct command_out *out, const char *name, void (*run)(void))
{
    unsigned before = atomic_load(&hart_stuck_reports);

    if (hart_count < 2 || !hart_spin_limit)
        return command_fail(out, -ENOTSUP, "%s: %s", name,
                            hart_count < 2 ? "with one hart there is nobody to see it"
                                           : "the watchdog is switched off (watchdog=0)");
    run();
    if (atomic_load(&hart_stuck_reports) == before)
        return command_fail(out, -EIO, "%s: nobody noticed, which is a defect", name);
    command_print(out, "%s: noticed; the machine goes on", name);
    return 0;
}

static const struct {
    const char *name;
    void (*run)(void);
    bool debug; /* only a debug build notices */
} drills[] = {
    {"null", drill_null, false},     {"stack", drill_stack, false},
    {"text", drill_text, false},     {"rodata", drill_rodata, false},
    {"data", drill_data, false},     {"panic", drill_panic, false},
    {"rank", drill_rank, false},     {"unlock", drill_unlock, false},
    {"switch", drill_switch, false}, {"undefined", drill_undefined, true},
    {"margin", drill_margin, true},
};

static const struct {
    const char *name;
    void (*run)(void);
} watchdog_drills[] = {{"stuck", drill_stuck}, {"deadlock", drill_deadlock}};

const char *fault_drill(unsigned n)
{
    if (n < ARRAY_LEN(drills))
        return drills[n].name;
    n -= ARRAY_LEN(drills);
    return n < ARRAY_LEN(watchdog_drills) ? watchdog_drills[n].name : NULL;
}

int cmd_fault(const struct command_out *out, int argc, char *const argv[])
{
    for (unsigned i = 0; argc == 2 && i < ARRAY_LEN(drills); i++) {
        if (strcmp(argv[1], drills[i].name))
            continue;
        if (drills[i].debug && !HYP_DEBUG)
            return command_fail(out, -ENOTSUP, "%s: only a debug build (make DEBUG=1) notices it",
                                argv[1]);
        drills[i].run();
        return command_fail(out, -EIO, "%s: nothing happened, which is a defect", argv[1]);
    }
    for (unsigned i = 0; argc == 2 && i < ARRAY_LEN(watchdog_drills); i++)
        if (!strcmp(argv[1], watchdog_drills[i].name))
            return drill_watchdog(out, argv[1], watchdog_drills[i].run);
    command_print(out,
                  "kinds: null, stack, text, rodata, data, panic, rank, unlock, switch, undefined, "
                  "margin, stuck, deadlock (docs/debugging.md)");
    return COMMAND_USAGE;
}
