// SPDX-License-Identifier: BSD-2-Clause
// Commands that look into a VM, or the machine.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "exit.h"
#include "sample.h"
#include "show.h"
#include "table_list.h"
#include "text.h"

/* The word of a vCPU, if there is one: added to the arguments, which are given up if it is none. */
static int add_vcpu(const struct args *a, int word, const char *command, json_t *arguments)
{
    uint64_t n;

    if (a->words <= word)
        return EXIT_OK;
    if (text_u64(a->word[word], &n) && n < 4096)
        return json_object_set_new(arguments, "vcpu", json_integer((json_int_t)n)) ? EXIT_LOCAL
                                                                                   : EXIT_OK;
    json_decref(arguments);
    return say_error(EXIT_USAGE, "%s: '%s' is not the number of a vCPU", command, a->word[word]);
}

int cmd_walk(struct ctl *c, const struct args *a)
{
    const char *vcpu = a->words > 2 ? a->word[2] : "0";
    json_t *arguments;
    uint64_t address;
    char gva[24];
    int code;

    if (!text_u64(a->word[1], &address))
        return say_error(EXIT_USAGE, "walk: '%s' is not an address: 0x…, or decimal", a->word[1]);
    snprintf(gva, sizeof(gva), "0x%" PRIx64, address);
    arguments = json_pack("{s:s, s:s}", "vm", a->word[0], "gva", gva);
    code = add_vcpu(a, 2, "walk", arguments);
    return code ? code : show(c, "query-walk", arguments, "walk %s %s %s", a->word[0], gva, vcpu);
}

int cmd_regs(struct ctl *c, const struct args *a)
{
    json_t *arguments = ctl_vm(a->word[0]);
    int code = add_vcpu(a, 1, "regs", arguments);

    return code ? code
                : show(c, "query-registers", arguments, "regs %s %s", a->word[0],
                       a->words > 1 ? a->word[1] : "0");
}

int cmd_fdt(struct ctl *c, const struct args *a)
{
    return show_member(c, "query-fdt", ctl_vm(a->word[0]), "source");
}

int cmd_report(struct ctl *c, const struct args *a)
{
    return show_member(c, "query-report", ctl_vm(a->word[0]), "text");
}

int cmd_log(struct ctl *c, const struct args *a)
{
    const char *lines = a->value[LOG_LINES];
    uint64_t n;

    if (lines && (!text_u64(lines, &n) || !n || n > 1000000))
        return say_error(EXIT_USAGE, "log: --lines=%s: not a number of lines", lines);
    return show_member(c, "query-log", lines ? json_pack("{s:I}", "lines", (json_int_t)n) : NULL,
                       "lines");
}

int cmd_kick(struct ctl *c, const struct args *a)
{
    json_t *arguments = ctl_vm(a->word[0]);
    int code = add_vcpu(a, 1, "kick", arguments);

    if (code)
        return code;
    if (a->value[KICK_NOW])
        json_object_set_new(arguments, "force", json_true());
    return show_member(c, "inject-nmi", arguments, "text");
}

int cmd_sysrq(struct ctl *c, const struct args *a)
{
    if (strlen(a->word[1]) != 1)
        return say_error(EXIT_USAGE,
                         "sysrq: '%s' is not one key (h: the kernel lists them on the console)",
                         a->word[1]);
    return show_member(c, "sysrq", json_pack("{s:s, s:s}", "vm", a->word[0], "key", a->word[1]),
                       "text");
}

/* ---- info ---- */

static void print_version(struct ctl *c)
{
    const json_t *version = json_object_get(c->qmp.greeting, "version");
    const json_t *n = json_object_get(version, "qemu");
    const char *package = json_string_value(json_object_get(version, "package"));

    text_put_safe(stdout, package ? package : "?");
    printf(" %d.%d.%d at ", (int)json_integer_value(json_object_get(n, "major")),
           (int)json_integer_value(json_object_get(n, "minor")),
           (int)json_integer_value(json_object_get(n, "micro")));
    text_put_safe(stdout, c->where);
}

static void print_memory(const json_t *memory)
{
    const json_t *each;
    const char *key;
    char text[TEXT_NUMBER];

    /* "free-2m" counts pieces; all else is bytes. */
    json_object_foreach((json_t *)memory, key, each)
    {
        fputs("  ", stdout);
        text_put_safe(stdout, key);
        printf("%*s  %s\n", strlen(key) < 13 ? 13 - (int)strlen(key) : 0, "",
               strcmp(key, "free-2m") ? text_bytes((uint64_t)json_integer_value(each), text)
                                      : text_count(json_number_value(each), text));
    }
}

static void add_hart(struct table *t, const json_t *h)
{
    const char *runs = json_string_value(json_object_get(h, "runs"));

    table_add(t, "%d", (int)json_integer_value(json_object_get(h, "id")));
    table_add(t, "%d", (int)json_integer_value(json_object_get(h, "hart-id")));
    table_add(t, "%s", json_is_true(json_object_get(h, "online")) ? "online" : "offline");
    table_add(t, "%.3f s", json_number_value(json_object_get(h, "ran-ns")) / 1e9);
    table_add(t, "%.3f s", json_number_value(json_object_get(h, "idle-ns")) / 1e9);
    table_add(t, "%d", (int)json_integer_value(json_object_get(h, "queued")));
    table_add(t, "%s", runs ? runs : "");
}

static void print_harts(const json_t *harts)
{
    static const char *const heads[] = {">HART", ">ID",     "STATE", ">RAN",
                                        ">IDLE", ">QUEUED", "RUNS",  NULL};

    table_list(harts, heads, add_hart, stdout);
}

int cmd_info(struct ctl *c, const struct args *a)
{
    char up[TEXT_NUMBER];
    json_t *host;
    int code = ctl_ask(c, "query-host", NULL, &host);

    (void)a;
    if (code)
        return code;
    if (c->json) {
        ctl_print_json(host);
    } else {
        print_version(c);
        printf(", up %s\n\n",
               text_duration(
                   (uint64_t)(json_number_value(json_object_get(host, "uptime-ns")) / 1e9), up));
        print_harts(json_object_get(host, "harts"));
        puts("\nmemory");
        print_memory(json_object_get(host, "memory"));
        puts("\nfound at boot");
        code = ctl_monitor(c, "info");
    }
    json_decref(host);
    return code;
}
