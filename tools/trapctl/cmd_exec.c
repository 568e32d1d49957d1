// SPDX-License-Identifier: BSD-2-Clause
// exec, monitor: raw commands of the machine protocol, and lines for the hypervisor's own shell.
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "exit.h"
#include "memory.h"
#include "near.h"

/* An object that was typed. NULL: said. */
static json_t *parse_object(const char *text, const char *what)
{
    json_error_t error;
    json_t *j = json_loads(text, 0, &error);

    if (!j) {
        say_error(EXIT_USAGE,
                  "exec: '%s' is no JSON: %s, at character %d (quote it for your shell: "
                  "'{\"vm\": \"vm0\"}')",
                  text, error.text, error.position);
    } else if (!json_is_object(j)) {
        say_error(EXIT_USAGE, "exec: %s to be an object: '{\"vm\": \"vm0\"}'", what);
        json_decref(j);
        j = NULL;
    }
    return j;
}

/* A whole message in one word, as clients of the protocol send it: its command (to be freed) and arguments. */
static int parse_message(const struct args *a, char **command, json_t **arguments)
{
    json_t *message = parse_object(a->word[0], "a message has");
    const char *name = json_string_value(json_object_get(message, "execute"));

    if (message && (!name || a->words > 1))
        say_error(EXIT_USAGE, name ? "exec: the message has its arguments: nothing goes behind it"
                                   : "exec: the message has no \"execute\": '{\"execute\": "
                                     "\"query-status\", \"arguments\": {\"vm\": \"vm0\"}}'");
    *command = message && name && a->words == 1 ? memory_copy(name) : NULL;
    *arguments = *command ? json_incref(json_object_get(message, "arguments")) : NULL;
    json_decref(message);
    return *command ? EXIT_OK : EXIT_USAGE;
}

static int parse_words(const struct args *a, char **command, json_t **arguments)
{
    *arguments = NULL;
    *command = NULL;
    if (a->words > 1) {
        *arguments = parse_object(a->word[1], "the arguments have");
        if (!*arguments)
            return EXIT_USAGE;
    }
    *command = memory_copy(a->word[0]);
    return EXIT_OK;
}

/* Names that may have been meant, ", did you mean a, b?", or "". To be freed. */
static char *suggest(struct ctl *c, const char *command)
{
    json_t *list, *each;
    char *text = memory_copy("");
    size_t i;

    if (qmp_ask(&c->qmp, "query-commands", NULL, c->timeout_ms, &list))
        return text;
    json_array_foreach(list, i, each)
    {
        const char *name = json_string_value(json_object_get(each, "name"));
        char *longer;

        if (!name || !near_names(command, name))
            continue;
        longer = memory_print("%s%s%s", text, *text ? ", " : "; did you mean ", name);
        free(text);
        text = longer;
    }
    json_decref(list);
    return text;
}

/* The machine has no such command; trapctl itself, or the hypervisor's shell, may. */
static int say_unknown(struct ctl *c, const char *command)
{
    const struct command *own = command_find(command);
    char *text = suggest(c, command);

    say_error(EXIT_REFUSED,
              "exec: the machine protocol has no command %s%s%s (`trapctl exec query-commands` "
              "lists them; for a line of the hypervisor's shell: `trapctl monitor %s`)",
              command, text,
              own && own->summary ? "; it is one of trapctl itself, without exec" : "", command);
    free(text);
    return EXIT_REFUSED;
}

int cmd_exec(struct ctl *c, const struct args *a)
{
    json_t *arguments, *value = NULL;
    char *command;
    int code = *a->word[0] == '{' ? parse_message(a, &command, &arguments)
                                  : parse_words(a, &command, &arguments);

    if (!code)
        code = ctl_connect(c);
    if (code) {
        json_decref(arguments);
    } else {
        code = qmp_ask(&c->qmp, command, arguments, c->timeout_ms, &value);
        if (code == EXIT_REFUSED && c->qmp.unknown)
            say_unknown(c, command);
        else if (code)
            ctl_failed(c, code);
        else
            ctl_print_json(value);
    }
    json_decref(value);
    free(command);
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
