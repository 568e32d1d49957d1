// SPDX-License-Identifier: BSD-2-Clause
// exec, monitor: raw commands of the machine protocol, and lines for the hypervisor's own shell.
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "exit.h"
#include "memory.h"

int cmd_exec(struct ctl *c, const struct args *a)
{
    json_t *arguments = NULL, *value;
    json_error_t error;
    int code;

    if (a->words > 1) {
        arguments = json_loads(a->word[1], 0, &error);
        if (!arguments)
            return say_error(EXIT_USAGE,
                             "exec: '%s' is no JSON: %s, at character %d (quote it for "
                             "your shell: '{\"vm\": \"vm0\"}')",
                             a->word[1], error.text, error.position);
        if (!json_is_object(arguments)) {
            json_decref(arguments);
            return say_error(EXIT_USAGE, "exec: the arguments have to be an object: '{\"vm\": "
                                         "\"vm0\"}'");
        }
    }
    code = ctl_ask(c, a->word[0], arguments, &value);
    if (!code)
        ctl_print_json(value);
    json_decref(value);
    return code;
}

int cmd_monitor(struct ctl *c, const struct args *a)
{
    char *line = memory_copy(a->word[0]);
    int code;

    for (int i = 1; i < a->words; i++) {
        char *longer =
            memory_print(strchr(a->word[i], ' ') ? "%s \"%s\"" : "%s %s", line, a->word[i]);

        free(line);
        line = longer;
    }
    code = ctl_monitor(c, line);
    free(line);
    return code;
}
