// SPDX-License-Identifier: BSD-2-Clause
// Network address translation for IPv4: a private subnet behind one address of the uplink. (RFC 3022, 4787, 5382, 5508)
#include "net/nat.h"

#include <string.h>

#include "drv/uplink.h"

enum { DNS_PORT = 53 };

void nat_send_on(struct nat *n, struct nat_packet *p, enum nat_way way)
{
    struct net_piece piece = {.hva = p->whole + NET_HEAD};
    struct net_data data = {.piece = &piece, .pieces = 1, .read = net_read_host};
    struct net_frame frame = p->frame;

    if (frame.head == p->whole) {
        piece.len = frame.len - frame.head_len;
        frame.data = &data;
    }
    if (way == NAT_OUT)
        (void)uplink_send(n, &frame);
    else if (way == NAT_IN)
        (void)n->net->send(n->net->ctx, &frame);
}

/* Takes a frame up: its head copied and parsed. False: nothing for us. */
static bool take_up(struct nat_packet *p, const struct net_frame *f)
{
    memcpy(p->head, f->head, f->head_len);
    p->frame = *f;
    p->frame.head = p->head;
    return packet_parse(p->head, f->head_len, f->len, &p->at) &&
           (p->at.type == ETH_ARP || p->at.ip == NET_ETHERNET);
}

/* ---- from inside ---- */

static enum nat_way ip_to_outer(struct nat *n, struct nat_packet *p);

/* The outer port of a packet, 0: none. */
static uint16_t outer_port(struct nat *n, const struct nat_packet *p, struct flow_key *k)
{
    const struct nat_forward *w = nat_forward_out(n, k->host, k->protocol, k->port);
    const uint8_t *t = p->head + p->at.transport;
    bool tcp = k->protocol == IP_TCP;
    struct flow *f;

    if (w)
        return w->port;
    /* A TCP flow begins with SYN; an echo's with its request. */
    f = flow_out(&n->flows, k, tcp ? (t[TCP_FLAGS] & 0x12) == 2 : true, nat_seconds());
    if (!f) {
        n->counts.refused++;
        return 0;
    }
    if (tcp)
        flow_tcp(f, t[TCP_FLAGS], true);
    return flow_outer_port(&n->flows, f);
}

static bool has_time(const struct nat_packet *p) { return p->head[p->at.ip + IP4_TTL] > 1; }

static enum nat_way translate_out(struct nat *n, struct nat_packet *p, unsigned host, bool relay)
{
    uint32_t to = relay ? n->dns : get32(p->head + p->at.ip + IP4_TO);
    struct flow_key k = {
        .remote = to, .host = (uint8_t)host, .protocol = p->at.protocol, .relay = relay};
    uint16_t port;

    if (!nat_ports(p, &k.port, &k.remote_port))
        return NAT_DROP;
    if (k.protocol == IP_ICMP && icmp_is_error(p->head[p->at.transport]))
        return nat_error_out(n, p, host);
    if (k.protocol == IP_ICMP && p->head[p->at.transport] != ICMP_ECHO)
        return NAT_DROP;
    if (k.protocol == IP_ICMP)
        k.remote_port = 0;
    if (!has_time(p))
        return nat_error_exceeded_in(n, p, host);
    port = n->outer ? outer_port(n, p, &k) : 0;
    if (!port || !rewrite_ttl(p))
        return NAT_DROP;
    rewrite_from(p, n->outer, port);
    if (relay)
        rewrite_to(p, n->dns, DNS_PORT);
    if (p->at.fragment)
        nat_fragment_out(n, p, host, to);
    if (to == n->outer) /* by way of one of our own forwards (RFC 4787, 6) */
        return ip_to_outer(n, p);
    n->counts.out++;
    return nat_to_neighbour(n, p, to);
}

/* For the gateway itself. */
static enum nat_way to_gateway(struct nat *n, struct nat_packet *p, unsigned host)
{
    uint16_t from, to;

    if (service_echo(p))
        return NAT_IN;
    if (p->at.protocol == IP_ICMP || !nat_ports(p, &from, &to))
        return NAT_DROP;
    return to == DNS_PORT && n->dns ? translate_out(n, p, host, true) : NAT_DROP;
}

bool nat_is_beyond(const struct nat *n, uint32_t address)
{
    uint32_t first = address >> 24;

    return (address ^ n->inside) & n->inside_mask && first && first != 127 && first < 224;
}

static bool is_dhcp(const struct nat_packet *p)
{
    uint16_t from, to;

    return p->at.protocol == IP_UDP && nat_ports(p, &from, &to) && to == DHCP_SERVER_PORT;
}

static enum nat_way ip_from_inside(struct nat *n, struct nat_packet *p, unsigned host)
{
    const uint8_t *ip = p->head + p->at.ip;
    uint32_t to = get32(ip + IP4_TO);

    if (!p->at.fragment && is_dhcp(p))
        return service_dhcp(n, p, host) ? NAT_IN : NAT_DROP;
    if (get32(ip + IP4_FROM) != nat_host_address(n, host))
        return NAT_DROP;
    if (p->at.fragment && !p->at.transport)
        return nat_fragment_more_out(n, p, host);
    /* Only what goes outside, and no TCP, which does not do that. */
    if (p->at.fragment && (to == n->inside || to == n->outer || p->at.protocol == IP_TCP)) {
        n->counts.fragments++;
        return NAT_DROP;
    }
    if (to == n->inside)
        return to_gateway(n, p, host);
    if (!nat_is_beyond(n, to))
        return NAT_DROP;
    if (to == n->outer && p->at.protocol == IP_ICMP)
        return service_echo(p) ? NAT_IN : NAT_DROP;
    return translate_out(n, p, host, false);
}

enum net_fate nat_from_inside(void *device, const struct net_frame *f)
{
    struct nat *n = device;
    enum nat_way way = NAT_DROP;
    struct nat_packet p;

    if (f->source >= SWITCH_PORTS || !take_up(&p, f))
        return NET_FILTERED;
    spin_lock(&n->lock);
    if (n->host[f->source].used)
        memcpy(n->host[f->source].mac, p.head + NET_MAC, NET_MAC);
    if (p.at.type == ETH_ARP)
        way = service_arp(&p, n->inside, n->net->mac) ? NAT_IN : NAT_DROP;
    else if (p.at.type == ETH_IPV4)
        way = ip_from_inside(n, &p, f->source);
    spin_unlock(&n->lock);
    nat_send_on(n, &p, way);
    return NET_TAKEN;
}

/* ---- from the uplink ---- */

static enum nat_way to_host(struct nat *n, struct nat_packet *p, unsigned host, uint16_t port,
                            uint32_t remote)
{
    const uint8_t *ip = p->head + p->at.ip;
    struct nat_fragment what = {.remote = remote,
                                .shown = get32(ip + IP4_FROM),
                                .id = get16(ip + IP4_ID),
                                .protocol = p->at.protocol};

    if (!n->host[host].used || !rewrite_ttl(p))
        return NAT_DROP;
    if (p->at.fragment)
        nat_fragment_in(n, host, &what);
    rewrite_to(p, nat_host_address(n, host), port);
    rewrite_ethernet(p, n->host[host].mac, n->net->mac);
    n->counts.in++;
    return NAT_IN;
}

static enum nat_way to_flow(struct nat *n, struct nat_packet *p, struct flow *f)
{
    uint32_t remote = get32(p->head + p->at.ip + IP4_FROM);

    if (f->key.protocol == IP_TCP)
        flow_tcp(f, p->head[p->at.transport + TCP_FLAGS], false);
    if (f->key.relay)
        rewrite_from(p, n->inside, DNS_PORT);
    return to_host(n, p, f->key.host, f->key.port, remote);
}

static enum nat_way to_forward(struct nat *n, struct nat_packet *p, uint16_t port)
{
    unsigned host;
    const struct nat_forward *w = nat_forward_in(n, p->at.protocol, port, &host);

    if (w)
        return to_host(n, p, host, w->to_port, get32(p->head + p->at.ip + IP4_FROM));
    n->counts.unknown++;
    return NAT_DROP;
}

static enum nat_way icmp_from_uplink(struct nat *n, struct nat_packet *p, uint16_t id)
{
    uint32_t from = get32(p->head + p->at.ip + IP4_FROM);
    uint8_t type = p->head[p->at.transport];
    struct flow *f;

    if (p->at.fragment && type != ICMP_ECHO_REPLY)
        return NAT_DROP;
    if (icmp_is_error(type))
        return nat_error_in(n, p);
    if (type == ICMP_ECHO)
        return service_echo(p) ? NAT_OUT : NAT_DROP;
    f = type == ICMP_ECHO_REPLY ? flow_in(&n->flows, id, IP_ICMP, from, 0, nat_seconds()) : NULL;
    return f ? to_flow(n, p, f) : NAT_DROP;
}

/* For the outer address: from the uplink, or from inside with that as its source. */
static enum nat_way ip_to_outer(struct nat *n, struct nat_packet *p)
{
    uint16_t from, to;
    struct flow *f;

    if (!nat_ports(p, &from, &to))
        return NAT_DROP;
    f = flow_in(&n->flows, to, p->at.protocol, get32(p->head + p->at.ip + IP4_FROM), from,
                nat_seconds());
    return f ? to_flow(n, p, f) : to_forward(n, p, to);
}

static enum nat_way ip_from_uplink(struct nat *n, struct nat_packet *p)
{
    const uint8_t *ip = p->head + p->at.ip;
    uint32_t source = get32(ip + IP4_FROM);
    enum nat_way way;
    uint16_t from, to;

    if (n->by_dhcp && nat_outer_takes(n, p, &way))
        return way;
    if (!n->outer || get32(ip + IP4_TO) != n->outer)
        return NAT_DROP;
    /* Nobody there is a card inside, or we: a card would believe it, a hairpin's flow too. (RFC 1812, 5.3.8) */
    if (source == n->outer || !nat_is_beyond(n, source)) {
        n->counts.unknown++;
        return NAT_DROP;
    }
    if (p->at.fragment && !p->at.transport)
        return nat_fragment_more_in(n, p);
    if (p->at.fragment && p->at.protocol == IP_TCP) {
        n->counts.fragments++;
        return NAT_DROP;
    }
    if (p->at.protocol == IP_ICMP)
        return nat_ports(p, &from, &to) ? icmp_from_uplink(n, p, to) : NAT_DROP;
    return has_time(p) ? ip_to_outer(n, p) : nat_error_exceeded_out(n, p);
}

void nat_from_uplink(void *ctx, struct net_frame *f)
{
    struct nat *n = ctx;
    enum nat_way way = NAT_DROP;
    struct nat_packet p;

    if ((!mac_is_group(f->head) && memcmp(f->head, n->mac, NET_MAC)) || !take_up(&p, f))
        return;
    spin_lock(&n->lock);
    if (p.at.type == ETH_ARP) {
        nat_learn_neighbour(n, &p);
        way = n->outer && service_arp(&p, n->outer, n->mac) ? NAT_OUT : NAT_DROP;
    } else if (p.at.type == ETH_IPV4) {
        way = ip_from_uplink(n, &p);
    }
    spin_unlock(&n->lock);
    nat_send_on(n, &p, way);
    if (__atomic_load_n(&n->news, __ATOMIC_RELAXED))
        nat_outer_tell(n);
}
