// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/command.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vm/vm.h"

#define COMMAND(n, usage, help, ...) {#n, usage, help, {__VA_ARGS__}, cmd_##n}

const struct command commands[] = {
    COMMAND(help, "[COMMAND]", "this list, or the usage of one command", WORD_COMMAND),
    COMMAND(list, "", "VMs: state, vCPUs, memory, uptime", WORD_NONE),
    COMMAND(start, "VM", "start a VM that is off", WORD_VM),
    COMMAND(stop, "VM", "stop a VM at once, as by its power switch", WORD_VM),
    COMMAND(pause, "VM", "hold a running VM; its time stands still", WORD_VM),
    COMMAND(resume, "VM", "let a paused VM go on", WORD_VM),
    COMMAND(reset, "VM", "stop a VM and start it again", WORD_VM),
    COMMAND(destroy, "VM", "remove a VM that is off or has crashed", WORD_VM),
    COMMAND(set, "VM [weight=N] [cap=PERCENT|off] [affinity=HARTS|all]",
            "a VM's share of the harts, at once; alone: shows it", WORD_VM),
    COMMAND(top, "[VM]",
            "what VMs, or one's vCPUs, had of the harts; HART: percent since the last `top`",
            WORD_VM),
    COMMAND(console, "VM", "give the terminal to a VM's console (Ctrl-] comes back)", WORD_VM),
    COMMAND(send, "VM TEXT", "type TEXT into a VM's console (\\r \\n \\t \\e \\\\ \\xHH)", WORD_VM),
    COMMAND(regs, "VM [VCPU]", "registers of a vCPU", WORD_VM),
    COMMAND(exits, "VM [reset]", "exits by cause and vCPU; their cost, when counted", WORD_VM,
            WORD_RESET),
    COMMAND(costs, "[on|off]", "count the instructions that exits cost", WORD_ON_OFF),
    COMMAND(walk, "VM GVA [VCPU]", "translate a guest virtual address, step by step", WORD_VM),
    COMMAND(gpa, "VM GPA", "translate a guest physical address, step by step", WORD_VM),
    COMMAND(devices, "VM", "a VM's devices, and how often they were accessed", WORD_VM),
    COMMAND(fdt, "VM", "the device tree that a VM was given, as source", WORD_VM),
    COMMAND(report, "VM", "the report of a VM's crash: vCPUs, their last exits", WORD_VM),
    COMMAND(dump, "VM [GPA LEN]", "a VM's memory, in hexadecimal; all that was touched", WORD_VM),
    COMMAND(kick, "VM [VCPU] [now]", "make a kernel that hangs say where (an NMI)", WORD_VM),
    COMMAND(sysrq, "VM KEY", "Linux's magic SysRq key on a VM's console", WORD_VM),
    COMMAND(frames, "", "host memory by state and owner, in KiB", WORD_NONE),
    COMMAND(harts, "", "harts, and what runs on them", WORD_NONE),
    COMMAND(threads, "", "threads: vCPUs and the hypervisor's own", WORD_NONE),
    COMMAND(stacks, "", "how deep the threads' stacks were ever used", WORD_NONE),
    COMMAND(log, "", "the log", WORD_NONE),
    COMMAND(info, "", "what was found at boot", WORD_NONE),
    COMMAND(size, "[COLUMNS ROWS]", "the size of this terminal, as guests are told", WORD_NONE),
    COMMAND(clear, "", "clear the screen", WORD_NONE),
    COMMAND(fault, "KIND", "drill: break the hypervisor itself; the machine stops", WORD_FAULT),
    COMMAND(poweroff, "[now]", "power off the machine; now: even if VMs run", WORD_NOW),
};
const unsigned command_count = ARRAY_LEN(commands);

const struct command *command_find(const char *name)
{
    for (unsigned i = 0; i < command_count; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static void print_list(const struct command_out *out, const char *fmt, va_list ap)
{
    char line[COMMAND_LINE];

    fmt_vsnprintf(line, sizeof(line), fmt, ap);
    out->emit(out->ctx, line);
}

void command_print(const struct command_out *out, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_list(out, fmt, ap);
    va_end(ap);
}

int command_fail(const struct command_out *out, int error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_list(out, fmt, ap);
    va_end(ap);
    return error;
}

struct vm *command_vm(const struct command_out *out, const char *name)
{
    struct vm *vm = vm_find(name);

    if (!vm)
        command_print(out, "no VM is called %.40s: see `list`", name);
    return vm;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

bool command_number(const char *word, uint64_t *value)
{
    unsigned base = 10;

    *value = 0;
    if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
        base = 16;
        word += 2;
    }
    if (!*word)
        return false;
    for (; *word; word++) {
        unsigned d = (unsigned)digit(*word);

        if (d >= base || *value > (UINT64_MAX - d) / base)
            return false;
        *value = *value * base + d;
    }
    return true;
}

/* -E2BIG: too many words. */
static int split(char *line, char *argv[COMMAND_WORDS])
{
    int argc = 0;

    for (;;) {
        bool quoted;

        while (*line == ' ' || *line == '\t')
            line++;
        if (!*line)
            return argc;
        if (argc == COMMAND_WORDS)
            return -E2BIG;
        quoted = *line == '"';
        line += quoted;
        argv[argc++] = line;
        while (*line && (quoted ? *line != '"' : *line != ' ' && *line != '\t'))
            line++;
        if (*line)
            *line++ = '\0';
    }
}

static void print_usage(const struct command_out *out, const struct command *c)
{
    command_print(out, "usage: %s%s%s", c->name, c->usage[0] ? " " : "", c->usage);
}

int command_run(const struct command_out *out, char *line)
{
    char *argv[COMMAND_WORDS];
    int argc = split(line, argv), result;
    const struct command *c;

    if (argc < 0)
        return command_fail(out, argc, "more than %d words", COMMAND_WORDS);
    if (argc == 0)
        return 0;
    c = command_find(argv[0]);
    if (!c)
        return command_fail(out, -ENOENT, "no command %.40s: `help` lists them", argv[0]);
    result = c->run(out, argc, argv);
    if (result == COMMAND_USAGE) {
        print_usage(out, c);
        return -EINVAL;
    }
    return result;
}

int cmd_help(const struct command_out *out, int argc, char *const argv[])
{
    const struct command *one;

    if (argc > 2)
        return COMMAND_USAGE;
    if (argc == 2) {
        one = command_find(argv[1]);
        if (!one)
            return command_fail(out, -ENOENT, "no command %.40s", argv[1]);
        print_usage(out, one);
        command_print(out, "  %s", one->help);
        return 0;
    }
    for (unsigned i = 0; i < command_count; i++) {
        char left[40];

        fmt_snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].usage);
        command_print(out, "  %-20s %s", left, commands[i].help);
    }
    command_print(out, "Ctrl-] goes from console to console and back here. Tab completes.");
    return 0;
}

/* ---- completion ---- */

/* The nth of all words of a kind, or NULL. */
static const char *word_at(enum command_word kind, unsigned n)
{
    static const char *const on_off[] = {"off", "on"};

    switch (kind) {
    case WORD_COMMAND:
        return n < command_count ? commands[n].name : NULL;
    case WORD_ON_OFF:
        return n < ARRAY_LEN(on_off) ? on_off[n] : NULL;
    case WORD_RESET:
        return n ? NULL : "reset";
    case WORD_NOW:
        return n ? NULL : "now";
    case WORD_FAULT:
        return fault_drill(n);
    default:
        return NULL;
    }
}

static bool complete_vm(const char *have, size_t len, unsigned n, char *to, size_t size)
{
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);

        if (!vm || strncmp(vm->config.name, have, len) || n-- > 0)
            continue;
        fmt_snprintf(to, size, "%s", vm->config.name);
        return true;
    }
    return false;
}

/* What the word at this offset of the line is. */
static enum command_word word_kind(const char *line, size_t word)
{
    const struct command *c = NULL;
    unsigned before = 0;

    for (size_t at = 0; at < word;) {
        size_t len = 0;

        while (at < word && line[at] == ' ')
            at++;
        while (at + len < word && line[at + len] != ' ')
            len++;
        if (!len)
            break;
        if (before++ == 0)
            for (unsigned i = 0; i < command_count; i++)
                if (strlen(commands[i].name) == len && !memcmp(commands[i].name, line + at, len))
                    c = &commands[i];
        at += len;
    }
    if (!before)
        return WORD_COMMAND;
    return c && before <= ARRAY_LEN(c->word) ? c->word[before - 1] : WORD_NONE;
}

bool command_complete(void *ctx, const char *line, size_t word, unsigned n, char *to, size_t size)
{
    enum command_word kind = word_kind(line, word);
    const char *have = line + word, *all;
    size_t len = strlen(have);

    (void)ctx;
    if (kind == WORD_VM)
        return complete_vm(have, len, n, to, size);
    for (unsigned i = 0; (all = word_at(kind, i)); i++) {
        if (strncmp(all, have, len) || n-- > 0)
            continue;
        fmt_snprintf(to, size, "%s", all);
        return true;
    }
    return false;
}
