// SPDX-License-Identifier: BSD-2-Clause
#include "fake_switch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool fake_link = true, fake_isolated;
uint32_t fake_rate;
struct switch_config fake_net = {.name = "lan0", .mtu = 1500, .subnet = 0x0a4d0000, .prefix = 24};
struct nat_forward fake_forward;

const char *switch_mode_name(unsigned mode)
{
    static const char *const names[] = {"internal", "bridge", "nat"};

    return names[mode];
}

static const char *const fake_switch = "lan0";

bool switch_get(unsigned n, struct switch_info *info)
{
    *info = (struct switch_info){.config = fake_net,
                                 .ports = 2,
                                 .learnt = 3,
                                 .uplink = fake_net.mode != SWITCH_INTERNAL,
                                 .address = fake_net.mode == SWITCH_NAT ? 0x0a00020f : 0,
                                 .prefix = 24};
    return n == 0;
}

bool switch_get_port(unsigned n, unsigned port, struct port_info *info)
{
    *info = (struct port_info){.config = {.mac = {2, 0x54, 0xab, 0, 0, (uint8_t)port}},
                               .counts = {.sent = 7, .spoofed = port},
                               .link = fake_link};
    snprintf(info->config.name, sizeof(info->config.name), "vm%u.0", port);
    if (port == 0) {
        info->config.rate = fake_rate;
        info->config.isolated = fake_isolated;
    }
    return n == 0 && port < 2;
}

bool switch_next_mac(unsigned n, unsigned *cursor, struct switch_mac *out)
{
    *out = (struct switch_mac){{2, 0x54, 0xab, 0, 0, (uint8_t)*cursor}, "vm1.0", true};
    if (*cursor)
        snprintf(out->port, sizeof(out->port), "lan0");
    return n == 0 && ++*cursor <= 2;
}

bool switch_next_lease(unsigned n, unsigned *cursor, struct switch_lease *out)
{
    *out = (struct switch_lease){0x0a4d0002, {2, 0x54, 0xab}, "vm0.0", 60};
    return n == 0 && fake_net.mode == SWITCH_NAT && ++*cursor == 1;
}

bool switch_get_forward(unsigned n, unsigned i, struct nat_forward *out, uint32_t *address)
{
    *out = fake_forward;
    *address = 0x0a4d0002;
    return n == 0 && i == 0 && fake_forward.port;
}

int switch_set_link(const char *port, bool up)
{
    if (strcmp(port, "vm0.0"))
        return -ENOENT;
    fake_link = up;
    return 0;
}

int switch_set_port(const char *port, const uint32_t *rate, const bool *isolated)
{
    if (strcmp(port, "vm0.0"))
        return -ENOENT;
    fake_rate = rate ? *rate : fake_rate;
    fake_isolated = isolated ? *isolated : fake_isolated;
    return 0;
}

int switch_set(const char *name, const struct switch_change *c, const char **why)
{
    *why = "no switch has this name";
    if (strcmp(name, fake_switch))
        return -ENOENT;
    switch_config_change(&fake_net, c);
    return 0;
}

struct capture *fake_capture;
const int fake_captured = 0; /* what the capture is of */

int switch_capture(const char *port, struct capture *c)
{
    if (fake_capture || strcmp(port, "vm0.0"))
        return fake_capture ? -EBUSY : -ENOENT;
    fake_capture = c;
    capture_watch(c, &fake_captured);
    return 0;
}

void switch_uncapture(struct capture *c)
{
    fake_capture = fake_capture == c ? NULL : fake_capture;
    capture_end(c, NULL);
}

int switch_forward_add(const char *name, const struct nat_forward *w, uint32_t address,
                       const char **why)
{
    *why = strcmp(name, fake_switch) ? "no switch has this name" : "the port is forwarded already";
    if (strcmp(name, fake_switch) || fake_forward.port)
        return -EEXIST;
    fake_forward = *w;
    if (address)
        snprintf(fake_forward.to, sizeof(fake_forward.to), "vm0.0");
    return 0;
}

int switch_forward_remove(const char *name, uint8_t protocol, uint16_t port, const char **why)
{
    *why = "this port is not forwarded";
    if (strcmp(name, fake_switch) || fake_forward.protocol != protocol || fake_forward.port != port)
        return -ENOENT;
    fake_forward.port = 0;
    return 0;
}
