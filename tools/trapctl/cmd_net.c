// SPDX-License-Identifier: BSD-2-Clause
// net: the machine's networks, their ports, and what may be changed while VMs run.
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "json_get.h"
#include "net_show.h"
#include "port.h"
#include "text.h"
#include "verbs.h"

/* ---- looking ---- */

static json_t *net_arguments(const char *net)
{
    return net ? json_pack("{s:s}", "net", net) : NULL;
}

static int show_nets(struct ctl *c, const char *net)
{
    json_t *nets, *each;
    size_t i;
    int code = ctl_ask(c, "query-nets", net_arguments(net), &nets);

    if (code)
        return code;
    if (c->json) {
        ctl_print_json(nets);
    } else {
        json_array_foreach(nets, i, each)
        {
            if (i)
                putchar('\n');
            net_show(each, net != NULL, stdout);
        }
        if (!json_array_size(nets))
            say_note("there are no networks: a VM's \"nets\" in its bundle names some");
    }
    json_decref(nets);
    return EXIT_OK;
}

/* What was changed, as it is now: show_port writes the line. */
static int show_changed_port(struct ctl *c, const struct port *p)
{
    json_t *nets, *net, *port;
    size_t i, k;
    int code = c->quiet ? EXIT_OK : ctl_ask(c, "query-nets", NULL, &nets);

    if (code || c->quiet)
        return code;
    json_array_foreach(nets, i, net) json_array_foreach(json_object_get(net, "ports"), k, port)
    {
        if (strcmp(get_string(port, "vm"), p->of) || strcmp(get_string(port, "device"), p->device))
            continue;
        if (c->json)
            ctl_print_json(port);
        else
            net_show_port(port, stdout);
    }
    json_decref(nets);
    return EXIT_OK;
}

/* ---- changing ---- */

/* What a command without an answer has done. */
static int done(struct ctl *c, int code, const char *name, const char *what)
{
    if (!code && c->json)
        puts("{}");
    else if (!code && !c->quiet)
        printf("%s: %s\n", name, what);
    return code;
}

/* "mode=nat": what the machine knows by this name, which says whether the value will do. */
static bool add_setting(json_t *arguments, const char *word)
{
    static const char *const keys[] = {"mode", "subnet", "address", "router", "dns"};
    const char *equals = strchr(word, '=');
    size_t len = equals && equals[1] ? (size_t)(equals - word) : 0;

    for (unsigned i = 0; len && i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strlen(keys[i]) == len && !memcmp(word, keys[i], len))
            return !json_object_set_new(arguments, keys[i], json_string(equals + 1));
    return false;
}

static int set_net(struct ctl *c, const struct args *a)
{
    json_t *arguments = json_pack("{s:s}", "net", a->word[0]);
    char text[256] = "";

    for (int i = 1; i < a->words; i++) {
        size_t len = strlen(text);

        if (!add_setting(arguments, a->word[i])) {
            json_decref(arguments);
            return say_error(EXIT_USAGE,
                             "net set: '%s' is not mode=bridge, mode=nat or mode=internal, nor "
                             "subnet=, address=, router=, dns= with an address",
                             a->word[i]);
        }
        snprintf(text + len, sizeof(text) - len, "%s%s", i > 1 ? " " : "", a->word[i]);
    }
    return done(c, ctl_ask(c, "set-net", arguments, NULL), a->word[0], text);
}

/* Of a card, or of a network to the outside. */
static int set_link(struct ctl *c, const struct args *a)
{
    bool up = !strcmp(a->word[1], "up"), card = strchr(a->word[0], '/') != NULL;
    struct port p = {0};
    int code = card ? port_parse(a->word[0], "net link", false, &p) : EXIT_OK;

    if (code)
        return code;
    if (!up && strcmp(a->word[1], "down"))
        return say_error(EXIT_USAGE, "net link: '%s' is neither up nor down", a->word[1]);
    code = ctl_ask(c, "set_link", json_pack("{s:s, s:b}", "name", a->word[0], "up", up), NULL);
    return !code && card ? show_changed_port(c, &p) : done(c, code, a->word[0], a->word[1]);
}

static bool parse_port_setting(json_t *arguments, const char *word)
{
    uint64_t rate = 0;

    if (!strncmp(word, "rate=", 5))
        return (!strcmp(word + 5, "off") || (text_size(word + 5, &rate) && rate)) &&
               !json_object_set_new(arguments, "rate", json_integer((json_int_t)rate));
    if (!strcmp(word, "isolated=on") || !strcmp(word, "isolated=off"))
        return !json_object_set_new(arguments, "isolated", json_boolean(word[10] == 'n'));
    return false;
}

static int set_port(struct ctl *c, const struct args *a)
{
    json_t *arguments;
    struct port p;
    int code = port_parse(a->word[0], "net port", false, &p);

    if (code)
        return code;
    arguments = json_pack("{s:s, s:s}", "vm", p.of, "device", p.device);
    for (int i = 1; i < a->words; i++)
        if (!parse_port_setting(arguments, a->word[i])) {
            json_decref(arguments);
            return say_error(EXIT_USAGE,
                             "net port: '%s' is none of rate=SIZE (bytes a second: 10M) or "
                             "rate=off, isolated=on or isolated=off",
                             a->word[i]);
        }
    code = ctl_ask(c, "set-port", arguments, NULL);
    return code ? code : show_changed_port(c, &p);
}

/* ---- forwards ---- */

/* "tcp:2222", "udp:53", "2222". The word behind the protocol; NULL if it is none. */
static const char *parse_protocol(const char *word, json_t *arguments)
{
    bool udp = !strncmp(word, "udp:", 4), named = udp || !strncmp(word, "tcp:", 4);

    json_object_set_new(arguments, "protocol", json_string(udp ? "udp" : "tcp"));
    return word + (named ? 4 : 0);
}

static bool add_port_number(json_t *arguments, const char *key, const char *word)
{
    uint64_t n;

    return text_u64(word, &n) && n && n < 65536 &&
           !json_object_set_new(arguments, key, json_integer((json_int_t)n));
}

/* "web:22", "10.0.2.15:22": what looks like an address is one. */
static bool add_target(json_t *arguments, const char *word)
{
    const char *colon = strrchr(word, ':');
    size_t len = colon ? (size_t)(colon - word) : 0;
    bool address = strspn(word, "0123456789.") == len;

    return len &&
           !json_object_set_new(arguments, address ? "address" : "vm", json_stringn(word, len)) &&
           add_port_number(arguments, "port", colon + 1);
}

static int forward(struct ctl *c, const struct args *a)
{
    bool add = !strcmp(a->word[0], "add"), good;
    json_t *arguments = json_pack("{s:s}", "net", a->word[1]);
    char text[256];

    if ((!add && strcmp(a->word[0], "rm")) || a->words != (add ? 4 : 3)) {
        json_decref(arguments);
        return say_error(EXIT_USAGE, "net forward: add NET [udp:]HOST-PORT VM:PORT, or "
                                     "rm NET [udp:]HOST-PORT (trapctl net --help)");
    }
    good = add_port_number(arguments, "host-port", parse_protocol(a->word[2], arguments)) &&
           (!add || add_target(arguments, a->word[3]));
    if (!good) {
        json_decref(arguments);
        return say_error(EXIT_USAGE, "net forward: a port is 22, tcp:22 or udp:53 (1 to 65535); "
                                     "what it leads to is VM:PORT or ADDRESS:PORT");
    }
    snprintf(text, sizeof(text), add ? "%s to %s" : "%s no more", a->word[2],
             add ? a->word[3] : "");
    return done(c, ctl_ask(c, add ? "net-forward-add" : "net-forward-remove", arguments, NULL),
                a->word[1], text);
}

static const struct verb verbs[] = {
    {"set", "NET mode=MODE subnet=|address=|router=|dns=ADDRESS", 2, 6, set_net},
    {"link", "VM/net-N|NET up|down", 2, 2, set_link},
    {"port", "VM/net-N [rate=SIZE|off] [isolated=on|off]", 2, 3, set_port},
    {"forward", "add|rm NET [tcp:|udp:]HOST-PORT [VM:PORT]", 3, 4, forward},
    {NULL, NULL, 0, 0, NULL},
};

int cmd_net(struct ctl *c, const struct args *a)
{
    const struct verb *verb = verbs_find(verbs, a);

    if (verb)
        return verbs_run(c, "net", verb, a);
    if (a->words > 1)
        return say_error(EXIT_USAGE,
                         "net: '%s' is none of set, link, port, forward, and a network's name "
                         "stands alone (trapctl net --help)",
                         a->word[0]);
    return show_nets(c, a->words ? a->word[0] : NULL);
}
