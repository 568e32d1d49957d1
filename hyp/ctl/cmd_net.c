// SPDX-License-Identifier: BSD-2-Clause
// Commands about networks.
#include <errno.h>
#include <string.h>

#include "ctl/command.h"
#include "net/net_text.h"
#include "net/packet.h"

static void print_port(const struct command_out *out, const struct port_info *p)
{
    const struct port_counts *c = &p->counts;
    const uint8_t *m = p->config.mac;

    command_print(out, "  %-16s %02x:%02x:%02x:%02x:%02x:%02x %-4s %9lu %12lu %9lu %12lu %7lu",
                  p->config.name, m[0], m[1], m[2], m[3], m[4], m[5], p->link ? "up" : "down",
                  (unsigned long)c->sent, (unsigned long)c->sent_bytes, (unsigned long)c->got,
                  (unsigned long)c->got_bytes, (unsigned long)c->full);
    if (p->config.rate)
        command_print(out, "    sends at most %lu bytes a second", (unsigned long)p->config.rate);
    if (p->config.isolated)
        command_print(out, "    isolated");
    if (c->spoofed || c->limited || c->too_long || c->down || p->refused)
        command_print(out,
                      "    dropped: %lu malformed, %lu of other addresses, %lu beyond the rate, "
                      "%lu too long, %lu with nobody there",
                      (unsigned long)p->refused, (unsigned long)c->spoofed,
                      (unsigned long)c->limited, (unsigned long)c->too_long,
                      (unsigned long)c->down);
}

static void print_forwards(const struct command_out *out, unsigned n)
{
    char address[NET_TEXT_IP4];
    struct nat_forward w;
    uint32_t to;

    for (unsigned i = 0; switch_get_forward(n, i, &w, &to); i++) {
        net_text_put_ip4(address, to, 0);
        command_print(out, "  %s port %u goes to %s port %u%s%s",
                      w.protocol == IP_TCP ? "tcp" : "udp", w.port, w.to, w.to_port,
                      to ? ", " : ": no such card", to ? address : "");
    }
}

static int print_all(const struct command_out *out)
{
    struct switch_info sw;
    struct port_info port;
    unsigned n = 0;

    for (; switch_get(n, &sw); n++) {
        command_print(out, "%s: %s, MTU %u, %u ports, %u addresses learnt", sw.config.name,
                      switch_mode_name(sw.config.mode), sw.config.mtu, sw.ports, sw.learnt);
        if (sw.inside[0])
            command_print(out, "  %s", sw.inside);
        print_forwards(out, n);
        command_print(out, "  %-16s %-17s %-4s %9s %12s %9s %12s %7s", "PORT", "ADDRESS", "LINK",
                      "SENT", "BYTES", "GOT", "BYTES", "FULL");
        for (unsigned i = 0; switch_get_port(n, i, &port); i++)
            print_port(out, &port);
    }
    if (!n)
        command_print(out, "no VM has a network card");
    return 0;
}

/* ---- settings ---- */

static bool is_on_off(const char *word, const char *on, const char *off, bool *value)
{
    *value = !strcmp(word, on);
    return *value || !strcmp(word, off);
}

/* net link VM.N up|down */
static int net_link(const struct command_out *out, int argc, char *const argv[])
{
    bool up;

    if (argc != 4 || !is_on_off(argv[3], "up", "down", &up))
        return COMMAND_USAGE;
    if (switch_set_link(argv[2], up))
        return command_fail(out, -ENOENT, "no port is called %.40s: see `net`", argv[2]);
    return 0;
}

/* "mode=nat" */
static bool take_setting(const char *word, struct switch_change *c)
{
    const char *equals = strchr(word, '=');
    char key[16];

    if (!equals || (size_t)(equals - word) >= sizeof(key))
        return false;
    memcpy(key, word, (size_t)(equals - word));
    key[equals - word] = '\0';
    return net_text_setting(key, equals + 1, c);
}

/* net set SWITCH KEY=VALUE... */
static int net_set(const struct command_out *out, int argc, char *const argv[])
{
    struct switch_change change = {.has_mode = false};
    const char *why;
    int error;

    if (argc < 4)
        return COMMAND_USAGE;
    for (int i = 3; i < argc; i++)
        if (!take_setting(argv[i], &change))
            return COMMAND_USAGE;
    error = switch_set(argv[2], &change, &why);
    return error ? command_fail(out, error, "%.40s: %s", argv[2], why) : 0;
}

/* "10M", or "off" */
static bool parse_rate(const char *word, uint32_t *rate)
{
    if (strcmp(word, "off"))
        return net_text_rate(word, strlen(word), rate);
    *rate = 0;
    return true;
}

/* net port VM.N [rate=RATE|off] [isolated=on|off] */
static int net_port(const struct command_out *out, int argc, char *const argv[])
{
    uint32_t rate = 0;
    bool isolated = false, has_rate = false, has_isolated = false;

    if (argc < 4)
        return COMMAND_USAGE;
    for (int i = 3; i < argc; i++) {
        if (!strncmp(argv[i], "isolated=", 9) && is_on_off(argv[i] + 9, "on", "off", &isolated))
            has_isolated = true;
        else if (!strncmp(argv[i], "rate=", 5) && parse_rate(argv[i] + 5, &rate))
            has_rate = true;
        else
            return COMMAND_USAGE;
    }
    if (switch_set_port(argv[2], has_rate ? &rate : NULL, has_isolated ? &isolated : NULL))
        return command_fail(out, -ENOENT, "no card is called %.40s: see `net`", argv[2]);
    return 0;
}

/* "tcp:2222" */
static bool parse_outer(const char *word, uint8_t *protocol, uint64_t *port)
{
    *protocol = *word == 't' ? IP_TCP : IP_UDP;
    return (!strncmp(word, "tcp:", 4) || !strncmp(word, "udp:", 4)) &&
           command_number(word + 4, port) && *port && *port <= UINT16_MAX;
}

/* net forward add SWITCH tcp:2222:vm0:22, net forward rm SWITCH tcp:2222 */
static int net_forward(const struct command_out *out, int argc, char *const argv[])
{
    struct nat_forward w;
    const char *why;
    uint64_t port;
    int error;

    if (argc == 5 && !strcmp(argv[2], "add") && net_text_forward(argv[4], &w))
        error = switch_forward_add(argv[3], &w, 0, &why);
    else if (argc == 5 && !strcmp(argv[2], "rm") && parse_outer(argv[4], &w.protocol, &port))
        error = switch_forward_remove(argv[3], w.protocol, (uint16_t)port, &why);
    else
        return COMMAND_USAGE;
    return error ? command_fail(out, error, "%.40s: %s", argv[3], why) : 0;
}

int cmd_net(const struct command_out *out, int argc, char *const argv[])
{
    static const struct {
        const char *name;
        int (*run)(const struct command_out *out, int argc, char *const argv[]);
    } verbs[] = {
        {"link", net_link}, {"set", net_set}, {"port", net_port}, {"forward", net_forward}};

    if (argc == 1)
        return print_all(out);
    for (unsigned i = 0; i < ARRAY_LEN(verbs); i++)
        if (!strcmp(argv[1], verbs[i].name))
            return verbs[i].run(out, argc, argv);
    return COMMAND_USAGE;
}
