// SPDX-License-Identifier: BSD-2-Clause
// Commands: one const table, used by the shell and (later) the machine protocol. A command gets
// words and writes lines through a callback; it knows nothing of terminals.
// Invariants: every command works on every object in every state, or says why not; bad words
// give the usage.
// Lock rank: none held on entry or while out->emit runs. Callers: the shell's thread (commands
// may sleep).
#pragma once
#include "base/util.h"

struct vcpu;
struct vm;

enum { COMMAND_WORDS = 8, COMMAND_LINE = 512 };
/* Results besides 0 and negative errno (after which the command has said why): */
enum { COMMAND_USAGE = 1 };

struct command_out {
    void (*emit)(void *ctx, const char *line); /* one line, without its newline */
    void *ctx;
};

/* What a word of a command is, for completion. */
enum command_word {
    WORD_NONE,
    WORD_COMMAND,
    WORD_VM,
    WORD_ON_OFF,
    WORD_RESET,
    WORD_NOW,
    WORD_FAULT
};

struct command {
    const char *name, *usage, *help;
    enum command_word word[2];
    int (*run)(const struct command_out *out, int argc, char *const argv[]); /* argv[0]: its name */
};

extern const struct command commands[];
extern const unsigned command_count;

const struct command *command_find(const char *name);
/* Splits line in place (blanks; "double quotes" keep them) and runs the command. 0, negative errno.
 * */
int command_run(const struct command_out *out, char *line);
/* lineedit_complete_fn. */
bool command_complete(void *ctx, const char *line, size_t word, unsigned n, char *to, size_t size);

/* ---- for cmd_*.c ---- */

/* One line, cut at COMMAND_LINE - 1. */
void command_print(const struct command_out *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Says why and returns error. */
int command_fail(const struct command_out *out, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A vCPU's state and registers, while it is parked. */
void command_print_vcpu(const struct command_out *out, const struct vm *vm, const struct vcpu *v);
/* NULL after saying that there is none of that name. */
struct vm *command_vm(const struct command_out *out, const char *name);
/* 0x…, or decimal; the whole word. */
bool command_number(const char *word, uint64_t *value);

#define COMMAND_FN(name) int cmd_##name(const struct command_out *out, int argc, char *const argv[])
COMMAND_FN(help);
COMMAND_FN(list);
COMMAND_FN(start);
COMMAND_FN(stop);
COMMAND_FN(pause);
COMMAND_FN(resume);
COMMAND_FN(reset);
COMMAND_FN(destroy);
COMMAND_FN(console);
COMMAND_FN(send);
COMMAND_FN(devices);
COMMAND_FN(fdt);
COMMAND_FN(report);
COMMAND_FN(dump);
COMMAND_FN(set);
COMMAND_FN(top);
COMMAND_FN(regs);
COMMAND_FN(exits);
COMMAND_FN(costs);
COMMAND_FN(frames);
COMMAND_FN(walk);
COMMAND_FN(gpa);
COMMAND_FN(kick);
COMMAND_FN(sysrq);
COMMAND_FN(log);
COMMAND_FN(info);
COMMAND_FN(harts);
COMMAND_FN(threads);
COMMAND_FN(stacks);
COMMAND_FN(size);
COMMAND_FN(clear);
COMMAND_FN(fault);
COMMAND_FN(poweroff);
/* The nth kind of fault that there is a drill for, or NULL. */
const char *fault_drill(unsigned n);
