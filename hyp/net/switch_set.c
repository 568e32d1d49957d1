// SPDX-License-Identifier: BSD-2-Clause
// What a switch is, changed as it runs: its mode, and a NAT's addresses.
#include <errno.h>
#include <string.h>

#include "net/switch_parts.h"

/* Whether the card of this port has a link; the switch is claimed, so that none comes or goes. */
static bool has_link(struct net_switch *sw, const char *port)
{
    bool link = false;

    spin_lock(&sw->lock);
    for (unsigned i = SWITCH_OWN + 1; i < sw->ports; i++)
        if (sw->port[i] && !strcmp(sw->port[i]->config.name, port))
            link = sw->port[i]->net.link;
    spin_unlock(&sw->lock);
    return link;
}

/* Whether a card that could use it has an address from the gateway. Without a link it would ask again. */
static bool has_leases(struct net_switch *sw)
{
    struct port *own = atomic_load(&sw->inside);
    struct switch_lease l;
    unsigned at = 0;

    while (own && own->mode->next_lease && own->mode->next_lease(&own->net, &at, &l))
        if (has_link(sw, l.port))
            return true;
    return false;
}

static int change_locked(struct net_switch *sw, const struct switch_change *c, const char **why)
{
    struct switch_config config = sw->config;
    bool stays = true;

    switch_config_change(&config, c);
    *why = switch_config_wrong(&config);
    if (*why)
        return -EINVAL;
    if (!memcmp(&config, &sw->config, sizeof(config)))
        return 0;
    stays = config.mode == sw->config.mode;
    if (stays && config.mode != SWITCH_NAT) {
        sw->config = config; /* for when it becomes a NAT */
        return 0;
    }
    *why =
        "VMs have addresses of its subnet by DHCP: take their links down first (then up, so that "
        "they ask again)";
    if (stays && (config.subnet != sw->config.subnet || config.prefix != sw->config.prefix) &&
        has_leases(sw))
        return -EBUSY;
    return switch_change_inside(sw, &config, why);
}

int switch_set(const char *name, const struct switch_change *c, const char **why)
{
    struct net_switch *sw = switch_named(name);
    int error;

    *why = "no switch has this name";
    if (!sw)
        return -ENOENT;
    switch_claim(sw);
    error = change_locked(sw, c, why);
    switch_release(sw);
    switch_put(sw);
    return error;
}
