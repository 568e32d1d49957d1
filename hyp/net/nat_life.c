// SPDX-License-Identifier: BSD-2-Clause
// A NAT's begin and end, and the cards inside.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "drv/drv.h"
#include "drv/uplink.h"
#include "mem/heap.h"
#include "net/nat.h"

static void nat_joined(struct net_backend *net, unsigned port, const struct port_config *config)
{
    struct nat *n = net->device;
    struct nat_host *h = &n->host[port];

    spin_lock(&n->lock);
    h->used = true;
    h->leased = 0;
    bucket_init(&h->errors, NAT_ERRORS_RATE, NAT_ERRORS_BURST, arch_time());
    memcpy(h->mac, config->mac, NET_MAC);
    memcpy(h->name, config->name, sizeof(h->name));
    spin_unlock(&n->lock);
}

static void nat_left(struct net_backend *net, unsigned port)
{
    struct nat *n = net->device;

    spin_lock(&n->lock);
    n->host[port].used = false;
    flow_forget(&n->flows, port);
    memset(&n->out[port], 0, sizeof(n->out[port]));
    memset(&n->in[port], 0, sizeof(n->in[port]));
    spin_unlock(&n->lock);
}

/* Only from its own address, or none yet: in IPv4 packets and in ARP. */
static bool nat_admits(struct net_backend *net, unsigned port, const struct net_frame *f)
{
    const struct nat *n = net->device;
    uint32_t own = nat_host_address(n, port), from;
    uint16_t type = get16(f->head + 12);

    if (type == ETH_ARP && f->head_len >= ARP_END)
        from = get32(f->head + ARP_SENDER);
    else if (type == ETH_IPV4 && f->head_len >= NET_ETHERNET + IP4_HEADER)
        from = get32(f->head + NET_ETHERNET + IP4_FROM);
    else
        return type == ETH_IPV6;
    return from == own || !from;
}

static void nat_describe(struct net_backend *net, struct switch_info *info)
{
    const struct nat *n = net->device;

    for (unsigned i = 0; i < FLOW_HOSTS; i++)
        info->flows += n->flows.count[i];
    info->flow_limit = FLOWS;
    info->address = n->outer;
    info->prefix = n->by_dhcp ? n->client.lease.prefix : n->config.outer_prefix;
    fmt_snprintf(info->inside, sizeof(info->inside),
                 "%s%u flows, %lu packets out, %lu in; dropped: %lu fragments, %lu for no port, "
                 "%lu of no flow",
                 n->outer ? "" : "no address on the uplink yet; ", info->flows,
                 (unsigned long)n->counts.out, (unsigned long)n->counts.in,
                 (unsigned long)n->counts.fragments, (unsigned long)n->counts.unknown,
                 (unsigned long)n->counts.refused);
}

static bool nat_next_lease(struct net_backend *net, unsigned *cursor, struct switch_lease *out)
{
    struct nat *n = net->device;
    uint32_t now = nat_seconds();
    bool found = false;

    spin_lock(&n->lock);
    for (; *cursor < SWITCH_PORTS && !found; ++*cursor) {
        const struct nat_host *h = &n->host[*cursor];

        found = h->used && h->leased && now - h->leased < NAT_LEASE;
        if (!found)
            continue;
        out->address = nat_host_address(n, *cursor);
        out->seconds = NAT_LEASE - (now - h->leased);
        memcpy(out->mac, h->mac, NET_MAC);
        memcpy(out->port, h->name, sizeof(out->port));
    }
    spin_unlock(&n->lock);
    return found;
}

/* Forwards as they are now; leases, where a card's address stays. Neither has nat.lock: nobody changes the old one's forwards
 * meanwhile, and a lease that comes too late is asked for again. */
static void nat_inherit(struct net_backend *net, struct net_backend *old)
{
    struct nat *n = net->device, *o = old->device;

    spin_lock(&n->lock);
    memcpy(n->forward, o->forward, sizeof(n->forward));
    n->forwards = o->forwards;
    for (unsigned i = 0; i < SWITCH_PORTS; i++)
        if (nat_host_address(n, i) == nat_host_address(o, i))
            n->host[i].leased = __atomic_load_n(&o->host[i].leased, __ATOMIC_RELAXED);
    spin_unlock(&n->lock);
}

/* ---- life ---- */

static void link_changed(void *device) { (void)device; }

static struct nat *nat_make(const struct switch_config *config, struct net_backend *net)
{
    struct nat *n = heap_alloc(sizeof(*n));
    uint64_t secret;

    if (!n)
        return NULL;
    n->config = *config;
    n->net = net;
    spin_init(&n->lock, LOCK_SWITCH);
    n->inside_mask = nat_mask(config->prefix);
    n->inside = (config->subnet & n->inside_mask) + 1;
    bucket_init(&n->errors, NAT_ERRORS_RATE, NAT_ERRORS_BURST, arch_time());
    entropy.fill(entropy.ctx, &secret, sizeof(secret));
    flow_init(&n->flows, secret);
    n->next_id = (uint16_t)(secret >> 48);
    return n;
}

static int nat_open(const struct switch_config *config, struct net_backend *net, const char **why)
{
    struct nat *n;
    uint16_t mtu;
    int error = 0;

    *why = "out of memory";
    n = nat_make(config, net);
    if (!n)
        return -ENOMEM;
    for (unsigned i = 0; i < config->forwards && !error; i++)
        error = nat_forward_take(n, &config->forward[i], why);
    if (error) {
        heap_free(n);
        return error;
    }
    *why = "the machine has no network card that Trapline can use, or its MTU is smaller";
    error = uplink_get(n->mac, &mtu) && mtu >= config->mtu ? 0 : -ENODEV;
    if (!error) {
        *why = "too many switches use the machine's network card";
        error = uplink_open(nat_from_uplink, n);
    }
    if (error) {
        heap_free(n);
        return error;
    }
    net->receive = nat_from_inside;
    net->link_changed = link_changed;
    __atomic_store_n(&net->device, n, __ATOMIC_RELEASE);
    nat_outer_begin(n);
    return 0;
}

static void nat_close(struct net_backend *net)
{
    struct nat *n = net->device;

    nat_outer_end(n);
    uplink_close(n);
    heap_free(n);
}

const struct inside inside_nat = {
    .name = "nat",
    .open = nat_open,
    .close = nat_close,
    .joined = nat_joined,
    .left = nat_left,
    .admits = nat_admits,
    .describe = nat_describe,
    .inherit = nat_inherit,
    .next_lease = nat_next_lease,
    .get_forward = nat_get_forward,
    .forward_add = nat_forward_add,
    .forward_remove = nat_forward_remove,
};
