// SPDX-License-Identifier: BSD-2-Clause
// The table of commands: what runs them, explains them and completes them.
#pragma once
#include "args.h"
#include "ctl.h"

/* What a command's words are, for completion. */
enum word {
    WORD_NONE,
    WORD_VM,
    WORD_FILE,
    WORD_SETTING, /* weight=, cap=, affinity= */
    WORD_COMMAND, /* of trapctl */
    WORD_EXECUTE, /* of the machine protocol */
    WORD_MONITOR, /* of the hypervisor's own shell */
    WORD_NET, /* what complete_verbs.c has for these commands */
    WORD_DISK,
    WORD_PORT,
};

struct command {
    const char *name, *words, *summary;
    const char *details; /* more help: whole lines, or NULL */
    const struct args_option *options; /* or NULL */
    unsigned char least, most; /* words */
    enum word first, rest;
    /* Words are in a->word, a->value by place in options. An exit code, said. */
    int (*run)(struct ctl *c, const struct args *a);
};

extern const struct command commands[];
extern const unsigned command_count;
/* Options of trapctl itself, good before and behind the command. */
enum {
    GLOBAL_CONNECT,
    GLOBAL_SPEED,
    GLOBAL_JSON,
    GLOBAL_QUIET,
    GLOBAL_TIMEOUT,
    GLOBAL_HELP,
    GLOBAL_VERSION
};
extern const struct args_option command_globals[];

const struct command *command_find(const char *name);
/* Sets what the global options say. 0, or an exit code, said. */
int command_apply_globals(struct ctl *c, const struct args *a);
/* Runs argv[0] with its words. An exit code. */
int command_run(struct ctl *c, int argc, char **argv);

void command_help_all(FILE *to);
void command_help(const struct command *command, FILE *to);

#define COMMAND_FN(name) int cmd_##name(struct ctl *c, const struct args *a)
COMMAND_FN(run);
COMMAND_FN(ps);
COMMAND_FN(top);
COMMAND_FN(console);
COMMAND_FN(start);
COMMAND_FN(stop);
COMMAND_FN(pause);
COMMAND_FN(resume);
COMMAND_FN(reset);
COMMAND_FN(rm);
COMMAND_FN(create);
COMMAND_FN(set);
COMMAND_FN(stats);
COMMAND_FN(exits);
COMMAND_FN(walk);
COMMAND_FN(regs);
COMMAND_FN(fdt);
COMMAND_FN(report);
COMMAND_FN(log);
COMMAND_FN(info);
COMMAND_FN(events);
COMMAND_FN(kick);
COMMAND_FN(sysrq);
COMMAND_FN(net);
COMMAND_FN(capture);
COMMAND_FN(disk);
COMMAND_FN(exec);
COMMAND_FN(monitor);
COMMAND_FN(shell);
COMMAND_FN(help);
COMMAND_FN(complete);

/* Places of options, where the table and the function must agree. */
enum { RUN_START, RUN_NO_START };
enum { TOP_ONCE, TOP_INTERVAL, TOP_SORT, TOP_VCPUS, TOP_COUNT };
enum { RM_FORCE };
enum { STATS_VCPUS, STATS_SCHEMA };
enum { EXITS_RESET, EXITS_COSTS };
enum { LOG_LINES };
enum { EVENTS_COUNT, EVENTS_VM };
enum { KICK_NOW };
enum { CAPTURE_DURATION, CAPTURE_SNAPLEN };
enum { DISK_FORCE };
