// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about networks. What is "VM.N" elsewhere, the VM's Nth card, is "vm" and "device": "net-N" here,
// and "VM/net-N" where QEMU wants one name.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/qmp_command.h"
#include "net/nat_flow.h"
#include "net/net_text.h"
#include "net/packet.h"

#define NS_PER_S 1000000000ull

/* ---- names ---- */

/* "VM.N" of the card "net-N". False: it is no card's name. */
static bool card_name(const char *vm, const char *device, char name[PORT_NAME_MAX])
{
    if (strncmp(device, "net-", 4) || device[4] < '0' || device[4] >= '0' + VM_CARDS || device[5])
        return false;
    return fmt_snprintf(name, PORT_NAME_MAX, "%s.%s", vm, device + 4) < PORT_NAME_MAX;
}

int qmp_arg_card(struct qmp_call *c, char *name)
{
    char vm[PORT_NAME_MAX], device[16] = "";

    if (!qmp_arg_string(c, "vm", vm, sizeof(vm)) ||
        !qmp_arg_string(c, "device", device, sizeof(device)) || !card_name(vm, device, name))
        return qmp_fail(c, -EINVAL, "Parameter 'device' is not net-0 to net-%d", VM_CARDS - 1);
    return 0;
}

/* "vm" and "device" of "VM.N". */
static void put_card(struct json_out *o, const char *name)
{
    const char *dot = strrchr(name, '.');
    char device[16];

    if (!dot)
        return;
    json_put_bytes(o, "vm", name, (size_t)(dot - name));
    fmt_snprintf(device, sizeof(device), "net-%.2s", dot + 1);
    json_put_string(o, "device", device);
}

static void put_mac(struct json_out *o, const uint8_t m[NET_MAC])
{
    char text[20];

    fmt_snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
                 m[5]);
    json_put_string(o, "mac", text);
}

static void put_address(struct json_out *o, const char *key, uint32_t address, unsigned prefix)
{
    char text[NET_TEXT_IP4];

    net_text_put_ip4(text, address, prefix);
    json_put_string(o, key, text);
}

static const char *protocol_name(uint8_t protocol) { return protocol == IP_TCP ? "tcp" : "udp"; }

/* ---- query-nets ---- */

static void put_port(struct json_out *o, const char *key, const struct port_info *p)
{
    const struct port_counts *c = &p->counts;

    json_begin_object(o, key);
    if (!p->own) {
        put_card(o, p->config.name);
        put_mac(o, p->config.mac);
    }
    json_put_bool(o, "link", p->link);
    if (!p->own)
        json_put_bool(o, "isolated", p->config.isolated);
    if (p->config.rate)
        json_put_u64(o, "rate", p->config.rate);
    json_put_u64(o, "rx-frames", c->got);
    json_put_u64(o, "rx-bytes", c->got_bytes);
    json_put_u64(o, "tx-frames", c->sent);
    json_put_u64(o, "tx-bytes", c->sent_bytes);
    json_put_u64(o, "dropped",
                 p->refused + c->spoofed + c->limited + c->too_long + c->full + c->down);
    json_end_object(o);
}

static void put_ports(struct json_out *o, unsigned n)
{
    struct port_info p;

    json_begin_array(o, "ports");
    for (unsigned i = 0; switch_get_port(n, i, &p); i++)
        if (!p.own)
            put_port(o, NULL, &p);
    json_end_array(o);
    for (unsigned i = 0; switch_get_port(n, i, &p); i++)
        if (p.own)
            put_port(o, "own-port", &p);
}

static void put_leases(struct json_out *o, unsigned n)
{
    struct switch_lease l;

    json_begin_array(o, "leases");
    for (unsigned at = 0; switch_next_lease(n, &at, &l);) {
        json_begin_object(o, NULL);
        put_address(o, "address", l.address, 0);
        put_mac(o, l.mac);
        put_card(o, l.port);
        json_put_u64(o, "expires-ns", l.seconds * NS_PER_S);
        json_end_object(o);
    }
    json_end_array(o);
}

static void put_forwards(struct json_out *o, unsigned n)
{
    struct nat_forward w;
    uint32_t address;

    json_begin_array(o, "forwards");
    for (unsigned i = 0; switch_get_forward(n, i, &w, &address); i++) {
        json_begin_object(o, NULL);
        json_put_string(o, "protocol", protocol_name(w.protocol));
        json_put_u64(o, "host-port", w.port);
        put_card(o, w.to);
        if (address)
            put_address(o, "address", address, 0);
        json_put_u64(o, "port", w.to_port);
        json_end_object(o);
    }
    json_end_array(o);
}

static void put_macs(struct json_out *o, unsigned n, const char *net)
{
    struct switch_mac m;
    char name[PORT_NAME_MAX + 8];

    json_begin_array(o, "macs");
    for (unsigned at = 0; switch_next_mac(n, &at, &m);) {
        const char *dot = strrchr(m.port, '.');

        fmt_snprintf(name, sizeof(name), "%.*s/net-%s", dot ? (int)(dot - m.port) : 0, m.port,
                     dot ? dot + 1 : "");
        json_begin_object(o, NULL);
        put_mac(o, m.mac);
        json_put_string(o, "port", !strcmp(m.port, net) ? "uplink" : name);
        json_end_object(o);
    }
    json_end_array(o);
}

static void put_net(struct json_out *o, unsigned n, const struct switch_info *i)
{
    json_begin_object(o, NULL);
    json_put_string(o, "net", i->config.name);
    json_put_string(o, "mode", switch_mode_name(i->config.mode));
    json_put_u64(o, "mtu", i->config.mtu);
    json_put_bool(o, "uplink", i->uplink);
    if (i->address)
        put_address(o, "address", i->address, i->prefix);
    if (i->config.mode == SWITCH_NAT)
        put_address(o, "subnet", i->config.subnet, i->config.prefix);
    put_ports(o, n);
    put_leases(o, n);
    put_forwards(o, n);
    put_macs(o, n, i->config.name);
    json_put_u64(o, "flows", i->flows);
    json_put_u64(o, "flow-limit", i->flow_limit);
    json_end_object(o);
}

int qmp_query_nets(struct qmp_call *c)
{
    bool one = qmp_arg(c, "net") >= 0, found = false;
    char name[SWITCH_NAME] = "";
    struct switch_info info;

    qmp_arg_string(c, "net", name, sizeof(name));
    json_begin_array(c->out, NULL);
    for (unsigned n = 0; switch_get(n, &info); n++) {
        if (one && strcmp(info.config.name, name))
            continue;
        put_net(c->out, n, &info);
        found = true;
    }
    json_end_array(c->out);
    return one && !found ? qmp_fail(c, -ENOENT, "no switch has this name, or no card is on it") : 0;
}

/* ---- settings ---- */

/* The switch that "net" names; false with the description set. */
static bool arg_net(struct qmp_call *c, char net[SWITCH_NAME])
{
    if (qmp_arg_string(c, "net", net, SWITCH_NAME))
        return true;
    qmp_fail(c, -ENOENT, "no switch has a name of more than %d bytes", SWITCH_NAME - 1);
    return false;
}

int qmp_set_net(struct qmp_call *c)
{
    static const struct {
        const char *name, *what;
    } settings[] = {
        {"mode", "internal, bridge or nat"},        {"subnet", "like 10.77.0.0/24"},
        {"address", "like 10.0.2.15/24, nor dhcp"}, {"router", "like 10.0.2.2"},
        {"dns", "like 10.0.2.3, nor dhcp"},
    };
    struct switch_change change = {.has_mode = false};
    char net[SWITCH_NAME], word[NET_TEXT_IP4];
    const char *why;
    bool any = false;
    int error;

    if (!arg_net(c, net))
        return -ENOENT;
    for (unsigned i = 0; i < ARRAY_LEN(settings); i++) {
        if (qmp_arg(c, settings[i].name) < 0)
            continue;
        any = true;
        if (!qmp_arg_string(c, settings[i].name, word, sizeof(word)) ||
            !net_text_setting(settings[i].name, word, &change))
            return qmp_fail(c, -EINVAL, "Parameter '%s' is not %s", settings[i].name,
                            settings[i].what);
    }
    if (!any)
        return qmp_fail(c, -EINVAL, "nothing is to be set: Parameter 'mode' is missing");
    error = switch_set(net, &change, &why);
    return error ? qmp_fail(c, error, "%s: %s", net, why) : 0;
}

int qmp_set_port(struct qmp_call *c)
{
    bool isolated, has_isolated = qmp_arg_bool(c, "isolated", &isolated);
    char name[PORT_NAME_MAX];
    uint64_t wanted = 0;
    uint32_t rate;
    int error = qmp_arg_card(c, name);

    if (error)
        return error;
    if (qmp_arg_u64(c, "rate", &wanted) &&
        (wanted > UINT32_MAX || (wanted && wanted < PORT_RATE_MIN)))
        return qmp_fail(c, -EINVAL, "Parameter 'rate' is 0 (no limit), or %d to %u bytes a second",
                        PORT_RATE_MIN, UINT32_MAX);
    rate = (uint32_t)wanted;
    if (switch_set_port(name, qmp_arg(c, "rate") >= 0 ? &rate : NULL,
                        has_isolated ? &isolated : NULL))
        return qmp_fail(c, -ENOENT, "there is no such card");
    return 0;
}

/* As QEMU's: one name for a card; or a switch's, whose cable to the uplink it is. */
int qmp_set_link(struct qmp_call *c)
{
    char given[PORT_NAME_MAX + 8], name[PORT_NAME_MAX], *slash;
    bool up = false;

    qmp_arg_bool(c, "up", &up);
    if (!qmp_arg_string(c, "name", given, sizeof(given)))
        return qmp_fail(c, -ENOENT, "no card has a name as long as that");
    slash = strchr(given, '/');
    if (slash)
        *slash = '\0';
    if (slash ? !card_name(given, slash + 1, name)
              : fmt_snprintf(name, sizeof(name), "%s", given) >= (int)sizeof(name) ||
                    strchr(name, '.'))
        return qmp_fail(c, -EINVAL, "Parameter 'name' is not like \"vm0/net-0\", nor a switch");
    if (switch_set_link(name, up))
        return qmp_fail(c, -ENOENT, "there is no such card, nor a switch with an uplink");
    return 0;
}

/* The argument "protocol", and "host-port". */
static int arg_outer(struct qmp_call *c, struct nat_forward *w)
{
    char word[8] = "tcp";
    uint64_t port = 0;

    if (qmp_arg(c, "protocol") >= 0 && !qmp_arg_string(c, "protocol", word, sizeof(word)))
        word[0] = '\0';
    if (strcmp(word, "tcp") && strcmp(word, "udp"))
        return qmp_fail(c, -EINVAL, "Parameter 'protocol' is neither tcp nor udp");
    qmp_arg_u64(c, "host-port", &port);
    if (!port || port >= FLOW_PORT)
        return qmp_fail(c, -EINVAL, "Parameter 'host-port' is 1 to %d", FLOW_PORT - 1);
    w->protocol = !strcmp(word, "tcp") ? IP_TCP : IP_UDP;
    w->port = (uint16_t)port;
    return 0;
}

/* "vm" (its first card on the switch) or "address". */
static int arg_inner(struct qmp_call *c, struct nat_forward *w, uint32_t *address)
{
    bool has_vm = qmp_arg(c, "vm") >= 0;
    char text[NET_TEXT_IP4];
    uint64_t port = 0;

    *address = 0;
    qmp_arg_u64(c, "port", &port);
    if (!port || port > UINT16_MAX)
        return qmp_fail(c, -EINVAL, "Parameter 'port' is 1 to %d", UINT16_MAX);
    w->to_port = (uint16_t)port;
    if (has_vm == (qmp_arg(c, "address") >= 0))
        return qmp_fail(c, -EINVAL, "either 'vm' or 'address' says where to");
    if (has_vm)
        return qmp_arg_string(c, "vm", w->to, sizeof(w->to) - 2) && w->to[0]
                   ? 0
                   : qmp_fail(c, -ENOENT, "no VM has this name");
    if (!qmp_arg_string(c, "address", text, sizeof(text)) || !net_text_ip4(text, address, NULL))
        return qmp_fail(c, -EINVAL, "Parameter 'address' is not like \"10.77.0.2\"");
    return 0;
}

int qmp_net_forward_add(struct qmp_call *c)
{
    struct nat_forward w = {.protocol = 0};
    char net[SWITCH_NAME];
    const char *why;
    uint32_t address = 0;
    int error;

    if (!arg_net(c, net))
        return -ENOENT;
    error = arg_outer(c, &w);
    if (!error)
        error = arg_inner(c, &w, &address);
    if (error)
        return error;
    error = switch_forward_add(net, &w, address, &why);
    return error ? qmp_fail(c, error, "%s: %s", net, why) : 0;
}

int qmp_net_forward_remove(struct qmp_call *c)
{
    struct nat_forward w = {.protocol = 0};
    char net[SWITCH_NAME];
    const char *why;
    int error;

    if (!arg_net(c, net))
        return -ENOENT;
    error = arg_outer(c, &w);
    if (error)
        return error;
    error = switch_forward_remove(net, w.protocol, w.port, &why);
    return error ? qmp_fail(c, error, "%s: %s", net, why) : 0;
}
