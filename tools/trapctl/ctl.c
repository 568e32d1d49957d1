// SPDX-License-Identifier: BSD-2-Clause
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dial.h"
#include "exit.h"
#include "memory.h"
#include "text.h"

int ctl_connect(struct ctl *c)
{
    struct dial d = {.connect = c->connect, .speed = c->speed, .timeout_ms = c->timeout_ms};
    int code;

    if (c->connected)
        return EXIT_OK;
    code = dial(&d, &c->qmp, &c->where);
    c->connected = !code;
    return code;
}

void ctl_close(struct ctl *c)
{
    if (!c->connected)
        return;
    qmp_end(&c->qmp);
    free(c->where);
    c->where = NULL;
    c->connected = false;
}

int ctl_failed(struct ctl *c, int code)
{
    say_error(code, "%s", c->qmp.why);
    if (code == EXIT_LOST)
        ctl_close(c);
    return code;
}

int ctl_ask_for(struct ctl *c, int timeout_ms, const char *command, json_t *arguments,
                json_t **value)
{
    int code = ctl_connect(c);

    if (value)
        *value = NULL;
    if (code) {
        json_decref(arguments);
        return code;
    }
    code = qmp_ask(&c->qmp, command, arguments, timeout_ms, value);
    return code ? ctl_failed(c, code) : EXIT_OK;
}

int ctl_ask(struct ctl *c, const char *command, json_t *arguments, json_t **value)
{
    return ctl_ask_for(c, c->timeout_ms, command, arguments, value);
}

json_t *ctl_vm(const char *name) { return json_pack("{s:s}", "vm", name); }

void ctl_print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
}

void ctl_print_text(const char *text)
{
    size_t len = text ? strlen(text) : 0, n = 0;
    char *plain = memory_grow(NULL, len + 1);

    for (size_t i = 0; i < len; i++)
        if (text[i] != '\r')
            plain[n++] = text[i];
    plain[n] = '\0';
    text_put_safe(stdout, plain);
    if (n && plain[n - 1] != '\n')
        putchar('\n');
    free(plain);
}

/* Of several lines, each is said. */
static int say_lines(const char *text)
{
    char *copy = memory_copy(text), *save;

    for (char *line = strtok_r(copy, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
        say_error(EXIT_REFUSED, "%s", line);
    free(copy);
    return EXIT_REFUSED;
}

int ctl_monitor(struct ctl *c, const char *line)
{
    json_t *answer;
    const json_t *text;
    int code = ctl_ask(c, "shell-command", json_pack("{s:s}", "line", line), &answer);

    if (code)
        return code;
    text = json_object_get(answer, "output");
    if (json_is_true(json_object_get(answer, "failed")))
        code = say_lines(json_is_string(text) ? json_string_value(text) : "it failed");
    else if (c->json)
        ctl_print_json(text ? text : json_null());
    else
        ctl_print_text(json_string_value(text));
    json_decref(answer);
    return code;
}
