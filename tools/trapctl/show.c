// SPDX-License-Identifier: BSD-2-Clause
#include "show.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exit.h"
#include "text.h"

int show(struct ctl *c, const char *command, json_t *arguments, const char *line, ...)
{
    char text[256];
    json_t *value;
    va_list ap;
    int code = ctl_ask(c, command, arguments, &value);

    if (code)
        return code;
    va_start(ap, line);
    vsnprintf(text, sizeof(text), line, ap);
    va_end(ap);
    if (c->json)
        ctl_print_json(value);
    else
        code = ctl_monitor(c, text);
    json_decref(value);
    return code;
}

int show_member(struct ctl *c, const char *command, json_t *arguments, const char *member)
{
    json_t *value, *each;
    const json_t *text;
    size_t i;
    int code = ctl_ask(c, command, arguments, &value);

    if (code)
        return code;
    text = json_object_get(value, member);
    if (c->json)
        ctl_print_json(value);
    else if (json_is_string(text))
        ctl_print_text(json_string_value(text));
    else
        json_array_foreach(text, i, each) ctl_print_text(json_string_value(each));
    json_decref(value);
    return EXIT_OK;
}
