// SPDX-License-Identifier: BSD-2-Clause
// Commands: one const table for both front ends, the shell (words in, lines out) and the machine protocol (JSON in
// and out). A row has a name for either, or for both where the two do the same. What has no name in the protocol
// is reached by its human-monitor-command, what has none in the shell by `qmp`. commands.c is the table; a
// command knows nothing of terminals and ports.
// Invariants: every command works on every object in every state, or says why not; bad words
// give the usage.
// Lock rank: none held on entry or while out->emit runs. Callers: the control thread (commands
// may sleep).
#pragma once
#include "base/util.h"

struct console;
struct inspect;
struct qmp_call;
struct vcpu;
struct vm;

enum { COMMAND_WORDS = 8, COMMAND_LINE = 512, COMMAND_ARGS = 8 };
/* Results besides 0 and negative errno (after which the command has said why): */
enum { COMMAND_USAGE = 1 };

struct command_out {
    void (*emit)(void *ctx, const char *line); /* one line, without its newline */
    void *ctx;
    bool from_protocol; /* a person's command that a program gives */
};

/* What a word of a command is, for completion. */
enum command_word {
    WORD_NONE,
    WORD_COMMAND,
    WORD_VM,
    WORD_ON_OFF,
    WORD_RESET,
    WORD_NOW,
    WORD_FAULT,
    WORD_REST /* not split: the rest of the line is one word */
};

enum command_type { ARG_STRING, ARG_INT, ARG_BOOL, ARG_ARRAY, ARG_ANY };

struct command {
    /* In the shell; name NULL: not there. argv[0] is the name. */
    const char *name, *usage, *help;
    enum command_word word[2];
    int (*run)(const struct command_out *out, int argc, char *const argv[]);
    /* In the protocol; qmp_name NULL: not there. 0, or negative errno with qmp_fail's description; what was
     * written is dropped then. qmp_run NULL: qmp_capabilities, which is the session's. */
    const char *qmp_name;
    int (*qmp_run)(struct qmp_call *c);
    struct command_arg {
        const char *name; /* NULL: no more */
        enum command_type type;
        bool optional;
    } arg[COMMAND_ARGS];
};

extern const struct command commands[];
extern const unsigned command_count;

const struct command *command_find(const char *name); /* in the shell */
const struct command *command_find_qmp(const char *name);
/* Splits line in place (blanks; "double quotes" keep them) and runs the command. 0, negative errno. */
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
/* What VMs are promised of the host's memory. */
void command_print_promise(const struct command_out *out);
/* NULL after saying that there is none of that name. */
struct vm *command_vm(const struct command_out *out, const char *name);
/* The console of the VM of that name. 0, or negative errno after saying why. */
int command_console(const struct command_out *out, const char *name,
                    struct console **console) MUST_CHECK;
/* The VM of that name, held for a look (ctl/inspect.h); with its vCPU. 0, or negative errno after saying why.
 * With memory: only one that has memory, which is any that is not off. */
int command_inspect(const struct command_out *out, const char *name, bool memory,
                    struct inspect *in) MUST_CHECK;
int command_inspect_vcpu(const struct command_out *out, const char *name, uint64_t index,
                         bool memory, struct inspect *in) MUST_CHECK;
/* 0x…, or decimal; the whole word. */
bool command_number(const char *word, uint64_t *value);

#define COMMAND_FN(name) int cmd_##name(const struct command_out *out, int argc, char *const argv[])
COMMAND_FN(help);
COMMAND_FN(list);
COMMAND_FN(create);
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
COMMAND_FN(disk);
COMMAND_FN(net);
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
COMMAND_FN(qmp);
/* The nth kind of fault that there is a drill for, or NULL. */
const char *fault_drill(unsigned n);
