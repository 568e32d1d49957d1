// SPDX-License-Identifier: BSD-2-Clause
// A NAT's neighbours on the uplink: who has which address there. (ARP: RFC 826)
#include <string.h>

#include "net/nat.h"

enum { ASK_AGAIN = 1, ASK_ANEW = 60, FORGET = 600 }; /* seconds */

static struct nat_neighbour *find_neighbour(struct nat *n, uint32_t address)
{
    for (unsigned i = 0; i < NAT_NEIGHBOURS; i++)
        if (n->neighbour[i].address == address)
            return &n->neighbour[i];
    return NULL;
}

/* A place for a new one: the router's is kept, the others go in turn. */
static struct nat_neighbour *add_neighbour(struct nat *n, uint32_t address)
{
    struct nat_neighbour *b;

    do {
        b = &n->neighbour[n->next_neighbour];
        n->next_neighbour = (n->next_neighbour + 1) % NAT_NEIGHBOURS;
    } while (b->address && b->address == n->router);
    *b = (struct nat_neighbour){.address = address, .asked = nat_seconds() - ASK_ANEW};
    return b;
}

enum nat_way nat_to_neighbour(struct nat *n, struct nat_packet *p, uint32_t address)
{
    uint32_t now = nat_seconds();
    struct nat_neighbour *b;

    if ((address ^ n->outer) & n->outer_mask)
        address = n->router;
    b = find_neighbour(n, address);
    if (!b)
        b = add_neighbour(n, address);
    if (b->known && now - b->seen > FORGET)
        b->known = false;
    if (b->known && now - b->asked < ASK_ANEW) {
        rewrite_ethernet(p, b->mac, n->mac);
        return NAT_OUT;
    }
    if (!b->known && now - b->asked < ASK_AGAIN)
        return NAT_DROP;
    /* The packet is lost for the question; who sent it will send it again. */
    b->asked = now;
    service_ask(p, n->outer, n->mac, address);
    return NAT_OUT;
}

void nat_learn_neighbour(struct nat *n, const struct nat_packet *p)
{
    struct nat_neighbour *b;

    if (p->frame.head_len < ARP_END || mac_is_group(p->head + ARP_SENDER_MAC))
        return;
    b = find_neighbour(n, get32(p->head + ARP_SENDER));
    if (!b || !b->address)
        return;
    memcpy(b->mac, p->head + ARP_SENDER_MAC, NET_MAC);
    b->known = true;
    b->seen = nat_seconds();
}
