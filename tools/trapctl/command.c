// SPDX-License-Identifier: BSD-2-Clause
// Finding, explaining and running commands.
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "text.h"

const struct command *command_find(const char *name)
{
    for (unsigned i = 0; i < command_count; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

/* ---- help ---- */

void command_help(const struct command *command, FILE *to)
{
    fprintf(to, "usage: trapctl [OPTION...] %s%s%s%s\n\n%s\n", command->name,
            command->options ? " [OPTION...]" : "", *command->words ? " " : "", command->words,
            command->summary);
    if (command->details)
        fprintf(to, "\n%s", command->details);
    if (command->options) {
        fputs("\noptions:\n", to);
        args_help(command->options, to);
    }
    fputs("\noptions of all commands (--connect, --json, ...): trapctl --help\n", to);
}

void command_help_all(FILE *to)
{
    fputs("usage: trapctl [OPTION...] COMMAND [WORD...]\n\n"
          "Steers and watches the VMs of a machine that runs Trapline.\n\ncommands:\n",
          to);
    for (unsigned i = 0; i < command_count; i++)
        if (commands[i].summary)
            fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\noptions:\n", to);
    args_help(command_globals, to);
    fputs("\n`trapctl COMMAND --help` explains one. `make run` in Trapline's folder starts a "
          "machine under\n"
          "QEMU; in that folder trapctl finds it by itself. Elsewhere: --connect, or "
          "TRAPCTL_CONNECT.\n\n"
          "exit codes: 0 done; 1 the machine refused; 2 bad usage; 3 no machine, or no free port;\n"
          "4 it went away or did not answer; 5 a file or the terminal here\n",
          to);
}

int cmd_help(struct ctl *c, const struct args *a)
{
    const struct command *command;

    (void)c;
    if (!a->words) {
        command_help_all(stdout);
        return EXIT_OK;
    }
    command = command_find(a->word[0]);
    if (!command || !command->summary)
        return say_error(EXIT_USAGE, "there is no command %s: `trapctl --help` lists them",
                         a->word[0]);
    command_help(command, stdout);
    return EXIT_OK;
}

/* ---- running ---- */

int command_apply_globals(struct ctl *c, const struct args *a)
{
    uint64_t speed;
    unsigned ms;

    if (a->value[GLOBAL_CONNECT])
        c->connect = a->value[GLOBAL_CONNECT];
    if (a->value[GLOBAL_SPEED]) {
        if (!text_u64(a->value[GLOBAL_SPEED], &speed) || !speed || speed > 100000000)
            return say_error(EXIT_USAGE, "--speed=%s: not a number of bits a second",
                             a->value[GLOBAL_SPEED]);
        c->speed = (unsigned)speed;
    }
    if (a->value[GLOBAL_TIMEOUT]) {
        if (!text_interval(a->value[GLOBAL_TIMEOUT], &ms))
            return say_error(EXIT_USAGE, "--timeout=%s: not a number of seconds, up to 3600",
                             a->value[GLOBAL_TIMEOUT]);
        c->timeout_ms = (int)ms;
    }
    c->json |= a->value[GLOBAL_JSON] != NULL;
    c->quiet |= a->value[GLOBAL_QUIET] != NULL;
    say_quiet = c->quiet;
    return EXIT_OK;
}

static int usage(const struct command *command, const char *why)
{
    return say_error(EXIT_USAGE, "%s: %s (usage: trapctl %s%s%s; trapctl %s --help)", command->name,
                     why, command->name, *command->words ? " " : "", command->words, command->name);
}

/* In a shell, settings of one line do not last. */
static int run_with(struct ctl *c, const struct command *command, const struct args *globals,
                    const struct args *a)
{
    struct ctl before = *c;
    int code = command_apply_globals(c, globals);

    if (!code && c->in_shell && globals->value[GLOBAL_CONNECT])
        code = say_error(EXIT_USAGE, "--connect goes with `trapctl shell` itself");
    if (!code)
        code = command->run(c, a);
    c->json = before.json;
    c->quiet = before.quiet;
    c->timeout_ms = before.timeout_ms;
    say_quiet = c->quiet;
    return code;
}

int command_run(struct ctl *c, int argc, char **argv)
{
    const struct command *command = command_find(argv[0]);
    struct args own = {0}, globals = {0};
    char why[128];

    if (!command)
        return say_error(EXIT_USAGE, "there is no command %s: `trapctl --help` lists them",
                         argv[0]);
    if (command->run == cmd_complete || command->run == cmd_monitor) {
        /* Their words are others' command lines: no options are looked for, but a lone --help. */
        if (argc == 2 && command->summary && !strcmp(argv[1], "--help")) {
            command_help(command, stdout);
            return EXIT_OK;
        }
        for (int i = 1; i < argc && own.words < ARGS_WORDS; i++)
            own.word[own.words++] = argv[i];
    } else {
        struct args_set set[2] = {{command->options, &own}, {command_globals, &globals}};

        if (args_parse(set, argc - 1, argv + 1, false, why, sizeof(why)) < 0)
            return usage(command, why);
    }
    if (globals.value[GLOBAL_HELP]) {
        command_help(command, stdout);
        return EXIT_OK;
    }
    if (own.words < command->least)
        return usage(command, "too few words");
    if (own.words > command->most)
        return usage(command, "too many words");
    return run_with(c, command, &globals, &own);
}
