// SPDX-License-Identifier: BSD-2-Clause
// events: a line for each, until the machine goes away or enough have come.
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "exit.h"
#include "text.h"

enum { WAIT_MS = 3600000 };

/* "key=value" for what an event tells besides the VM and its text. */
static void put_details(const json_t *data)
{
    const json_t *value;
    const char *key;

    json_object_foreach((json_t *)data, key, value)
    {
        char *text;

        if (!strcmp(key, "vm") || !strcmp(key, "text"))
            continue;
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        printf("  ");
        text_put_safe(stdout, key);
        putchar('=');
        text_put_safe(stdout, json_is_string(value) ? json_string_value(value) : text ? text : "");
        free(text);
    }
    value = json_object_get(data, "text");
    if (json_is_string(value)) {
        printf("  ");
        text_put_safe(stdout, json_string_value(value));
    }
}

static void print_event(struct ctl *c, const json_t *event)
{
    const json_t *time = json_object_get(event, "timestamp"),
                 *data = json_object_get(event, "data");
    const char *name = json_string_value(json_object_get(event, "event"));
    const char *vm = json_string_value(json_object_get(data, "vm"));

    if (c->json) {
        json_dumpf(event, stdout, JSON_COMPACT);
    } else {
        printf("%6" JSON_INTEGER_FORMAT ".%03d  ",
               json_integer_value(json_object_get(time, "seconds")),
               (int)(json_integer_value(json_object_get(time, "microseconds")) / 1000));
        text_put_safe(stdout, vm ? vm : "-");
        printf("%*s  ", vm && strlen(vm) < 12 ? 12 - (int)strlen(vm) : 0, "");
        text_put_safe(stdout, name ? name : "?");
        put_details(data);
    }
    putchar('\n');
    fflush(stdout);
}

static bool wanted(const json_t *event, const char *vm)
{
    const char *name = json_string_value(json_object_get(json_object_get(event, "data"), "vm"));

    return !vm || (name && !strcmp(name, vm));
}

int cmd_events(struct ctl *c, const struct args *a)
{
    const char *count_word = a->value[EVENTS_COUNT];
    uint64_t count = UINT64_MAX;
    int code;

    if (count_word && (!text_u64(count_word, &count) || !count))
        return say_error(EXIT_USAGE, "events: --count=%s: not a number", count_word);
    code = ctl_connect(c);
    while (!code && count) {
        json_t *event;

        code = qmp_event(&c->qmp, WAIT_MS, &event);
        if (code) {
            ctl_failed(c, code);
        } else if (event && wanted(event, a->value[EVENTS_VM])) {
            print_event(c, event);
            count--;
            if (ferror(stdout))
                code = EXIT_LOCAL;
        }
        json_decref(event);
    }
    return code;
}
