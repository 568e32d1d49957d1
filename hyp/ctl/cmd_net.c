// SPDX-License-Identifier: BSD-2-Clause
// Commands about networks.
#include <errno.h>
#include <string.h>

#include "ctl/command.h"
#include "net/switch.h"

static void print_port(const struct command_out *out, const struct port_info *p)
{
    const struct port_counts *c = &p->counts;
    const uint8_t *m = p->config.mac;

    command_print(out, "  %-16s %02x:%02x:%02x:%02x:%02x:%02x %-4s %9lu %12lu %9lu %12lu %7lu",
                  p->config.name, m[0], m[1], m[2], m[3], m[4], m[5], p->link ? "up" : "down",
                  (unsigned long)c->sent, (unsigned long)c->sent_bytes, (unsigned long)c->got,
                  (unsigned long)c->got_bytes, (unsigned long)c->full);
    if (c->spoofed || c->limited || c->too_long || c->down || p->refused)
        command_print(out,
                      "    dropped: %lu malformed, %lu of other addresses, %lu beyond the rate, "
                      "%lu too long, %lu with nobody there",
                      (unsigned long)p->refused, (unsigned long)c->spoofed,
                      (unsigned long)c->limited, (unsigned long)c->too_long,
                      (unsigned long)c->down);
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
        command_print(out, "  %-16s %-17s %-4s %9s %12s %9s %12s %7s", "PORT", "ADDRESS", "LINK",
                      "SENT", "BYTES", "GOT", "BYTES", "FULL");
        for (unsigned i = 0; switch_get_port(n, i, &port); i++)
            print_port(out, &port);
    }
    if (!n)
        command_print(out, "no VM has a network card");
    return 0;
}

int cmd_net(const struct command_out *out, int argc, char *const argv[])
{
    if (argc == 1)
        return print_all(out);
    if (argc != 4 || strcmp(argv[1], "link") || (strcmp(argv[3], "up") && strcmp(argv[3], "down")))
        return COMMAND_USAGE;
    if (switch_set_link(argv[2], !strcmp(argv[3], "up")))
        return command_fail(out, -ENOENT, "no port is called %.40s: see `net`", argv[2]);
    return 0;
}
