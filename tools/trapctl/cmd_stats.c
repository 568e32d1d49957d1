// SPDX-License-Identifier: BSD-2-Clause
// stats, exits: numbers kept of VMs.
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "exit.h"
#include "show.h"
#include "table_list.h"
#include "text.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && !strcmp(s + n - m, end);
}

/* A list as "0 1 2"; numbers in the unit that their name tells. */
static void value_text(const char *name, const json_t *value, char *to, size_t size)
{
    char n[TEXT_NUMBER];
    const json_t *each;
    size_t i, at = 0;

    to[0] = '\0';
    json_array_foreach(value, i, each) if (at < size) at += (size_t)snprintf(
        to + at, size - at, "%s%" JSON_INTEGER_FORMAT, i ? " " : "", json_integer_value(each));
    if (json_is_string(value))
        snprintf(to, size, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(to, size, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_number(value) && ends_with(name, "-ns"))
        snprintf(to, size, "%.3f s", json_number_value(value) / 1e9);
    else if (json_is_integer(value) && (!strncmp(name, "memory.", 7) || ends_with(name, "-bytes")))
        snprintf(to, size, "%s", text_bytes((uint64_t)json_integer_value(value), n));
    else if (json_is_integer(value))
        snprintf(to, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

static void add_stats(struct table *t, const json_t *of)
{
    const char *vm = json_string_value(json_object_get(of, "vm"));
    const char *path = json_string_value(json_object_get(of, "qom-path"));
    const json_t *each;
    char text[256];
    size_t i;

    json_array_foreach(json_object_get(of, "stats"), i, each)
    {
        const char *name = json_string_value(json_object_get(each, "name"));

        if (!name)
            continue;
        value_text(name, json_object_get(each, "value"), text, sizeof(text));
        table_add(t, "%s", path ? path + (*path == '/') : vm ? vm : "");
        table_add(t, "%s", name);
        table_add(t, "%s", text);
    }
}

/* What the numbers mean: name, kind, unit, by target. */
static void add_schema(struct table *t, const json_t *of)
{
    const char *target = json_string_value(json_object_get(of, "target"));
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(of, "stats"), i, each)
    {
        const char *name = json_string_value(json_object_get(each, "name"));
        const char *type = json_string_value(json_object_get(each, "type"));
        const char *unit = json_string_value(json_object_get(each, "unit"));

        table_add(t, "%s", target ? target : "");
        table_add(t, "%s", name ? name : "");
        table_add(t, "%s", type ? type : "");
        table_add(t, "%s", unit ? unit : "");
    }
}

int cmd_stats(struct ctl *c, const struct args *a)
{
    static const char *const heads[] = {"OF", "NAME", ">VALUE", NULL};
    static const char *const schema_heads[] = {"OF", "NAME", "KIND", "UNIT", NULL};
    bool schema = a->value[STATS_SCHEMA] != NULL;
    json_t *arguments = NULL, *value;
    int code;

    if (!schema) {
        arguments = json_pack("{s:s}", "target", a->value[STATS_VCPUS] ? "vcpu" : "vm");
        if (a->words)
            json_object_set_new(arguments, "vm", json_string(a->word[0]));
    }
    code = ctl_ask(c, schema ? "query-stats-schemas" : "query-stats", arguments, &value);
    if (code)
        return code;
    if (c->json) {
        ctl_print_json(value);
    } else {
        table_list(value, schema ? schema_heads : heads, schema ? add_schema : add_stats, stdout);
    }
    json_decref(value);
    return EXIT_OK;
}

int cmd_exits(struct ctl *c, const struct args *a)
{
    const char *costs = a->value[EXITS_COSTS];
    int code = EXIT_OK;

    if (costs && strcmp(costs, "on") && strcmp(costs, "off"))
        return say_error(EXIT_USAGE, "exits: --costs=%s: on or off", costs);
    if (costs)
        code =
            ctl_ask(c, "set-exit-costs", json_pack("{s:b}", "enable", !strcmp(costs, "on")), NULL);
    if (!code && a->value[EXITS_RESET])
        code = ctl_ask(c, "reset-exits", ctl_vm(a->word[0]), NULL);
    return code ? code : show(c, "query-exits", ctl_vm(a->word[0]), "exits %s", a->word[0]);
}
