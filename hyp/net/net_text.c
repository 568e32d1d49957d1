// SPDX-License-Identifier: BSD-2-Clause
#include "net/net_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/nat_flow.h"
#include "net/packet.h"

bool net_text_mode(const char *s, enum switch_mode *mode)
{
    static const char *const names[SWITCH_MODES] = {
        [SWITCH_INTERNAL] = "internal", [SWITCH_BRIDGE] = "bridge", [SWITCH_NAT] = "nat"};

    for (unsigned i = 0; i < SWITCH_MODES; i++)
        if (!strcmp(s, names[i])) {
            *mode = i;
            return true;
        }
    return false;
}

bool net_text_ip4(const char *s, uint32_t *address, uint8_t *prefix)
{
    char *end;

    *address = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned long n = *s >= '0' && *s <= '9' ? strtoul(s, &end, 10) : 256;

        if (n > 255 || end - s > 3 || (i < 3 && *end != '.'))
            return false;
        *address = *address << 8 | (uint32_t)n;
        s = end + (i < 3);
    }
    if (prefix) {
        unsigned long n = *s == '/' && s[1] >= '0' && s[1] <= '9' ? strtoul(s + 1, &end, 10) : 33;

        if (n < 8 || n > 30)
            return false;
        *prefix = (uint8_t)n;
        s = end;
    }
    return !*s;
}

/* "dhcp" is no address. */
static bool address_or_dhcp(const char *s, uint32_t *address, uint8_t *prefix)
{
    if (strcmp(s, "dhcp"))
        return net_text_ip4(s, address, prefix);
    *address = 0;
    if (prefix)
        *prefix = 0;
    return true;
}

bool net_text_setting(const char *key, const char *value, struct switch_change *c)
{
    if (!strcmp(key, "mode"))
        return c->has_mode = net_text_mode(value, &c->mode);
    if (!strcmp(key, "subnet"))
        return c->has_subnet = net_text_ip4(value, &c->subnet, &c->prefix);
    if (!strcmp(key, "address"))
        return c->has_address = address_or_dhcp(value, &c->address, &c->outer_prefix);
    if (!strcmp(key, "router"))
        return c->has_router = net_text_ip4(value, &c->router, NULL);
    if (!strcmp(key, "dns"))
        return c->has_dns = address_or_dhcp(value, &c->dns, NULL);
    return false;
}

void net_text_put_ip4(char to[NET_TEXT_IP4], uint32_t address, unsigned prefix)
{
    int n = fmt_snprintf(to, NET_TEXT_IP4, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
                         address >> 8 & 255, address & 255);

    if (prefix)
        fmt_snprintf(to + n, NET_TEXT_IP4 - (size_t)n, "/%u", prefix);
}

static bool take_port(const char **s, char end, uint16_t *port)
{
    char *stop;
    unsigned long n = **s >= '0' && **s <= '9' ? strtoul(*s, &stop, 10) : 0;

    if (!n || n > 65535 || *stop != end)
        return false;
    *port = (uint16_t)n;
    *s = stop + (end != '\0');
    return true;
}

bool net_text_forward(const char *s, struct nat_forward *w)
{
    const char *colon;
    size_t len;

    if (strncmp(s, "tcp:", 4) && strncmp(s, "udp:", 4))
        return false;
    w->protocol = *s == 't' ? IP_TCP : IP_UDP;
    s += 4;
    if (!take_port(&s, ':', &w->port) || w->port >= FLOW_PORT)
        return false;
    colon = strchr(s, ':');
    len = colon ? (size_t)(colon - s) : 0;
    if (!len || len + 2 >= sizeof(w->to))
        return false;
    memcpy(w->to, s, len);
    w->to[len] = '\0';
    if (len < 3 || w->to[len - 2] != '.' || w->to[len - 1] < '0' ||
        w->to[len - 1] >= '0' + VM_CARDS)
        memcpy(w->to + len, ".0", 3);
    s = colon + 1;
    return take_port(&s, '\0', &w->to_port);
}

bool net_text_rate(const char *s, size_t len, uint32_t *rate)
{
    char *end;
    unsigned long n;
    unsigned shift = 0;

    if (!len || s[0] < '0' || s[0] > '9')
        return false;
    n = strtoul(s, &end, 10);
    if (end < s + len)
        shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 64;
    if (shift > 30 || end + (shift != 0) != s + len || n > UINT32_MAX >> shift ||
        n << shift < PORT_RATE_MIN)
        return false;
    *rate = (uint32_t)(n << shift);
    return true;
}
