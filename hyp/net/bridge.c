// SPDX-License-Identifier: BSD-2-Clause
// Bridges: the switch's own port is the host's network.
#include <errno.h>

#include "drv/uplink.h"
#include "net/inside.h"

static enum net_fate to_uplink(void *device, const struct net_frame *f)
{
    return uplink_send(device, f) ? NET_TAKEN : NET_FULL;
}

static void from_uplink(void *ctx, struct net_frame *f)
{
    struct net_backend *net = ctx;

    (void)net->send(net->ctx, f);
}

static void link_changed(void *device) { (void)device; }

static int bridge_open(const struct switch_config *config, struct net_backend *net,
                       const char **why)
{
    uint8_t mac[NET_MAC];
    uint16_t mtu;
    int error;

    *why = "the machine has no network card that Trapline can use";
    if (!uplink_get(mac, &mtu))
        return -ENODEV;
    *why = "its MTU is larger than that of the machine's network card";
    if (mtu < config->mtu)
        return -EINVAL;
    net->receive = to_uplink;
    net->link_changed = link_changed;
    __atomic_store_n(&net->device, net, __ATOMIC_RELEASE);
    error = uplink_open(from_uplink, net);
    *why = "too many switches use the machine's network card";
    return error;
}

static void bridge_close(struct net_backend *net) { uplink_close(net); }

const struct inside inside_bridge = {.name = "bridge", .open = bridge_open, .close = bridge_close};
