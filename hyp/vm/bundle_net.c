// SPDX-License-Identifier: BSD-2-Clause
#include "vm/bundle_net.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "net/nat_flow.h"
#include "net/net_text.h"

/* ---- switches ---- */

static int take_mode(struct fit *f, int node, struct switch_config *s)
{
    bool bad;
    const char *mode = fit_get_string(f, node, "mode", &bad);

    if (mode && net_text_mode(mode, &s->mode))
        return 0;
    return fit_fail(f, "switch '%s': mode must be \"internal\", \"bridge\" or \"nat\"", s->name);
}

static int take_mtu(struct fit *f, int node, struct switch_config *s)
{
    uint64_t mtu;
    int error = fit_get_number(f, node, "mtu", &mtu);

    if (error == -ENOENT) {
        mtu = NET_MTU;
        error = 0;
    }
    if (error || mtu < NET_MTU_MIN || mtu > NET_MTU_MAX)
        return fit_fail(f, "switch '%s': mtu must be one number, %d to %d", s->name, NET_MTU_MIN,
                        NET_MTU_MAX);
    s->mtu = (uint16_t)mtu;
    return 0;
}

/* ---- NAT ---- */

/* A property that is an address; absent: as it is when it is optional. */
static int take_address(struct fit *f, int node, const char *name, const char *example,
                        const struct switch_config *s, uint32_t *address, uint8_t *prefix)
{
    bool bad;
    const char *value = fit_get_string(f, node, name, &bad);

    if (!value && !bad && *address)
        return 0;
    if (!value || !net_text_ip4(value, address, prefix))
        return fit_fail(f, "switch '%s': %s must be an address: \"%s\"", s->name, name, example);
    return 0;
}

static int take_forwards(struct fit *f, int node, struct switch_config *s)
{
    int len;
    const char *value = fdt_getprop(f->tree, node, "forward", &len);

    if (!value || !len)
        return 0;
    if (value[len - 1])
        return fit_fail(f, "switch '%s': forward must be a list of strings", s->name);
    for (const char *end = value + len; value < end; value += strlen(value) + 1) {
        if (s->forwards == NAT_FORWARDS)
            return fit_fail(f, "switch '%s': forward: more than %d", s->name, NAT_FORWARDS);
        if (!net_text_forward(value, &s->forward[s->forwards++]))
            return fit_fail(f,
                            "switch '%s': forward '%.40s' is not like \"tcp:2222:vm0:22\" (the "
                            "first port below %d)",
                            s->name, value, FLOW_PORT);
    }
    return 0;
}

/* What it is on the uplink: by DHCP, unless address and router are given. */
static int take_outer(struct fit *f, int node, struct switch_config *s)
{
    bool given = fdt_getprop(f->tree, node, "address", NULL);
    int error = 0;

    if (given)
        error = take_address(f, node, "address", "10.0.2.15/24", s, &s->address, &s->outer_prefix);
    if (!error && fdt_getprop(f->tree, node, "router", NULL))
        error = take_address(f, node, "router", "10.0.2.2", s, &s->router, NULL);
    if (!error && fdt_getprop(f->tree, node, "dns", NULL))
        error = take_address(f, node, "dns", "10.0.2.3", s, &s->dns, NULL);
    return error;
}

static int take_nat(struct fit *f, int node, struct switch_config *s)
{
    const char *wrong;
    int error = take_address(f, node, "subnet", "10.77.0.0/24", s, &s->subnet, &s->prefix);

    if (!error)
        error = take_outer(f, node, s);
    wrong = error ? NULL : switch_config_wrong(s);
    if (wrong)
        return fit_fail(f, "switch '%s': %s", s->name, wrong);
    return error ? error : take_forwards(f, node, s);
}

static int take_switch(struct fit *f, const char *name, size_t len, struct switch_config *s)
{
    int all = fdt_path_offset(f->tree, "/switches"), node, error;

    if (!len || len >= sizeof(s->name))
        return fit_fail(f, "nets: a switch's name has 1 to %d characters", SWITCH_NAME - 1);
    node = all < 0 ? all : fdt_subnode_offset_namelen(f->tree, all, name, (int)len);
    if (node < 0)
        return fit_fail(f, "nets: there is no switch '%.*s' in /switches", (int)len, name);
    memcpy(s->name, name, len);
    s->name[len] = '\0';
    nat_defaults(s);
    error = take_mode(f, node, s);
    if (!error)
        error = take_mtu(f, node, s);
    return error ? error : take_nat(f, node, s);
}

/* ---- cards ---- */

/* "02:00:00:00:00:01", of one card: no group's, not all zero. */
static bool set_mac(struct port_config *p, const char *value, size_t len)
{
    uint8_t any = 0;

    if (len != 3 * NET_MAC - 1)
        return false;
    for (unsigned i = 0; i < NET_MAC; i++, value += 3) {
        int high = hex_digit(value[0]), low = hex_digit(value[1]);

        if (high < 0 || low < 0 || (i < NET_MAC - 1 && value[2] != ':'))
            return false;
        p->mac[i] = (uint8_t)(high << 4 | low);
        any |= p->mac[i];
    }
    return any && !(p->mac[0] & 1);
}

static bool set_rate(struct port_config *p, const char *value, size_t len)
{
    return value && net_text_rate(value, len, &p->rate);
}

static bool set_isolated(struct port_config *p, const char *value, size_t len)
{
    (void)len;
    p->isolated = true;
    return !value;
}

static bool set_any_mac(struct port_config *p, const char *value, size_t len)
{
    (void)len;
    p->any_mac = true;
    return !value;
}

/* What may follow the switch's name; value is NULL without a "=". */
static const struct {
    const char *name;
    bool (*set)(struct port_config *p, const char *value, size_t len);
} options[] = {
    {"mac", set_mac},
    {"rate", set_rate},
    {"isolated", set_isolated},
    {"any-mac", set_any_mac},
};

static int take_option(struct fit *f, const char *text, size_t len, struct port_config *p)
{
    const char *equals = memchr(text, '=', len);
    size_t name = equals ? (size_t)(equals - text) : len;

    for (unsigned i = 0; i < ARRAY_LEN(options); i++)
        if (strlen(options[i].name) == name && !memcmp(options[i].name, text, name) &&
            options[i].set(p, equals ? equals + 1 : NULL, equals ? len - name - 1 : 0))
            return 0;
    return fit_fail(f,
                    "nets: '%.*s' is none of mac=02:00:00:00:00:01, rate=10M (bytes a second), "
                    "isolated, any-mac",
                    (int)min_u64(len, 40), text);
}

/* The length up to the next comma, or the end. */
static size_t part_length(const char *s)
{
    const char *comma = strchr(s, ',');

    return comma ? (size_t)(comma - s) : strlen(s);
}

static int take_net(struct fit *f, const char *s, struct vm_config *c)
{
    struct vm_net *n;
    size_t len = part_length(s);
    int error;

    if (c->net_count == VM_MAX_NETS)
        return fit_fail(f, "nets: more than %d", VM_MAX_NETS);
    n = &c->net[c->net_count++];
    error = take_switch(f, s, len, &n->network);
    while (!error && s[len]) {
        s += len + 1;
        len = part_length(s);
        error = take_option(f, s, len, &n->port);
    }
    return error;
}

int bundle_take_nets(struct fit *f, int node, struct vm_config *c)
{
    int len, error = 0;
    const char *s = fdt_getprop(f->tree, node, "nets", &len);

    if (!s || !len)
        return 0;
    if (s[len - 1])
        return fit_fail(f, "nets must be a list of strings");
    for (const char *end = s + len; s < end && !error; s += strlen(s) + 1)
        error = take_net(f, s, c);
    return error;
}
