// SPDX-License-Identifier: BSD-2-Clause
// A switch's configuration by itself: changes to it, and whether what it says of a NAT goes together.
// Pure. Lock rank: none. Callers: switch_set.c, vm/bundle_net.c.
#include "net/switch.h"

void switch_config_change(struct switch_config *to, const struct switch_change *c)
{
    if (c->has_mode)
        to->mode = c->mode;
    if (c->has_subnet) {
        to->subnet = c->subnet;
        to->prefix = c->prefix;
    }
    if (c->has_address) {
        to->address = c->address;
        to->outer_prefix = c->outer_prefix;
        to->router = c->address ? to->router : 0;
    }
    if (c->has_router)
        to->router = c->router;
    if (c->has_dns)
        to->dns = c->dns;
}

static bool is_machine(uint32_t address)
{
    uint32_t first = address >> 24;

    return first && first != 127 && first < 224;
}

const char *switch_config_wrong(const struct switch_config *c)
{
    uint32_t inside = nat_mask(c->prefix), outside = nat_mask(c->outer_prefix);

    if (c->prefix > NAT_PREFIX_MAX)
        return "subnet: a prefix of more than 25 bits has no room for all ports";
    if (!is_machine(c->subnet))
        return "subnet: no machine can have its addresses";
    if (!c->address != !c->router)
        return "address and router come together, or (DHCP) neither";
    if (!c->address)
        return NULL;
    if (!is_machine(c->address) || !is_machine(c->router) || c->address == c->router)
        return "address and router are two machines'";
    if ((c->address ^ c->router) & outside)
        return "router is not in the network of address";
    if (!((c->address ^ c->subnet) & inside & outside))
        return "the networks of subnet and address have addresses in common";
    return NULL;
}
