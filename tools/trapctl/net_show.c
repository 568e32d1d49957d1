// SPDX-License-Identifier: BSD-2-Clause
#include "net_show.h"

#include <inttypes.h>

#include "json_get.h"
#include "table_list.h"
#include "text.h"

static void put(FILE *to, const char *before, const char *text)
{
    fputs(before, to);
    text_put_safe(to, text);
}

static void show_title(const json_t *net, FILE *to)
{
    put(to, "", get_string(net, "net"));
    put(to, ": ", get_string(net, "mode"));
    if (get_bool(net, "uplink"))
        fputs(", with an uplink", to);
    if (*get_string(net, "address"))
        put(to, ", outside ", get_string(net, "address"));
    if (*get_string(net, "subnet"))
        put(to, ", inside ", get_string(net, "subnet"));
    if (get_number(net, "flow-limit"))
        fprintf(to, ", %" PRIu64 " of %" PRIu64 " flows", get_number(net, "flows"),
                get_number(net, "flow-limit"));
    fputc('\n', to);
}

static void rate_text(const json_t *port, char to[TEXT_NUMBER + 2])
{
    char bytes[TEXT_NUMBER];

    if (get_number(port, "rate"))
        snprintf(to, TEXT_NUMBER + 2, "%s/s", text_bytes(get_number(port, "rate"), bytes));
    else
        snprintf(to, TEXT_NUMBER + 2, "off");
}

static void add_bytes(struct table *t, const json_t *o, const char *key)
{
    char text[TEXT_NUMBER];

    table_add(t, "%s", text_bytes(get_number(o, key), text));
}

/* "web/net-0"; "" where the machine knows none. */
static void add_card(struct table *t, const json_t *o)
{
    const char *vm = get_string(o, "vm"), *device = get_string(o, "device");

    table_add(t, "%s%s%s", vm, *vm && *device ? "/" : "", device);
}

static void add_port(struct table *t, const json_t *p)
{
    char rate[TEXT_NUMBER + 2];

    rate_text(p, rate);
    add_card(t, p);
    table_add(t, "%s", get_string(p, "mac"));
    table_add(t, "%s", get_bool(p, "link") ? "up" : "down");
    table_add(t, "%s", get_bool(p, "isolated") ? "yes" : "no");
    table_add(t, "%s", rate);
    table_add(t, "%" PRIu64, get_number(p, "rx-frames"));
    add_bytes(t, p, "rx-bytes");
    table_add(t, "%" PRIu64, get_number(p, "tx-frames"));
    add_bytes(t, p, "tx-bytes");
    table_add(t, "%" PRIu64, get_number(p, "dropped"));
}

static void add_lease(struct table *t, const json_t *lease)
{
    char left[TEXT_NUMBER];

    table_add(t, "%s", get_string(lease, "address"));
    table_add(t, "%s", get_string(lease, "mac"));
    add_card(t, lease);
    table_add(t, "%s", text_duration(get_number(lease, "expires-ns") / 1000000000, left));
}

static void add_forward(struct table *t, const json_t *forward)
{
    table_add(t, "%s:%" PRIu64, get_string(forward, "protocol"), get_number(forward, "host-port"));
    add_card(t, forward);
    table_add(t, "%" PRIu64, get_number(forward, "port"));
    table_add(t, "%s", get_string(forward, "address"));
}

static void add_mac(struct table *t, const json_t *mac)
{
    table_add(t, "%s", get_string(mac, "mac"));
    table_add(t, "%s", get_string(mac, "port"));
}

static void show_any(const json_t *list, const char *const heads[], table_row row, FILE *to)
{
    if (json_array_size(list))
        table_list(list, heads, row, to);
}

void net_show(const json_t *net, bool with_macs, FILE *to)
{
    static const char *const ports[] = {"PORT",   "MAC", "LINK",   "ISOLATED", ">RATE", ">RX",
                                        ">BYTES", ">TX", ">BYTES", ">DROPPED", NULL};
    static const char *const leases[] = {"LEASE", "MAC", "OF", ">EXPIRES IN", NULL};
    static const char *const forwards[] = {"FORWARD", "TO", ">PORT", "NOW AT", NULL};
    static const char *const macs[] = {"MAC", "BEHIND", NULL};

    show_title(net, to);
    table_list(json_object_get(net, "ports"), ports, add_port, to);
    show_any(json_object_get(net, "leases"), leases, add_lease, to);
    show_any(json_object_get(net, "forwards"), forwards, add_forward, to);
    if (with_macs)
        show_any(json_object_get(net, "macs"), macs, add_mac, to);
}

void net_show_port(const json_t *port, FILE *to)
{
    char rate[TEXT_NUMBER + 2];

    rate_text(port, rate);
    put(to, "", get_string(port, "vm"));
    put(to, "/", get_string(port, "device"));
    fprintf(to, ": link=%s rate=%s isolated=%s\n", get_bool(port, "link") ? "up" : "down", rate,
            get_bool(port, "isolated") ? "on" : "off");
}
