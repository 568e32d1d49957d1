// SPDX-License-Identifier: BSD-2-Clause
#include "fake_cards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/mactable.h"
#include "net/packet.h"
#include "sched/thread.h"

uint64_t timer_hz = 1000;
struct card cards[CARDS];
struct switch_config cards_lan = {.name = "lan0", .mtu = 1500};
void (*cards_on_link)(void);
void (*cards_on_yield)(void);
unsigned cards_yields;
bool cards_in_batch;

void thread_yield(void)
{
    cards_yields++;
    if (cards_on_yield)
        cards_on_yield();
}

static enum net_fate receive(void *device, const struct net_frame *f)
{
    struct card *c = device;

    if (c->fate != NET_TAKEN)
        return c->fate;
    c->got++;
    c->last_len = f->len;
    assert_true(f->head_len <= f->len);
    memcpy(c->last, f->head, f->head_len);
    return NET_TAKEN;
}

static void received(void *device) { ((struct card *)device)->told++; }

static void link_changed(void *device)
{
    void (*fn)(void) = cards_on_link;

    ((struct card *)device)->links++;
    cards_on_link = NULL;
    if (fn)
        fn();
}

int cards_plug_into(const struct switch_config *sw, unsigned n, struct port_config config)
{
    const char *why = NULL;
    int error;

    memset(&cards[n], 0, sizeof(cards[n]));
    snprintf(config.name, sizeof(config.name), "vm%u.0", n);
    if (!mac_value(config.mac))
        memcpy(config.mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(n + 1)}, NET_MAC);
    error = switch_open(sw, &config, &cards[n].net, &why);
    assert_true(!error == (cards[n].net != NULL) && (!error || why));
    if (error)
        return error;
    cards[n].net->receive = receive;
    cards[n].net->received = received;
    cards[n].net->link_changed = link_changed;
    cards[n].net->device = &cards[n];
    return 0;
}

void cards_plug(unsigned n, struct port_config config)
{
    assert_int_equal(cards_plug_into(&cards_lan, n, config), 0);
}

void cards_plug_all(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        cards_plug(i, (struct port_config){.name = ""});
}

void cards_unplug(unsigned n)
{
    cards[n].net->close(cards[n].net->ctx);
    cards[n].net = NULL;
}

int cards_end(void **state)
{
    struct switch_info info;

    (void)state;
    for (unsigned i = 0; i < CARDS; i++)
        if (cards[i].net)
            cards_unplug(i);
    assert_false(switch_get(0, &info));
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}

void cards_flush(unsigned n) { cards[n].net->flush(cards[n].net->ctx); }

uint64_t cards_send_len(unsigned n, uint64_t from, uint64_t to, uint32_t len)
{
    static uint8_t bytes[70000];
    struct net_piece rest = {.hva = bytes + NET_HEAD};
    struct net_data data = {.piece = &rest, .pieces = 1};
    struct net_frame f = {
        .head = bytes, .head_len = (uint32_t)min_u64(len, NET_HEAD), .len = len, .data = &data};

    f.batch = cards_in_batch;
    rest.len = len - f.head_len;
    put16(bytes + 12, ETH_IPV6); /* what every kind of switch lets in */
    for (unsigned i = 0; i < 6; i++) {
        bytes[i] = (uint8_t)(to >> (40 - 8 * i));
        bytes[6 + i] = (uint8_t)(from >> (40 - 8 * i));
    }
    return cards[n].net->send(cards[n].net->ctx, &f);
}

uint64_t cards_send(unsigned n, uint64_t to) { return cards_send_len(n, MAC_OF(n), to, 60); }

struct port_info cards_info(unsigned n)
{
    struct port_info info;
    char name[16];

    snprintf(name, sizeof(name), "vm%u.0", n);
    for (unsigned i = 0; switch_get_port(0, i, &info); i++)
        if (!strcmp(info.config.name, name))
            return info;
    fail_msg("no port %s", name);
    return info;
}

uint64_t cards_got(void)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 64; i++) {
        if (cards[i].got)
            bits |= 1ull << i;
        cards[i].got = 0;
    }
    return bits;
}
