// SPDX-License-Identifier: BSD-2-Clause
// ICMP errors of a NAT: those that speak of packets which went through it, either way, so that path MTU discovery works and who speaks with
// a closed port learns it; and its own, within limits. (RFC 792, 5508; RFC 1812, 4.3.2)
//
// An error goes on only when it quotes a packet of a flow or a forward, and is changed inside the quote as that packet was. It makes
// no flow and keeps none alive.
#include "net/nat.h"

enum { ICMP_HEADER = 8, PORTS = 8 }; /* RFC 792: so much is quoted behind the IP header, at least */
enum { ICMP_ID = 4, PROTOCOL = 9, FRAGMENT_OFFSET = 0x1fff };

/* The packet that an error quotes, as whoever sent the error had it. */
struct quote {
    uint32_t from, to;
    uint16_t from_port, to_port;
    uint8_t protocol;
};

/* False: not so much is there that one could tell whose it was. */
static bool read_quote(const struct nat_packet *p, struct quote *q)
{
    uint32_t at = p->at.transport + (uint32_t)ICMP_HEADER, ports;
    uint32_t end = (uint32_t)min_u64(p->frame.head_len, p->at.end);
    const uint8_t *ip = p->head + at, *t;

    if (p->at.fragment || at + IP4_HEADER > end || ip[0] >> 4 != 4 || (ip[0] & 15) < 5)
        return false;
    ports = at + 4u * (ip[0] & 15);
    if (ports + PORTS > end || get16(ip + IP4_FRAGMENT) & FRAGMENT_OFFSET)
        return false;
    t = p->head + ports;
    *q = (struct quote){get32(ip + IP4_FROM), get32(ip + IP4_TO), get16(t), get16(t + 2),
                        ip[PROTOCOL]};
    if (q->protocol == IP_ICMP)
        q->from_port = q->to_port = get16(t + ICMP_ID);
    return true;
}

/* ---- in: of a packet that was sent from inside ---- */

/* Who sent the quoted packet, which had the outer address: by a flow, or a forward's server. False: nobody. */
static bool sender_of(const struct nat *n, const struct quote *q, unsigned *host, uint16_t *port)
{
    uint16_t remote_port = q->protocol == IP_ICMP ? 0 : q->to_port;
    const struct flow *f =
        flow_told_in(&n->flows, q->from_port, q->protocol, q->to, remote_port, nat_seconds());
    const struct nat_forward *w;

    if (f) {
        *host = f->key.host;
        *port = f->key.port;
        return !f->key.relay;
    }
    w = nat_forward_in(n, q->protocol, q->from_port, host);
    *port = w ? w->to_port : 0;
    return w;
}

enum nat_way nat_error_in(struct nat *n, struct nat_packet *p)
{
    struct quote q;
    unsigned host;
    uint16_t port;

    /* A packet to one of our own cards, by way of a forward, never was outside. */
    if (!read_quote(p, &q) || q.from != n->outer || q.to == n->outer || !nat_is_beyond(n, q.to) ||
        !sender_of(n, &q, &host, &port) || !n->host[host].used || !rewrite_ttl(p))
        return NAT_DROP;
    rewrite_error_in(p, nat_host_address(n, host), port);
    rewrite_ethernet(p, n->host[host].mac, n->net->mac);
    n->counts.in++;
    return NAT_IN;
}

/* ---- out: of a packet that a card was sent from outside ---- */

/* The outer port that the quoted packet came to; 0: none. */
static uint16_t came_to(const struct nat *n, const struct quote *q, unsigned host)
{
    const struct nat_forward *w = nat_forward_out(n, host, q->protocol, q->to_port);
    const struct flow_key k = {.remote = q->from,
                               .remote_port = q->protocol == IP_ICMP ? 0 : q->from_port,
                               .port = q->to_port,
                               .host = (uint8_t)host,
                               .protocol = q->protocol};
    const struct flow *f = w ? NULL : flow_told_out(&n->flows, &k, nat_seconds());

    if (w)
        return w->port;
    return f ? flow_outer_port(&n->flows, f) : 0;
}

enum nat_way nat_error_out(struct nat *n, struct nat_packet *p, unsigned host)
{
    uint32_t to = get32(p->head + p->at.ip + IP4_TO);
    struct quote q;
    uint16_t port;

    /* A card is nobody's router: it speaks of what was sent to it, to who sent that. */
    if (!n->outer || !read_quote(p, &q) || q.from != to || q.to != nat_host_address(n, host))
        return NAT_DROP;
    port = came_to(n, &q, host);
    if (!port || !rewrite_ttl(p))
        return NAT_DROP;
    rewrite_error_out(p, n->outer, port);
    n->counts.out++;
    return nat_to_neighbour(n, p, to);
}

/* ---- our own ---- */

enum nat_way nat_error_exceeded_in(struct nat *n, struct nat_packet *p, unsigned host)
{
    return bucket_take(&n->host[host].errors, 1, arch_time()) && service_exceeded(p, n->inside)
               ? NAT_IN
               : NAT_DROP;
}

enum nat_way nat_error_exceeded_out(struct nat *n, struct nat_packet *p)
{
    return bucket_take(&n->errors, 1, arch_time()) && service_exceeded(p, n->outer) ? NAT_OUT
                                                                                    : NAT_DROP;
}
