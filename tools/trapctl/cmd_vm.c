// SPDX-License-Identifier: BSD-2-Clause
// Commands that list VMs and change their state or their share.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "command.h"
#include "exit.h"
#include "json_get.h"
#include "sample.h"
#include "table_list.h"
#include "text.h"

/* ---- ps ---- */

static void add_vm(struct table *t, const json_t *vm)
{
    char memory[TEXT_NUMBER], mapped[TEXT_NUMBER], up[TEXT_NUMBER];

    table_add(t, "%s", get_string(vm, "name"));
    table_add(t, "%s", sample_state(get_string(vm, "status")));
    table_add(t, "%u", (unsigned)get_number(vm, "vcpus"));
    table_add(t, "%s", text_bytes(get_number(vm, "memory"), memory));
    table_add(t, "%s", text_bytes(get_number(vm, "mapped"), mapped));
    table_add(t, "%s",
              json_object_get(vm, "uptime") ? text_duration(get_number(vm, "uptime"), up) : "-");
    table_add(t, "%u", (unsigned)get_number(vm, "boots"));
    table_add(t, "%s", get_string(vm, "reason"));
}

int cmd_ps(struct ctl *c, const struct args *a)
{
    static const char *const heads[] = {"NAME",    "STATE",  ">VCPUS", ">MEMORY", ">MAPPED",
                                        ">UPTIME", ">BOOTS", "REASON", NULL};
    json_t *vms;
    int code = ctl_ask(c, "query-vms", NULL, &vms);

    (void)a;
    if (code)
        return code;
    if (c->json) {
        ctl_print_json(vms);
    } else {
        table_list(vms, heads, add_vm, stdout);
        if (!json_array_size(vms))
            say_note("there are no VMs: `trapctl run BUNDLE` makes some");
    }
    json_decref(vms);
    return EXIT_OK;
}

/* ---- states ---- */

/* What is done to a VM: 0 and what it answered, or an exit code, said. */
typedef int (*act_on_vm)(struct ctl *c, const char *command, const char *name, json_t **value);

static int ask_vm(struct ctl *c, const char *command, const char *name, json_t **value)
{
    return ctl_ask(c, command, ctl_vm(name), value);
}

/* The same to each VM: those behind one that fails are tried too, and the first failure is the result. */
static int for_each(struct ctl *c, const struct args *a, act_on_vm act, const char *command,
                    const char *done)
{
    int result = EXIT_OK;

    for (int i = 0; i < a->words; i++) {
        json_t *value = NULL;
        int code = act(c, command, a->word[i], &value);

        if (!code && c->json)
            ctl_print_json(value);
        else if (!code && !c->quiet)
            printf("%s: %s\n", a->word[i], done);
        json_decref(value);
        if (code && !result)
            result = code;
        if (code > EXIT_USAGE)
            break; /* the machine is gone: no use asking on */
    }
    return result;
}

int cmd_start(struct ctl *c, const struct args *a)
{
    return for_each(c, a, ask_vm, "vm-start", "started");
}

int cmd_stop(struct ctl *c, const struct args *a)
{
    return for_each(c, a, ask_vm, "vm-stop", "off");
}

int cmd_pause(struct ctl *c, const struct args *a)
{
    return for_each(c, a, ask_vm, "stop", "paused");
}

int cmd_resume(struct ctl *c, const struct args *a)
{
    return for_each(c, a, ask_vm, "cont", "goes on");
}

int cmd_reset(struct ctl *c, const struct args *a)
{
    return for_each(c, a, ask_vm, "system_reset", "started anew");
}

/* Off, if it is not: what is off already is as wanted. */
static int power_off(struct ctl *c, const char *name)
{
    json_t *status;
    int code = ctl_ask(c, "query-status", ctl_vm(name), &status);
    const char *s = get_string(status, "status");

    if (!code && (!strcmp(s, "running") || !strcmp(s, "paused")))
        code = ctl_ask(c, "vm-stop", ctl_vm(name), NULL);
    json_decref(status);
    return code;
}

static int power_off_and_ask(struct ctl *c, const char *command, const char *name, json_t **value)
{
    int code = power_off(c, name);

    return code ? code : ask_vm(c, command, name, value);
}

int cmd_rm(struct ctl *c, const struct args *a)
{
    return for_each(c, a, a->value[RM_FORCE] ? power_off_and_ask : ask_vm, "vm-destroy", "removed");
}

int cmd_create(struct ctl *c, const struct args *a)
{
    return for_each(c, a, ask_vm, "vm-create", "made anew");
}

/* ---- set ---- */

enum { HARTS_MAX = 1024 };

static bool set_number(json_t *arguments, const char *name, const char *value)
{
    uint64_t n;

    return text_u64(value, &n) && n < 1u << 31 &&
           !json_object_set_new(arguments, name, json_integer((json_int_t)n));
}

static bool set_harts(json_t *arguments, const char *value)
{
    unsigned harts[HARTS_MAX];
    int count = text_harts(value, harts, HARTS_MAX);
    json_t *list;

    if (!strcmp(value, "all"))
        return !json_object_set_new(arguments, "affinity", json_string("all"));
    if (count < 0)
        return false;
    list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer(harts[i]));
    return !json_object_set_new(arguments, "affinity", list);
}

static int parse_setting(json_t *arguments, const char *word)
{
    bool good = false;

    if (!strncmp(word, "weight=", 7))
        good = set_number(arguments, "weight", word + 7);
    else if (!strcmp(word, "cap=off"))
        good = set_number(arguments, "cap", "0");
    else if (!strncmp(word, "cap=", 4))
        good = set_number(arguments, "cap", word + 4);
    else if (!strncmp(word, "affinity=", 9))
        good = set_harts(arguments, word + 9);
    return good ? EXIT_OK
                : say_error(EXIT_USAGE,
                            "set: '%s' is none of weight=1..10000, cap=PERCENT or cap=off, "
                            "affinity=HARTS (0,2-3) or affinity=all",
                            word);
}

static void print_sched(const json_t *s)
{
    const json_t *hart, *affinity = json_object_get(s, "affinity");
    bool has[HARTS_MAX] = {false};
    char harts[256] = "all", cap[TEXT_NUMBER] = "off";
    size_t i;

    json_array_foreach(affinity, i, hart) if (json_integer_value(hart) >= 0 &&
                                              json_integer_value(hart) < HARTS_MAX)
        has[json_integer_value(hart)] = true;
    if (json_array_size(affinity) && !json_is_true(json_object_get(s, "all-harts")))
        text_hart_list(has, HARTS_MAX, harts, sizeof(harts));
    if (get_number(s, "cap"))
        snprintf(cap, sizeof(cap), "%u", (unsigned)get_number(s, "cap"));
    text_put_safe(stdout, get_string(s, "vm"));
    printf(": weight=%u cap=%s affinity=%s\n", (unsigned)get_number(s, "weight"), cap, harts);
}

int cmd_set(struct ctl *c, const struct args *a)
{
    json_t *arguments = ctl_vm(a->word[0]), *now, *each;
    int code = EXIT_OK;
    size_t i;

    for (int w = 1; w < a->words && !code; w++)
        code = parse_setting(arguments, a->word[w]);
    if (!code && a->words > 1)
        code = ctl_ask(c, "set-sched", json_incref(arguments), NULL);
    json_decref(arguments);
    if (code)
        return code;
    code = ctl_ask(c, "query-sched", ctl_vm(a->word[0]), &now);
    if (code)
        return code;
    if (c->json)
        ctl_print_json(now);
    else
        json_array_foreach(now, i, each) print_sched(each);
    json_decref(now);
    return EXIT_OK;
}
