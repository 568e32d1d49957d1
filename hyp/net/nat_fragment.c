// SPDX-License-Identifier: BSD-2-Clause
// Fragments through a NAT, without putting packets together: only a packet's first fragment has ports, and says where the
// others go, which have the same source, destination, protocol and identification. (RFC 791; RFC 4787, 11) One that
// comes before its first is lost. What is remembered is a few packets for each host inside and way, so that nobody, inside or outside,
// takes room from another one. Outside, hosts with the same identification would be mixed up: there it is one of the NAT's own.
#include <string.h>

#include "net/nat.h"

enum { REASSEMBLY = 30 }; /* seconds after the first fragment */

static void remember(struct nat_fragments *all, const struct nat_fragment *what)
{
    all->one[all->next] = *what;
    all->one[all->next].seen = nat_seconds();
    all->next = (uint8_t)((all->next + 1) % NAT_FRAGMENTED);
}

static const struct nat_fragment *find(const struct nat_fragments *all, const struct nat_packet *p,
                                       uint32_t remote)
{
    uint16_t id = get16(p->head + p->at.ip + IP4_ID);

    for (unsigned i = 0; i < NAT_FRAGMENTED; i++) {
        const struct nat_fragment *f = &all->one[i];

        if (f->protocol == p->at.protocol && f->remote == remote && f->id == id &&
            nat_seconds() - f->seen < REASSEMBLY)
            return f;
    }
    return NULL;
}

void nat_fragment_out(struct nat *n, struct nat_packet *p, unsigned host, uint32_t remote)
{
    struct nat_fragment what = {.remote = remote,
                                .id = get16(p->head + p->at.ip + IP4_ID),
                                .new_id = ++n->next_id,
                                .protocol = p->at.protocol};

    remember(&n->out[host], &what);
    rewrite_id(p, what.new_id);
}

void nat_fragment_in(struct nat *n, unsigned host, const struct nat_fragment *what)
{
    remember(&n->in[host], what);
}

enum nat_way nat_fragment_more_out(struct nat *n, struct nat_packet *p, unsigned host)
{
    uint32_t to = get32(p->head + p->at.ip + IP4_TO);
    const struct nat_fragment *f = find(&n->out[host], p, to);

    if (!f || !n->outer || !rewrite_ttl(p)) {
        n->counts.fragments++;
        return NAT_DROP;
    }
    rewrite_address(p, IP4_FROM, n->outer);
    rewrite_id(p, f->new_id);
    return nat_to_neighbour(n, p, to);
}

enum nat_way nat_fragment_more_in(struct nat *n, struct nat_packet *p)
{
    uint32_t from = get32(p->head + p->at.ip + IP4_FROM);

    for (unsigned host = 0; host < SWITCH_PORTS; host++) {
        const struct nat_fragment *f = n->host[host].used ? find(&n->in[host], p, from) : NULL;

        if (!f || !rewrite_ttl(p))
            continue;
        rewrite_address(p, IP4_FROM, f->shown);
        rewrite_address(p, IP4_TO, nat_host_address(n, host));
        rewrite_ethernet(p, n->host[host].mac, n->net->mac);
        return NAT_IN;
    }
    n->counts.fragments++;
    return NAT_DROP;
}
