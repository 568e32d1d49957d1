// SPDX-License-Identifier: BSD-2-Clause
#include "fake_lan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "net/offload.h"

uint64_t timer_hz = 1000;
const uint8_t lan_gateway_mac[NET_MAC] = {2}, lan_router_mac[NET_MAC] = {0x52, 0x55, 10, 0, 2, 2};
struct net_backend lan_net;
struct lan_sent lan_sent[2];
uint8_t lan_frame[2048];
uint32_t lan_frame_len;
unsigned fake_highest_lock(void);

struct switch_config lan_config = {
    .name = "lan",
    .mode = SWITCH_NAT,
    .mtu = 1500,
    .prefix = 24,
    .outer_prefix = 24,
    .subnet = IP(10, 77, 0, 0),
    .address = OUTER,
    .router = ROUTER,
    .dns = DNS,
    .forwards = 2,
    .forward = {{IP_TCP, 2222, 22, "vm2.0"}, {IP_UDP, 5353, 53, "vm1.0"}},
};

static void keep(unsigned side, const struct net_frame *f)
{
    assert_int_equal(fake_highest_lock(), 0);
    assert_true(offload_fits(&f->offload, 0));
    assert_true(f->len <= sizeof(lan_sent[0].bytes) && f->len >= NET_ETHERNET);
    assert_int_equal(offload_read(f, 0, lan_sent[side].bytes, f->len), 0);
    lan_sent[side].len = f->len;
    lan_sent[side].count++;
}

static void keep_outside(const struct net_frame *f) { keep(OUTSIDE, f); }

static uint64_t net_send(void *ctx, struct net_frame *f)
{
    (void)ctx;
    keep(INSIDE, f);
    return f->len;
}

void lan_put_eth(const uint8_t *to, const uint8_t *from, uint16_t type)
{
    memcpy(lan_frame, to, 6);
    memcpy(lan_frame + 6, from, 6);
    put16(lan_frame + 12, type);
}

const uint8_t *lan_host_mac(unsigned n)
{
    static uint8_t mac[6] = {2, 0x54};

    mac[5] = (uint8_t)n;
    return mac;
}

struct net_frame lan_frame_of(unsigned port)
{
    static struct net_piece rest;
    static struct net_data data = {.piece = &rest, .pieces = 1, .read = net_read_host};
    uint32_t head = (uint32_t)min_u64(lan_frame_len, NET_HEAD);

    rest = (struct net_piece){.hva = lan_frame + head, .len = lan_frame_len - head};
    return (struct net_frame){.head = lan_frame,
                              .head_len = head,
                              .len = lan_frame_len,
                              .data = lan_frame_len > head ? &data : NULL,
                              .source = (uint16_t)port};
}

unsigned lan_give(unsigned port, unsigned side)
{
    struct net_frame f = lan_frame_of(port);
    unsigned before = lan_sent[side].count;

    if (port)
        lan_net.receive(lan_net.device, &f);
    else
        fake_uplink.fn(fake_uplink.ctx, &f);
    return lan_sent[side].count - before;
}

unsigned lan_from_host(unsigned n, struct pkt k, unsigned side)
{
    lan_put_eth(lan_gateway_mac, lan_host_mac(n), ETH_IPV4);
    if (!k.from)
        k.from = HOST(n);
    lan_frame_len = 14 + pkt_put(lan_frame + 14, &k);
    return lan_give(n, side);
}

unsigned lan_from_far(struct pkt k, unsigned side)
{
    lan_put_eth(fake_uplink_mac, lan_router_mac, ETH_IPV4);
    if (!k.from)
        k.from = FAR;
    if (!k.to)
        k.to = OUTER;
    lan_frame_len = 14 + pkt_put(lan_frame + 14, &k);
    return lan_give(0, side);
}

void lan_is(unsigned side, struct pkt k)
{
    const uint8_t *p = lan_sent[side].bytes + 14, *t = p + 20;
    uint32_t len = 20 + pkt_header(k.protocol) + k.payload;

    assert_int_equal(get16(lan_sent[side].bytes + 12), ETH_IPV4);
    assert_int_equal(lan_sent[side].len, 14 + len);
    assert_int_equal(get32(p + 12), k.from);
    assert_int_equal(get32(p + 16), k.to);
    assert_int_equal(p[8], k.ttl);
    assert_int_equal(pkt_sum(0, p, 20), 0xffff);
    if (k.protocol == IP_ICMP) {
        assert_int_equal(t[0], k.type);
        assert_int_equal(get16(t + 4), k.from_port);
        assert_int_equal(pkt_sum(0, t, len - 20), 0xffff);
    } else {
        assert_int_equal(get16(t), k.from_port);
        assert_int_equal(get16(t + 2), k.to_port);
        if (k.no_sum)
            assert_int_equal(get16(t + 6), 0);
        else
            assert_int_equal(pkt_sum(pkt_sum(k.protocol + (len - 20), p + 12, 8), t, len - 20),
                             0xffff);
    }
    for (uint32_t i = 0; i < k.payload; i++)
        assert_int_equal(t[pkt_header(k.protocol) + i], pkt_byte(i));
}

void lan_arp(uint16_t operation, const uint8_t *from_mac, uint32_t from, uint32_t to)
{
    lan_put_eth((const uint8_t *)"\xff\xff\xff\xff\xff\xff", from_mac, ETH_ARP);
    memcpy(lan_frame + 14, "\0\1\x08\0\6\4", 6);
    put16(lan_frame + 20, operation);
    memcpy(lan_frame + 22, from_mac, 6);
    put32(lan_frame + 28, from);
    memset(lan_frame + 32, 0, 6);
    put32(lan_frame + 38, to);
    lan_frame_len = 60;
}

int lan_setup(void **state)
{
    const char *why;
    struct port_config card = {.mac = {2, 0x54}};

    memset(lan_sent, 0, sizeof(lan_sent));
    fake_time = 1000000;
    fake_uplink.on_send = keep_outside;
    lan_net = (struct net_backend){.send = net_send};
    memcpy(lan_net.mac, lan_gateway_mac, 6);
    assert_int_equal(inside_nat.open(&lan_config, &lan_net, &why), 0);
    for (unsigned i = 1; i < 4; i++) {
        memcpy(card.mac, lan_host_mac(i), 6);
        snprintf(card.name, sizeof(card.name), "vm%u.0", i);
        inside_nat.joined(&lan_net, i, &card);
    }
    if (*state)
        return 0;
    /* The router is known. */
    assert_int_equal(lan_from_host(1, (struct pkt){.protocol = IP_UDP, .to = FAR}, OUTSIDE), 1);
    lan_arp(2, lan_router_mac, ROUTER, OUTER);
    lan_give(0, OUTSIDE);
    return 0;
}

int lan_teardown(void **state)
{
    (void)state;
    inside_nat.close(&lan_net);
    assert_null(fake_uplink.fn);
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}
