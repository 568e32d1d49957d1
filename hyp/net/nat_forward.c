// SPDX-License-Identifier: BSD-2-Clause
// A NAT's forwards: what comes to a port of the outer address goes to a port of a card, and what comes from there leaves
// from the outer port. Invariant: no two have the same outer port, or the same card's port, of one protocol.
#include <errno.h>
#include <string.h>

#include "net/nat.h"

/* A card's index by its name; SWITCH_PORTS: it is not there. */
static unsigned host_named(const struct nat *n, const char *name)
{
    unsigned host = 0;

    while (host < SWITCH_PORTS && (!n->host[host].used || strcmp(n->host[host].name, name)))
        host++;
    return host;
}

const struct nat_forward *nat_forward_out(const struct nat *n, unsigned host, uint8_t protocol,
                                          uint16_t port)
{
    for (unsigned i = 0; i < n->forwards; i++) {
        const struct nat_forward *w = &n->forward[i];

        if (w->protocol == protocol && w->to_port == port && !strcmp(w->to, n->host[host].name))
            return w;
    }
    return NULL;
}

static unsigned find_outer(const struct nat *n, uint8_t protocol, uint16_t port)
{
    unsigned i = 0;

    while (i < n->forwards && (n->forward[i].protocol != protocol || n->forward[i].port != port))
        i++;
    return i;
}

const struct nat_forward *nat_forward_in(const struct nat *n, uint8_t protocol, uint16_t port,
                                         unsigned *host)
{
    unsigned i = find_outer(n, protocol, port);

    if (i == n->forwards)
        return NULL;
    *host = host_named(n, n->forward[i].to);
    return *host < SWITCH_PORTS ? &n->forward[i] : NULL;
}

/* ---- changes ---- */

static int take_locked(struct nat *n, const struct nat_forward *w, const char **why)
{
    *why = "forward: as many ports are forwarded as can be";
    if (n->forwards == NAT_FORWARDS_MOST)
        return -ENOSPC;
    *why = "forward: the port is forwarded already";
    if (find_outer(n, w->protocol, w->port) < n->forwards)
        return -EEXIST;
    *why = "forward: another port is forwarded to this port of the card";
    for (unsigned i = 0; i < n->forwards; i++)
        if (n->forward[i].protocol == w->protocol && n->forward[i].to_port == w->to_port &&
            !strcmp(n->forward[i].to, w->to))
            return -EEXIST;
    n->forward[n->forwards++] = *w;
    return 0;
}

int nat_forward_take(struct nat *n, const struct nat_forward *w, const char **why)
{
    int error;

    spin_lock(&n->lock);
    error = take_locked(n, w, why);
    spin_unlock(&n->lock);
    return error;
}

/* Whether a card is "VM.N", or of the VM. */
static bool is_of(const char *card, const char *name)
{
    size_t len = strlen(name);

    return !strncmp(card, name, len) && (!card[len] || (card[len] == '.' && !card[len + 2]));
}

/* The card that is meant; SWITCH_PORTS: there is none. */
static unsigned find_host(const struct nat *n, const char *name, uint32_t address)
{
    unsigned host = 0;

    while (host < SWITCH_PORTS &&
           !(n->host[host].used &&
             (name[0] ? is_of(n->host[host].name, name) : nat_host_address(n, host) == address)))
        host++;
    return host;
}

int nat_forward_add(struct net_backend *net, const struct nat_forward *w, uint32_t address,
                    const char **why)
{
    struct nat *n = net->device;
    struct nat_forward mine = *w;
    int error = -ENOENT;
    unsigned host;

    *why = w->to[0] ? "no card of that VM is on this switch" : "no card has that address";
    spin_lock(&n->lock);
    host = find_host(n, w->to, address);
    if (host < SWITCH_PORTS) {
        memcpy(mine.to, n->host[host].name, sizeof(mine.to));
        error = take_locked(n, &mine, why);
    }
    spin_unlock(&n->lock);
    return error;
}

int nat_forward_remove(struct net_backend *net, uint8_t protocol, uint16_t port, const char **why)
{
    struct nat *n = net->device;
    unsigned i;
    bool found;

    spin_lock(&n->lock);
    i = find_outer(n, protocol, port);
    found = i < n->forwards;
    if (found)
        n->forward[i] = n->forward[--n->forwards];
    spin_unlock(&n->lock);
    *why = "this port is not forwarded";
    return found ? 0 : -ENOENT;
}

bool nat_get_forward(struct net_backend *net, unsigned i, struct nat_forward *out,
                     uint32_t *address)
{
    struct nat *n = net->device;
    bool found;
    unsigned host;

    spin_lock(&n->lock);
    found = i < n->forwards;
    if (found) {
        *out = n->forward[i];
        host = host_named(n, out->to);
        *address = host < SWITCH_PORTS ? nat_host_address(n, host) : 0;
    }
    spin_unlock(&n->lock);
    return found;
}
