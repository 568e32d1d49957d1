// SPDX-License-Identifier: BSD-2-Clause
// A NAT's address on the uplink, with router and name server: as its bundle says, or by DHCP, asked for and renewed by a
// timer of its own.
#include <string.h>

#include "base/log.h"
#include "drv/drv.h"
#include "net/nat.h"
#include "net/net_text.h"
#include "net/offload.h"

enum { LOOK_EVERY = 1, LOOK_WHEN_BOUND = 30 }; /* seconds, at most */

/* The lock is held. Flows by another address than before have ended. */
static void set_outer(struct nat *n, const struct dhcp_lease *l)
{
    if (n->outer != l->address)
        for (unsigned host = 0; host < FLOW_HOSTS; host++)
            flow_forget(&n->flows, host);
    memset(n->neighbour, 0, sizeof(n->neighbour));
    n->outer = l->address;
    n->outer_mask = nat_mask(l->prefix);
    n->router = l->router;
    n->dns = n->config.dns ? n->config.dns : l->dns;
}

/* What came of a message or of time: done, and kept for nat_outer_tell. The lock is held. */
static void follow(struct nat *n, enum dhcp_event event)
{
    if (event == DHCP_GRANTED || event == DHCP_LOST)
        set_outer(n, &n->client.lease);
    if (event == DHCP_NOTHING || event == DHCP_CHOSEN || event == DHCP_RENEWED)
        return;
    n->event = event;
    __atomic_store_n(&n->news, true, __ATOMIC_RELAXED);
}

/* What the client has to say now. The lock is held. */
static enum nat_way step(struct nat *n, struct nat_packet *p)
{
    struct nat_udp u = {.from_port = DHCP_CLIENT_PORT, .to_port = DHCP_SERVER_PORT};
    uint32_t size, now = nat_seconds();
    enum nat_way way;

    follow(n, dhcp_client_step(&n->client, now, p->whole + NAT_UDP_DATA, &size, &u.to));
    if (!size)
        return NAT_DROP;
    u.from = n->client.state >= DHCP_BOUND ? n->client.lease.address : 0;
    service_udp(p, n->mac, &u, size);
    if (u.to == 0xffffffff)
        return NAT_OUT;
    way = nat_to_neighbour(n, p, u.to);
    if (way == NAT_DROP || p->frame.head != p->whole)
        n->client.due = now + 2; /* the server's place was asked for, or is asked for now */
    return way;
}

bool nat_outer_takes(struct nat *n, struct nat_packet *p, enum nat_way *way)
{
    uint8_t m[DHCP_MOST];
    uint32_t at = p->at.transport + (uint32_t)UDP_HEADER, size;
    enum dhcp_event event;
    uint16_t from, to;

    if (p->at.protocol != IP_UDP || p->at.fragment || !nat_ports(p, &from, &to) ||
        from != DHCP_SERVER_PORT || to != DHCP_CLIENT_PORT)
        return false;
    *way = NAT_DROP;
    size = (uint32_t)min_u64(p->at.end - at, sizeof(m));
    if (offload_read(&p->frame, at, m, size))
        return true;
    event = dhcp_client_take(&n->client, nat_seconds(), m, size);
    follow(n, event);
    if (event == DHCP_CHOSEN)
        *way = step(n, p);
    return true;
}

static void tell_lease(struct nat *n, const struct dhcp_lease *l, uint32_t dns)
{
    char address[NET_TEXT_IP4], router[NET_TEXT_IP4], server[NET_TEXT_IP4];

    net_text_put_ip4(address, l->address, l->prefix);
    net_text_put_ip4(router, l->router, 0);
    net_text_put_ip4(server, dns, 0);
    log_limited(&n->log, LOG_INFO,
                "network %s: %s on the uplink by DHCP, router %s, name server %s, for %u s",
                n->config.name, address, router, dns ? server : "none", l->seconds);
}

void nat_outer_tell(struct nat *n)
{
    struct dhcp_lease l;
    enum dhcp_event event;
    const char *why;
    uint32_t dns;

    spin_lock(&n->lock);
    event = n->news ? n->event : DHCP_NOTHING;
    n->news = false;
    l = n->client.lease;
    why = n->client.why;
    dns = n->dns;
    spin_unlock(&n->lock);
    if (event == DHCP_GRANTED)
        tell_lease(n, &l, dns);
    else if (event == DHCP_LOST)
        log_limited(&n->log, LOG_ERROR,
                    "network %s: its address on the uplink is lost: the DHCP server refused it, or "
                    "did not renew it in time",
                    n->config.name);
    else if (event == DHCP_USELESS)
        log_limited(&n->log, LOG_ERROR,
                    "network %s: an offer of an address on the uplink (DHCP) is of no use: %s",
                    n->config.name, why);
    else if (event == DHCP_SILENCE)
        log_limited(&n->log, LOG_ERROR,
                    "network %s: no DHCP server answers on the uplink: no address yet, asking on",
                    n->config.name);
}

/* Only this sets the timer; what comes in between finds it within LOOK_EVERY, or answers by itself. */
static void look(struct timer *t)
{
    struct nat *n = CONTAINER_OF(t, struct nat, timer);
    enum nat_way way;
    struct nat_packet p;
    uint32_t wait;
    bool ending;

    spin_lock(&n->lock);
    ending = n->ending;
    way = step(n, &p);
    wait = n->client.due - nat_seconds();
    if (n->client.state != DHCP_BOUND)
        wait = LOOK_EVERY;
    spin_unlock(&n->lock);
    nat_send_on(n, &p, way);
    nat_outer_tell(n);
    wait = (uint32_t)min_u64(wait, LOOK_WHEN_BOUND);
    if (!ending)
        timer_set(t, arch_time() + max_u64(wait, LOOK_EVERY) * timer_hz);
}

void nat_outer_begin(struct nat *n)
{
    const struct switch_config *c = &n->config;
    const struct dhcp_lease given = {
        .address = c->address, .router = c->router, .dns = c->dns, .prefix = c->outer_prefix};
    uint32_t seed;

    timer_init(&n->timer, look);
    if (c->address) {
        spin_lock(&n->lock);
        set_outer(n, &given);
        spin_unlock(&n->lock);
        return;
    }
    entropy.fill(entropy.ctx, &seed, sizeof(seed));
    spin_lock(&n->lock);
    n->by_dhcp = true;
    dhcp_client_begin(&n->client, n->mac, c->name, seed, nat_seconds());
    n->client.avoid = n->inside;
    n->client.avoid_mask = n->inside_mask;
    spin_unlock(&n->lock);
    look(&n->timer);
}

void nat_outer_end(struct nat *n)
{
    spin_lock(&n->lock);
    n->ending = true;
    spin_unlock(&n->lock);
    timer_cancel_wait(&n->timer);
    timer_cancel_wait(
        &n->timer); /* one that ran meanwhile may have set it again, for the last time */
}
