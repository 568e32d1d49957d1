// SPDX-License-Identifier: BSD-2-Clause
// Commands about VMs' shares of the harts: setting them, and what came of them.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/command.h"
#include "vm/vm.h"
#include "vm/vm_account.h"

enum { LIST_TEXT = 48 };

/* "all", or harts by their numbers in `harts`: "0,2-3". */
static bool parse_harts(const char *s, uint64_t *harts_out)
{
    char word[4];

    *harts_out = 0;
    if (!strcmp(s, "all"))
        return true;
    for (;;) {
        uint64_t range[2];

        for (unsigned i = 0; i < 2; i++) {
            size_t n = 0;

            while (n < sizeof(word) - 1 && s[n] >= '0' && s[n] <= '9') {
                word[n] = s[n];
                n++;
            }
            word[n] = '\0';
            if (!command_number(word, &range[i]) || range[i] >= HART_MAX)
                return false;
            s += n;
            if (i == 0 && *s != '-') {
                range[1] = range[0];
                break;
            }
            s += i == 0;
        }
        for (uint64_t h = range[0]; h <= range[1]; h++)
            *harts_out |= BIT(h);
        if (!*s && range[0] <= range[1])
            return true;
        if (*s++ != ',' || range[0] > range[1])
            return false;
    }
}

static const char *harts_text(uint64_t affinity, char text[LIST_TEXT])
{
    size_t at = 0;

    if (!affinity)
        return "all";
    for (unsigned h = 0; h < HART_MAX && at < LIST_TEXT; h++) {
        unsigned last = h;

        if (!(affinity & BIT(h)))
            continue;
        while (last + 1 < HART_MAX && affinity & BIT(last + 1))
            last++;
        at += (size_t)fmt_snprintf(text + at, LIST_TEXT - at, last > h ? "%s%u-%u" : "%s%u",
                                   at ? "," : "", h, last);
        h = last;
    }
    return text;
}

/* One word of `set`: false when it is none. */
static bool parse_setting(const char *word, struct vm_sched *s)
{
    uint64_t n;

    if (!strncmp(word, "weight=", 7) && command_number(word + 7, &n) && n && n < UINT32_MAX) {
        s->weight = (unsigned)n;
        return true;
    }
    if (!strcmp(word, "cap=off")) {
        s->cap = 0;
        return true;
    }
    if (!strncmp(word, "cap=", 4) && command_number(word + 4, &n) && n < UINT32_MAX) {
        s->cap = (unsigned)n;
        return true;
    }
    return !strncmp(word, "affinity=", 9) && parse_harts(word + 9, &s->affinity);
}

static const char *cap_text(unsigned cap, char *text, size_t size)
{
    if (!cap)
        return "-";
    fmt_snprintf(text, size, "%u%%", cap);
    return text;
}

int cmd_set(const struct command_out *out, int argc, char *const argv[])
{
    char harts_of[LIST_TEXT], cap[12];
    struct vm_sched s;
    const char *why;
    struct vm *vm;
    int error;

    if (argc < 2)
        return COMMAND_USAGE;
    vm = command_vm(out, argv[1]);
    if (!vm)
        return -ENOENT;
    s = vm->config.sched;
    for (int i = 2; i < argc; i++)
        if (!parse_setting(argv[i], &s))
            return command_fail(out, -EINVAL,
                                "'%.40s' is none of weight=1..10000, cap=PERCENT or cap=off, "
                                "affinity=HARTS (0,2-3) or affinity=all",
                                argv[i]);
    error = vm_set_sched(vm, &s, &why);
    if (error)
        return command_fail(out, error, "cannot set %s: %s", argv[1], why);
    command_print(out, "%s: weight %u, cap %s, affinity %s", argv[1],
                  s.weight ? s.weight : FAIR_WEIGHT_DEFAULT, cap_text(s.cap, cap, sizeof(cap)),
                  harts_text(s.affinity, harts_of));
    return 0;
}

/* ---- top ---- */

static const char *seconds(uint64_t ticks, char text[24])
{
    uint64_t ms = timer_hz ? ticks / timer_hz * 1000 + ticks % timer_hz * 1000 / timer_hz : 0;

    fmt_snprintf(text, 24, "%lu.%03lu", (unsigned long)(ms / 1000), (unsigned long)(ms % 1000));
    return text;
}

static void print_times(const struct command_out *out, const char *name, const char *share,
                        const uint64_t t[THREAD_TIMES])
{
    char text[5][24];

    command_print(
        out, "%-20s %-22s %11s %11s %11s %11s %11s", name, share, seconds(t[THREAD_RAN], text[0]),
        seconds(t[THREAD_WAITED], text[1]), seconds(t[THREAD_CAPPED], text[2]),
        seconds(t[THREAD_WAITED] + t[THREAD_CAPPED], text[3]), seconds(t[THREAD_IDLED], text[4]));
}

/* Percent of one hart since `top` was last asked for. */
static unsigned long percent_since(struct vm *vm, uint64_t ran)
{
    uint64_t now = arch_time(), before = vm->top_ran <= ran ? vm->top_ran : 0;
    uint64_t passed = now - max_u64(vm->top_at, vm->started_at);
    unsigned long percent = passed ? (unsigned long)((ran - before) * 100 / passed) : 0;

    vm->top_at = now;
    vm->top_ran = ran;
    return percent;
}

static void top_vm(const struct command_out *out, struct vm *vm, bool vcpus)
{
    uint64_t times[THREAD_TIMES];
    char share[64], harts_of[LIST_TEXT], cap[12];
    const struct vm_sched *s = &vm->config.sched;

    vm_account_times(vm, times);
    fmt_snprintf(share, sizeof(share), "%4lu%% %6u %4s %s", percent_since(vm, times[THREAD_RAN]),
                 s->weight ? s->weight : FAIR_WEIGHT_DEFAULT, cap_text(s->cap, cap, sizeof(cap)),
                 harts_text(s->affinity, harts_of));
    print_times(out, vm->config.name, share, times);
    for (unsigned i = 0; vcpus && i < vm->guest.vcpu_count; i++) {
        char name[24];

        if (!vm->guest.vcpu[i])
            continue;
        thread_times(&vm->guest.vcpu[i]->thread, times);
        fmt_snprintf(name, sizeof(name), "  vCPU %u", i);
        print_times(out, name, "", times);
    }
}

int cmd_top(const struct command_out *out, int argc, char *const argv[])
{
    struct vm *vm = NULL;

    if (argc > 2)
        return COMMAND_USAGE;
    if (argc == 2) {
        vm = command_vm(out, argv[1]);
        if (!vm)
            return -ENOENT;
    }
    command_print(out, "%-20s %-22s %11s %11s %11s %11s %11s", "NAME", " HART WEIGHT  CAP HARTS",
                  "RAN", "WAITED", "CAPPED", "STOLEN", "IDLE");
    for (unsigned i = 0; i < VM_MAX; i++)
        if (vm ? vm_at(i) == vm : vm_at(i) != NULL)
            top_vm(out, vm_at(i), vm != NULL);
    return 0;
}
