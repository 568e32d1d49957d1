// SPDX-License-Identifier: BSD-2-Clause
// trapctl: steers and watches a machine that runs Trapline, by its machine protocol (docs/control.md).
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "exit.h"

#ifndef TRAPCTL_VERSION
#define TRAPCTL_VERSION "0.1.0"
#endif

enum { ANSWER_MS = 30000, SPEED = 115200 };

static int print_version(void)
{
    printf("trapctl %s\n", TRAPCTL_VERSION);
    return EXIT_OK;
}

/* What was printed has to have arrived. */
static int finish(int code)
{
    if ((fflush(stdout) || ferror(stdout)) && !code)
        return say_error(EXIT_LOCAL, "standard output cannot be written");
    return code;
}

int main(int argc, char **argv)
{
    struct ctl c = {.timeout_ms = ANSWER_MS, .speed = SPEED};
    struct args globals = {0};
    struct args_set set[2] = {{command_globals, &globals}, {NULL, NULL}};
    char why[128];
    int used, code;

    used = args_parse(set, argc - 1, argv + 1, true, why, sizeof(why));
    if (used < 0)
        return say_error(EXIT_USAGE, "%s: `trapctl --help` lists all", why);
    code = command_apply_globals(&c, &globals);
    if (code)
        return code;
    if (globals.value[GLOBAL_VERSION])
        return finish(print_version());
    if (globals.value[GLOBAL_HELP]) {
        command_help_all(stdout);
        return finish(EXIT_OK);
    }
    if (used == argc - 1) {
        command_help_all(stderr);
        return EXIT_USAGE;
    }
    code = command_run(&c, argc - 1 - used, argv + 1 + used);
    ctl_close(&c);
    return finish(code);
}
