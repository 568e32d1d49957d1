// SPDX-License-Identifier: BSD-2-Clause
// NAT: packets in both directions, each looked at whole, with its checksums summed anew; flows and their limits; what the
// gateway answers itself; forwards; errors that speak of flows; what does not go through. Then the table of flows by itself.
// units: hyp/net/nat*.c hyp/net/dhcp.c hyp/net/dhcp_client.c hyp/net/net_text.c tests/fake/fake_timer.c hyp/net/offload.c hyp/net/packet.c tests/fake/fake_base.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "drv/drv.h"
#include "drv/uplink.h"
#include "fake_timer.h"
#include "mem/heap.h"
#include "net/nat.h"
#include "net/offload.h"

uint64_t timer_hz = 1000;
static int heap_objects;
static bool heap_full;

void *heap_alloc(size_t size)
{
    heap_objects += !heap_full;
    return heap_full ? NULL : calloc(1, size);
}
void heap_free(void *p)
{
    heap_objects -= p != NULL;
    free(p);
}
static void fill(void *ctx, void *to, size_t len)
{
    (void)ctx;
    memset(to, 0x37, len);
}
struct entropy_backend entropy = {.fill = fill};

/* ---- what is around it ---- */

enum { OUTSIDE, INSIDE };
static struct {
    uint8_t bytes[2048];
    uint32_t len;
    unsigned count;
} sent[2]; /* the last frame to either side */
static void (*uplink_fn)(void *ctx, struct net_frame *f);
static void *uplink_ctx;
static uint16_t uplink_mtu = 1500;
static struct net_backend net;
unsigned fake_highest_lock(void);

static void keep(unsigned side, const struct net_frame *f)
{
    assert_int_equal(fake_highest_lock(), 0);
    assert_true(offload_fits(&f->offload, 0));
    assert_true(f->len <= sizeof(sent[0].bytes) && f->len >= NET_ETHERNET);
    assert_int_equal(offload_read(f, 0, sent[side].bytes, f->len), 0);
    sent[side].len = f->len;
    sent[side].count++;
}

bool uplink_get(uint8_t mac[NET_MAC], uint16_t *mtu)
{
    memcpy(mac, "\x52\x54\0\0\0\1", NET_MAC);
    *mtu = uplink_mtu;
    return true;
}
bool uplink_send(const struct net_frame *f)
{
    keep(OUTSIDE, f);
    return true;
}
int uplink_open(void (*fn)(void *ctx, struct net_frame *f), void *ctx)
{
    if (uplink_fn)
        return -ENOSPC;
    uplink_fn = fn;
    uplink_ctx = ctx;
    return 0;
}
void uplink_close(void *ctx)
{
    assert_ptr_equal(ctx, uplink_ctx);
    uplink_fn = NULL;
}

static uint64_t net_send(void *ctx, struct net_frame *f)
{
    (void)ctx;
    keep(INSIDE, f);
    return f->len;
}

/* ---- packets ---- */

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define GATEWAY IP(10, 77, 0, 1)
#define HOST(n) (IP(10, 77, 0, 1) + (n))
#define OUTER IP(10, 0, 2, 15)
#define ROUTER IP(10, 0, 2, 2)
#define DNS IP(10, 0, 2, 3)
#define FAR IP(192, 0, 2, 7)
static const uint8_t gateway_mac[6] = {2, 0, 0, 0, 0, 0}, outer_mac[6] = {0x52, 0x54, 0, 0, 0, 1};
static const uint8_t router_mac[6] = {0x52, 0x55, 10, 0, 2, 2};

static struct switch_config config = {
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

struct pkt {
    uint32_t from, to;
    uint16_t from_port, to_port;
    uint8_t protocol, flags, type, ttl;
    uint16_t fragment;
    uint32_t payload;
    bool no_sum;
};
static uint8_t buf[2048];
static uint32_t buf_len;

static uint32_t words(uint32_t sum, const uint8_t *p, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static uint32_t transport_len(uint8_t protocol) { return protocol == IP_TCP ? 20 : 8; }

/* An IP packet at p; its length. */
static uint32_t put_ip(uint8_t *p, const struct pkt *k)
{
    uint32_t header = transport_len(k->protocol), len = 20 + header + k->payload, sum;
    uint8_t *t = p + 20;
    unsigned at = k->protocol == IP_TCP ? 16 : k->protocol == IP_UDP ? 6 : 2;

    memset(p, 0, len);
    p[0] = 0x45;
    put16(p + 2, (uint16_t)len);
    put16(p + 4, 0x1234);
    put16(p + 6, k->fragment);
    p[8] = k->ttl ? k->ttl : 64;
    p[9] = k->protocol;
    put32(p + 12, k->from);
    put32(p + 16, k->to);
    put16(p + 10, (uint16_t)~words(0, p, 20));
    for (uint32_t i = 0; i < k->payload; i++)
        t[header + i] = (uint8_t)(i * 29 + 5);
    if (k->protocol == IP_ICMP) {
        t[0] = k->type;
        put16(t + 4, k->from_port);
        put16(t + 6, 1);
        put16(t + 2, (uint16_t)~words(0, t, len - 20));
        return len;
    }
    put16(t, k->from_port);
    put16(t + 2, k->to_port);
    if (k->protocol == IP_TCP) {
        t[12] = 0x50;
        t[13] = k->flags;
    } else {
        put16(t + 4, (uint16_t)(len - 20));
    }
    sum = words(k->protocol + (len - 20), p + 12, 8);
    if (!k->no_sum)
        put16(t + at, (uint16_t)~words(sum, t, len - 20));
    return len;
}

static void put_eth(const uint8_t *to, const uint8_t *from, uint16_t type)
{
    memcpy(buf, to, 6);
    memcpy(buf + 6, from, 6);
    put16(buf + 12, type);
}

static const uint8_t *host_mac(unsigned n)
{
    static uint8_t mac[6] = {2, 0x54};

    mac[5] = (uint8_t)n;
    return mac;
}

static struct net_frame frame_of(unsigned port)
{
    static struct net_piece rest;
    static struct net_data data = {.piece = &rest, .pieces = 1, .read = net_read_host};
    uint32_t head = (uint32_t)min_u64(buf_len, NET_HEAD);

    rest = (struct net_piece){.hva = buf + head, .len = buf_len - head};
    return (struct net_frame){.head = buf,
                              .head_len = head,
                              .len = buf_len,
                              .data = buf_len > head ? &data : NULL,
                              .source = (uint16_t)port};
}

/* Whether it goes to a side: 1 or 0 frames. */
static unsigned give(unsigned port, unsigned side)
{
    struct net_frame f = frame_of(port);
    unsigned before = sent[side].count;

    if (port)
        net.receive(net.device, &f);
    else
        uplink_fn(uplink_ctx, &f);
    return sent[side].count - before;
}

static unsigned from_host(unsigned n, struct pkt k, unsigned side)
{
    put_eth(gateway_mac, host_mac(n), ETH_IPV4);
    if (!k.from)
        k.from = HOST(n);
    buf_len = 14 + put_ip(buf + 14, &k);
    return give(n, side);
}

static unsigned from_far(struct pkt k, unsigned side)
{
    put_eth(outer_mac, router_mac, ETH_IPV4);
    if (!k.from)
        k.from = FAR;
    if (!k.to)
        k.to = OUTER;
    buf_len = 14 + put_ip(buf + 14, &k);
    return give(0, side);
}

/* The last frame to a side is such a packet, and whole. */
static void is(unsigned side, struct pkt k)
{
    const uint8_t *p = sent[side].bytes + 14, *t = p + 20;
    uint32_t len = 20 + transport_len(k.protocol) + k.payload;

    assert_int_equal(get16(sent[side].bytes + 12), ETH_IPV4);
    assert_int_equal(sent[side].len, 14 + len);
    assert_int_equal(get32(p + 12), k.from);
    assert_int_equal(get32(p + 16), k.to);
    assert_int_equal(p[8], k.ttl);
    assert_int_equal(words(0, p, 20), 0xffff);
    if (k.protocol == IP_ICMP) {
        assert_int_equal(t[0], k.type);
        assert_int_equal(get16(t + 4), k.from_port);
        assert_int_equal(words(0, t, len - 20), 0xffff);
    } else {
        assert_int_equal(get16(t), k.from_port);
        assert_int_equal(get16(t + 2), k.to_port);
        if (k.no_sum)
            assert_int_equal(get16(t + 6), 0);
        else
            assert_int_equal(words(words(k.protocol + (len - 20), p + 12, 8), t, len - 20), 0xffff);
    }
    for (uint32_t i = 0; i < k.payload; i++)
        assert_int_equal(t[transport_len(k.protocol) + i], (uint8_t)(i * 29 + 5));
}

static void arp(uint16_t operation, const uint8_t *from_mac, uint32_t from, uint32_t to)
{
    put_eth((const uint8_t *)"\xff\xff\xff\xff\xff\xff", from_mac, ETH_ARP);
    memcpy(buf + 14, "\0\1\x08\0\6\4", 6);
    put16(buf + 20, operation);
    memcpy(buf + 22, from_mac, 6);
    put32(buf + 28, from);
    memset(buf + 32, 0, 6);
    put32(buf + 38, to);
    buf_len = 60;
}

static int setup(void **state)
{
    const char *why;
    struct port_config card = {.mac = {2, 0x54}};

    (void)state;
    memset(sent, 0, sizeof(sent));
    fake_time = 1000000;
    net = (struct net_backend){.send = net_send};
    memcpy(net.mac, gateway_mac, 6);
    assert_int_equal(inside_nat.open(&config, &net, &why), 0);
    for (unsigned i = 1; i < 4; i++) {
        memcpy(card.mac, host_mac(i), 6);
        snprintf(card.name, sizeof(card.name), "vm%u.0", i);
        inside_nat.joined(&net, i, &card);
    }
    if (*state)
        return 0;
    /* The router is known. */
    assert_int_equal(from_host(1, (struct pkt){.protocol = IP_UDP, .to = FAR}, OUTSIDE), 1);
    arp(2, router_mac, ROUTER, OUTER);
    give(0, OUTSIDE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    inside_nat.close(&net);
    assert_null(uplink_fn);
    assert_int_equal(heap_objects, 0);
    return 0;
}

/* ---- tests ---- */

#define SYN 2
#define ACK 0x10
#define RST 4

static void there_and_back(void **state)
{
    static const uint8_t protocols[] = {IP_TCP, IP_UDP, IP_ICMP};

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        for (uint32_t payload = 0; payload < 1400; payload += 139) {
            struct pkt out = {.to = FAR,
                              .from_port = 40000,
                              .to_port = 443,
                              .flags = SYN,
                              .type = 8,
                              .protocol = protocols[i],
                              .payload = payload};
            struct pkt back = {
                .from_port = 443, .protocol = protocols[i], .flags = SYN | ACK, .payload = payload};
            uint16_t port;

            assert_int_equal(from_host(1 + payload % 3, out, OUTSIDE), 1);
            assert_memory_equal(sent[OUTSIDE].bytes, router_mac, 6);
            assert_memory_equal(sent[OUTSIDE].bytes + 6, outer_mac, 6);
            port = get16(sent[OUTSIDE].bytes + 34 + (i == 2 ? 4 : 0));
            assert_in_range(port, FLOW_PORT, FLOW_PORT + FLOWS - 1);
            out.from = OUTER;
            out.from_port = port;
            out.ttl = 63;
            is(OUTSIDE, out);
            back.to_port = port;
            if (i == 2)
                back.from_port = port;
            assert_int_equal(from_far(back, INSIDE), 1);
            assert_memory_equal(sent[INSIDE].bytes, host_mac(1 + payload % 3), 6);
            back.from = FAR;
            back.to = HOST(1 + payload % 3);
            back.to_port = 40000;
            if (i == 2)
                back.from_port = 40000;
            back.ttl = 63;
            is(INSIDE, back);
            /* Another's answer, or another protocol's, is nobody's. */
            back.from = FAR + 1;
            back.to = 0;
            back.to_port = port;
            assert_int_equal(from_far(back, INSIDE), 0);
        }
}

static void udp_without_a_checksum(void **state)
{
    struct pkt k = {
        .to = FAR, .from_port = 7, .to_port = 7, .protocol = IP_UDP, .payload = 10, .no_sum = true};

    (void)state;
    assert_int_equal(from_host(1, k, OUTSIDE), 1);
    k.from = OUTER;
    k.from_port = get16(sent[OUTSIDE].bytes + 34);
    k.ttl = 63;
    is(OUTSIDE, k);
}

static void what_does_not_go_out(void **state)
{
    static const struct pkt no[] = {
        {.protocol = IP_TCP, .to = FAR, .flags = ACK}, /* of no flow */
        {.protocol = IP_TCP, .to = FAR, .flags = SYN | ACK},
        {.protocol = IP_UDP, .to = FAR, .fragment = 100},
        {.protocol = IP_UDP, .to = HOST(2)},
        {.protocol = IP_UDP, .to = IP(10, 77, 0, 255)},
        {.protocol = IP_UDP, .to = IP(224, 0, 0, 1)},
        {.protocol = IP_UDP, .to = 0xffffffff},
        {.protocol = IP_UDP, .to = IP(127, 0, 0, 1)},
        {.protocol = IP_UDP, .to = 0},
        {.protocol = IP_UDP, .to = OUTER},
        {.protocol = IP_UDP, .to = FAR, .from = HOST(2)}, /* another's address */
        {.protocol = IP_UDP, .to = GATEWAY, .to_port = 54},
        {.protocol = IP_ICMP, .to = FAR, .type = 0},
        {.protocol = IP_ICMP, .to = FAR, .type = 3},
        {.protocol = 47, .to = FAR},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(no); i++) {
        unsigned before = sent[INSIDE].count;

        if (from_host(1, no[i], OUTSIDE) || sent[INSIDE].count != before)
            fail_msg("packet %u goes out", i);
    }
    put_eth(gateway_mac, host_mac(1), ETH_VLAN);
    put16(buf + 16, ETH_IPV4);
    buf_len = 18 + put_ip(buf + 18, &(struct pkt){.from = HOST(1), .to = FAR, .protocol = IP_UDP});
    assert_int_equal(give(1, OUTSIDE), 0);
}

static void gateway_answers(void **state)
{
    struct pkt ping = {
        .to = GATEWAY, .protocol = IP_ICMP, .type = 8, .from_port = 99, .payload = 1000};

    (void)state;
    assert_int_equal(from_host(2, ping, INSIDE), 1);
    assert_memory_equal(sent[INSIDE].bytes, host_mac(2), 6);
    is(INSIDE, (struct pkt){.from = GATEWAY,
                            .to = HOST(2),
                            .protocol = IP_ICMP,
                            .from_port = 99,
                            .payload = 1000,
                            .ttl = 64});
    ping.to = 0;
    assert_int_equal(from_far(ping, OUTSIDE), 1); /* and from outside */
    is(OUTSIDE, (struct pkt){.from = OUTER,
                             .to = FAR,
                             .protocol = IP_ICMP,
                             .from_port = 99,
                             .payload = 1000,
                             .ttl = 64});
    memset(buf, 0xff, NET_MAC); /* no frame may be from a group */
    assert_int_equal(give(0, OUTSIDE), 0);
    arp(1, host_mac(1), HOST(1), GATEWAY);
    assert_int_equal(give(1, INSIDE), 1);
    assert_int_equal(sent[INSIDE].len, 42);
    assert_memory_equal(sent[INSIDE].bytes, host_mac(1), 6);
    assert_memory_equal(sent[INSIDE].bytes + 20, "\0\2\2\0\0\0\0\0", 8);
    assert_int_equal(get32(sent[INSIDE].bytes + 28), GATEWAY);
    assert_int_equal(get32(sent[INSIDE].bytes + 38), HOST(1));
    arp(1, host_mac(1), HOST(1), HOST(2)); /* who is asked answers himself */
    assert_int_equal(give(1, INSIDE), 0);
    arp(1, router_mac, ROUTER, OUTER);
    assert_int_equal(give(0, OUTSIDE), 1);
    arp(1, router_mac, ROUTER, OUTER + 1);
    assert_int_equal(give(0, OUTSIDE), 0);
    arp(1, router_mac, ROUTER, OUTER);
    buf_len = 41;
    assert_int_equal(give(0, OUTSIDE), 0);
}

static void dns_is_relayed(void **state)
{
    struct pkt q = {
        .to = GATEWAY, .protocol = IP_UDP, .from_port = 3000, .to_port = 53, .payload = 30};
    struct pkt a = {.from = DNS, .protocol = IP_UDP, .from_port = 53, .payload = 200};

    (void)state;
    assert_int_equal(from_host(1, q, OUTSIDE), 1); /* asks for its address first */
    assert_int_equal(get32(sent[OUTSIDE].bytes + 38), DNS);
    arp(2, router_mac, DNS, OUTER);
    give(0, OUTSIDE);
    assert_int_equal(from_host(1, q, OUTSIDE), 1);
    a.to_port = get16(sent[OUTSIDE].bytes + 34);
    q.from = OUTER;
    q.to = DNS;
    q.from_port = a.to_port;
    q.ttl = 63;
    is(OUTSIDE, q);
    assert_int_equal(from_far(a, INSIDE), 1);
    a.from = GATEWAY;
    a.to = HOST(1);
    a.to_port = 3000;
    a.ttl = 63;
    is(INSIDE, a);
}

static void neighbours(void **state)
{
    struct pkt k = {.to = IP(10, 0, 2, 9), .protocol = IP_UDP, .from_port = 1, .to_port = 2};
    static const uint8_t mac[6] = {0x52, 9};

    (void)state;
    assert_int_equal(from_host(1, k, OUTSIDE), 1);
    assert_int_equal(get16(sent[OUTSIDE].bytes + 12), ETH_ARP);
    assert_int_equal(from_host(1, k, OUTSIDE), 0); /* once a second */
    fake_time += 1000;
    assert_int_equal(from_host(1, k, OUTSIDE), 1);
    arp(2, mac, IP(10, 0, 2, 9), OUTER);
    give(0, OUTSIDE);
    assert_int_equal(from_host(1, k, OUTSIDE), 1);
    assert_memory_equal(sent[OUTSIDE].bytes, mac, 6);
    arp(2, mac, IP(10, 0, 2, 44), OUTER); /* nobody asked: the router stays where it is */
    give(0, OUTSIDE);
    for (unsigned i = 0; i < 100; i++) { /* many: they push each other out, but not the router */
        k.to = IP(10, 0, 2, 50) + i;
        from_host(1, k, OUTSIDE);
    }
    k.to = FAR;
    assert_int_equal(from_host(1, k, OUTSIDE), 1);
    assert_memory_equal(sent[OUTSIDE].bytes, router_mac, 6);
    fake_time += 60000; /* asked anew */
    assert_int_equal(from_host(1, k, OUTSIDE), 1);
    assert_int_equal(get16(sent[OUTSIDE].bytes + 12), ETH_ARP);
    assert_int_equal(from_host(1, k, OUTSIDE), 1);
    assert_int_equal(get16(sent[OUTSIDE].bytes + 12), ETH_IPV4);
}

static void forwards(void **state)
{
    struct pkt in = {
        .protocol = IP_TCP, .from_port = 5000, .to_port = 2222, .flags = SYN, .payload = 3};
    struct pkt out = {
        .to = FAR, .protocol = IP_TCP, .from_port = 22, .to_port = 5000, .flags = SYN | ACK};

    (void)state;
    assert_int_equal(from_far(in, INSIDE), 1);
    in.from = FAR;
    in.to = HOST(2);
    in.to_port = 22;
    in.ttl = 63;
    is(INSIDE, in);
    assert_int_equal(from_host(2, out, OUTSIDE), 1);
    out.from = OUTER;
    out.from_port = 2222;
    out.ttl = 63;
    is(OUTSIDE, out);
    assert_int_equal(from_far((struct pkt){.protocol = IP_UDP, .to_port = 2222}, INSIDE), 0);
    assert_int_equal(from_far((struct pkt){.protocol = IP_UDP, .to_port = 5353}, INSIDE), 1);
    assert_int_equal(from_far((struct pkt){.protocol = IP_TCP, .to_port = 80}, INSIDE), 0);
    assert_int_equal(
        from_far((struct pkt){.protocol = IP_UDP, .to_port = 5353, .to = OUTER + 1}, INSIDE), 0);
    inside_nat.left(&net, 1);
    assert_int_equal(from_far((struct pkt){.protocol = IP_UDP, .to_port = 5353}, INSIDE), 0);
}

/* "No route to host", of a packet of ours, as it was outside. */
static void errors_find_their_flow(void **state)
{
    static const uint8_t protocols[] = {IP_TCP, IP_UDP, IP_ICMP};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct pkt out = {.to = FAR,
                          .from_port = 777,
                          .to_port = 5,
                          .protocol = protocols[i],
                          .flags = SYN,
                          .type = 8,
                          .payload = 20};
        struct pkt error = {.from = ROUTER, .to = OUTER, .protocol = IP_ICMP, .type = 3};
        uint8_t *icmp = buf + 34, *q = sent[INSIDE].bytes + 42;
        unsigned id = i == 2 ? 4 : 0;

        assert_int_equal(from_host(3, out, OUTSIDE), 1);
        error.payload = sent[OUTSIDE].len - 14;
        put_eth(outer_mac, router_mac, ETH_IPV4);
        buf_len = 14 + put_ip(buf + 14, &error);
        memcpy(icmp + 8, sent[OUTSIDE].bytes + 14, error.payload);
        put16(icmp + 2, 0);
        put16(icmp + 2, (uint16_t)~words(0, icmp, 8 + error.payload));
        assert_int_equal(give(0, INSIDE), 1);
        assert_int_equal(get32(sent[INSIDE].bytes + 30), HOST(3));
        assert_int_equal(words(0, sent[INSIDE].bytes + 14, 20), 0xffff);
        assert_int_equal(words(0, sent[INSIDE].bytes + 34, 8 + error.payload), 0xffff);
        assert_int_equal(get32(q + 12), HOST(3));
        assert_int_equal(get16(q + 20 + id), 777);
        assert_int_equal(words(0, q, 20), 0xffff);
        put16(icmp + 8 + 20 + id, 19999); /* of no flow */
        assert_int_equal(give(0, INSIDE), 0);
        for (uint32_t len = 34; len < 70; len++) { /* cut short */
            buf_len = len;
            put16(buf + 16, (uint16_t)(len - 14));
            give(0, INSIDE);
        }
    }
}

/* ---- packets that turn round here ---- */

/* A card reaches a forward of its own NAT as those outside do, and the answer comes back. */
static void hairpin(void **state)
{
    struct pkt in = {.to = OUTER,
                     .protocol = IP_TCP,
                     .from_port = 4000,
                     .to_port = 2222,
                     .flags = SYN,
                     .payload = 5};
    struct pkt back = {
        .to = OUTER, .protocol = IP_TCP, .from_port = 22, .flags = SYN | ACK, .payload = 9};
    uint16_t port;

    (void)state;
    assert_int_equal(from_host(1, in, INSIDE), 1);
    assert_memory_equal(sent[INSIDE].bytes, host_mac(2), 6);
    port = get16(sent[INSIDE].bytes + 34);
    assert_in_range(port, FLOW_PORT, FLOW_PORT + FLOWS - 1);
    in.from = OUTER;
    in.from_port = port;
    in.to = HOST(2);
    in.to_port = 22;
    in.ttl = 62;
    is(INSIDE, in);
    back.to_port = port;
    assert_int_equal(from_host(2, back, INSIDE), 1);
    assert_memory_equal(sent[INSIDE].bytes, host_mac(1), 6);
    back.from = OUTER;
    back.from_port = 2222;
    back.to = HOST(1);
    back.to_port = 4000;
    back.ttl = 62;
    is(INSIDE, back);
    /* To itself, which is a card like another. */
    in = (struct pkt){
        .to = OUTER, .protocol = IP_UDP, .from_port = 4000, .to_port = 5353, .payload = 5};
    assert_int_equal(from_host(1, in, INSIDE), 1);
    assert_memory_equal(sent[INSIDE].bytes, host_mac(1), 6);
    in.to_port = 80; /* not forwarded */
    assert_int_equal(from_host(1, in, INSIDE), 0);
    assert_int_equal(from_host(1, in, OUTSIDE), 0);
    in = (struct pkt){.to = OUTER, .protocol = IP_ICMP, .type = 8, .from_port = 3};
    assert_int_equal(from_host(1, in, INSIDE), 1);
    assert_int_equal(sent[INSIDE].bytes[34], 0);
}

/* Who is outside cannot pass as a card, as the NAT itself, or as nobody. */
static void sources_from_outside(void **state)
{
    static const uint32_t wrong[] = {HOST(1),          HOST(2),          GATEWAY, OUTER,
                                     IP(127, 0, 0, 1), IP(224, 0, 0, 1), 1,       0xffffffff};
    struct pkt in = {.to = OUTER, .protocol = IP_UDP, .from_port = 4000, .to_port = 5353};
    struct switch_info info = {.flows = 0};
    unsigned port;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        in.from = wrong[i];
        assert_int_equal(from_far(in, INSIDE), 0);
        assert_int_equal(
            from_far((struct pkt){.from = wrong[i], .protocol = IP_ICMP, .type = 8}, OUTSIDE), 0);
    }
    /* Nor into a flow that ends at the outer address. */
    in.from = 0;
    assert_int_equal(from_host(2, in, INSIDE), 1);
    port = get16(sent[INSIDE].bytes + 34);
    in = (struct pkt){.from = OUTER, .protocol = IP_UDP, .from_port = 5353};
    in.to_port = (uint16_t)port;
    assert_int_equal(from_far(in, INSIDE), 0);
    inside_nat.describe(&net, &info);
    assert_non_null(strstr(info.inside, "17 for no port"));
    in = (struct pkt){.protocol = IP_UDP, .from_port = 4000, .to_port = 5353};
    assert_int_equal(from_far(in, INSIDE), 1);
}

/* The last frame to a side is "time exceeded", from and to these, about what is at buf. */
static void is_exceeded(unsigned side, uint32_t from, uint32_t to, uint32_t quoted)
{
    const uint8_t *p = sent[side].bytes + 14;

    assert_int_equal(get32(p + 12), from);
    assert_int_equal(get32(p + 16), to);
    assert_int_equal(p[9], IP_ICMP);
    assert_int_equal(get16(p + 20), 0x0b00);
    assert_int_equal(get16(p + 2), 28 + quoted);
    assert_int_equal(sent[side].len, 14 + 28 + quoted);
    assert_true(get16(p + 2) <= 576);
    assert_int_equal(words(0, p, 20), 0xffff);
    assert_int_equal(words(0, p + 20, 8 + quoted), 0xffff);
    assert_memory_equal(p + 28, buf + 14, quoted);
}

static void time_ends_here(void **state)
{
    struct pkt k = {.to = FAR, .protocol = IP_UDP, .from_port = 7, .ttl = 1, .payload = 30};
    unsigned sent_errors = 0;

    (void)state;
    assert_int_equal(from_host(1, k, INSIDE), 1);
    assert_memory_equal(sent[INSIDE].bytes, host_mac(1), 6);
    is_exceeded(INSIDE, GATEWAY, HOST(1), 58);
    k.payload = 1400;
    assert_int_equal(from_host(1, k, INSIDE), 1);
    is_exceeded(INSIDE, GATEWAY, HOST(1), 548);
    k = (struct pkt){.to = FAR, .protocol = IP_ICMP, .type = 8, .ttl = 1};
    assert_int_equal(from_host(1, k, INSIDE), 1);
    k.type = 3; /* an error about an error */
    assert_int_equal(from_host(1, k, INSIDE), 0);
    k = (struct pkt){.protocol = IP_TCP, .to_port = 2222, .flags = SYN, .ttl = 1};
    assert_int_equal(from_far(k, OUTSIDE), 1);
    is_exceeded(OUTSIDE, OUTER, FAR, 40);
    assert_memory_equal(sent[OUTSIDE].bytes, router_mac, 6);
    /* Not as many as anybody likes. */
    k = (struct pkt){.to = FAR, .protocol = IP_UDP, .ttl = 1};
    for (unsigned i = 0; i < 1000; i++)
        sent_errors += from_host(1, k, INSIDE);
    assert_in_range(sent_errors, 10, 20);
    fake_time += 1000;
    assert_int_equal(from_host(1, k, INSIDE), 1);
}

/* ---- fragments ---- */

static uint8_t whole[4096]; /* what came through */

/* A packet in pieces of at most piece bytes, one after the other; how many came through. */
static unsigned in_pieces(unsigned from, struct pkt k, uint16_t id, uint32_t piece, unsigned side)
{
    static uint8_t packet[4096];
    uint32_t len = put_ip(packet, &k), came = 0;

    for (uint32_t at = 0; at < len - 20; at += piece) {
        uint32_t n = (uint32_t)min_u64(piece, len - 20 - at);

        put_eth(from ? gateway_mac : outer_mac, from ? host_mac(from) : router_mac, ETH_IPV4);
        memcpy(buf + 14, packet, 20);
        memcpy(buf + 34, packet + 20 + at, n);
        put16(buf + 16, (uint16_t)(20 + n));
        put16(buf + 18, id);
        put16(buf + 20, (uint16_t)(at / 8 | (at + n < len - 20 ? 0x2000 : 0)));
        put16(buf + 24, 0);
        put16(buf + 24, (uint16_t)~words(0, buf + 14, 20));
        buf_len = 34 + n;
        if (!give(from, side))
            continue;
        came++;
        assert_int_equal(words(0, sent[side].bytes + 14, 20), 0xffff);
        memcpy(whole + 20 + at, sent[side].bytes + 34, n);
        memcpy(whole, sent[side].bytes + 14, 20);
    }
    return came;
}

/* What came through, put together, is such a packet with its checksum right. */
static void is_whole(struct pkt k)
{
    uint32_t len = 8 + k.payload;
    const uint8_t *p = whole;

    assert_int_equal(get32(p + 12), k.from);
    assert_int_equal(get32(p + 16), k.to);
    if (k.protocol == IP_UDP)
        assert_int_equal(words(words(IP_UDP + len, p + 12, 8), p + 20, len), 0xffff);
    else
        assert_int_equal(words(0, p + 20, len), 0xffff);
}

static void fragments(void **state)
{
    struct pkt out = {.from = HOST(1),
                      .to = FAR,
                      .from_port = 3000,
                      .to_port = 53,
                      .protocol = IP_UDP,
                      .payload = 1700};
    struct pkt back = {
        .from = FAR, .to = OUTER, .from_port = 53, .protocol = IP_UDP, .payload = 1650};
    struct nat *n = net.device;
    uint16_t ids[2];

    (void)state;
    assert_int_equal(in_pieces(1, out, 77, 800, OUTSIDE), 3);
    ids[0] = get16(whole + 4);
    back.to_port = get16(whole + 20);
    out.from = OUTER;
    is_whole(out);
    /* Another host with the same identification is another's packet outside. */
    out.from = HOST(2);
    assert_int_equal(in_pieces(2, out, 77, 800, OUTSIDE), 3);
    ids[1] = get16(whole + 4);
    assert_int_not_equal(ids[0], ids[1]);
    assert_int_not_equal(get16(whole + 20), back.to_port);
    assert_int_equal(in_pieces(0, back, 9, 800, INSIDE), 3);
    back.to = HOST(1);
    is_whole(back);
    assert_int_equal(get16(whole + 4), 9);
    /* An echo. */
    out = (struct pkt){.from = HOST(3),
                       .to = FAR,
                       .type = 8,
                       .from_port = 5,
                       .protocol = IP_ICMP,
                       .payload = 1700};
    assert_int_equal(in_pieces(3, out, 78, 1480, OUTSIDE), 2);
    out.from = OUTER;
    is_whole(out);
    back = (struct pkt){.from = FAR,
                        .to = OUTER,
                        .from_port = get16(whole + 24),
                        .protocol = IP_ICMP,
                        .payload = 1700};
    assert_int_equal(in_pieces(0, back, 10, 1480, INSIDE), 2);
    back.to = HOST(3);
    is_whole(back);
    /* To a forward, from anybody. */
    back = (struct pkt){
        .from = FAR + 9, .to = OUTER, .to_port = 5353, .protocol = IP_UDP, .payload = 1700};
    assert_int_equal(in_pieces(0, back, 11, 1480, INSIDE), 2);
    back.to = HOST(1);
    is_whole(back);
    /* Of nothing; of TCP; for the gateway; an echo request from outside. */
    assert_int_equal(n->counts.fragments, 0);
    back.to = OUTER;
    back.to_port = 99;
    assert_int_equal(in_pieces(0, back, 12, 1480, INSIDE), 0);
    assert_int_equal(n->counts.fragments, 1);
    out =
        (struct pkt){.from = HOST(1), .to = FAR, .protocol = IP_TCP, .flags = SYN, .payload = 1700};
    assert_int_equal(in_pieces(1, out, 79, 1480, OUTSIDE), 0);
    out = (struct pkt){
        .from = HOST(1), .to = GATEWAY, .to_port = 53, .protocol = IP_UDP, .payload = 1700};
    assert_int_equal(in_pieces(1, out, 80, 1480, OUTSIDE), 0);
    back = (struct pkt){.from = FAR, .to = OUTER, .type = 8, .protocol = IP_ICMP, .payload = 1700};
    assert_int_equal(in_pieces(0, back, 13, 1480, OUTSIDE), 0);
}

/* A later fragment of the packet with this identification, from a host. */
static unsigned later(unsigned host, uint16_t id)
{
    struct pkt k = {.to = FAR, .protocol = IP_UDP, .fragment = 100, .payload = 64};

    put_eth(gateway_mac, host_mac(host), ETH_IPV4);
    k.from = HOST(host);
    buf_len = 14 + put_ip(buf + 14, &k);
    put16(buf + 18, id);
    return give(host, OUTSIDE);
}

static void fragments_are_bounded(void **state)
{
    struct pkt k = {.from = HOST(1), .to = FAR, .protocol = IP_UDP, .payload = 1700};

    (void)state;
    k.from = HOST(2);
    assert_int_equal(in_pieces(2, k, 500, 1480, OUTSIDE), 2);
    k.from = HOST(1);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(in_pieces(1, k, (uint16_t)i, 1480, OUTSIDE), 2);
    assert_int_equal(later(1, 999), 1);
    assert_int_equal(later(1, 996), 1);
    assert_int_equal(later(1, 995), 0);
    assert_int_equal(later(2, 500), 1); /* nobody's room but its own */
    assert_int_equal(later(1, 500), 0);
    fake_time += 30000;
    assert_int_equal(later(2, 500), 0);
    inside_nat.left(&net, 1);
}

/* ---- the outer address by DHCP ---- */

static const uint8_t *asked(void) { return sent[OUTSIDE].bytes + 42; }

static unsigned serve(uint8_t type, uint32_t address, uint32_t seconds)
{
    struct pkt k = {.from = ROUTER,
                    .to = address,
                    .from_port = 67,
                    .to_port = 68,
                    .protocol = IP_UDP,
                    .payload = 300};
    uint8_t *m = buf + 42, *o = m + DHCP_OPTIONS;
    uint32_t xid = get32(asked() + 4);

    put_eth(outer_mac, router_mac, ETH_IPV4);
    buf_len = 14 + put_ip(buf + 14, &k);
    memset(m, 0, 300);
    m[0] = 2;
    put32(m + 4, xid);
    put32(m + DHCP_YOURS, address);
    memcpy(m + DHCP_MAC, outer_mac, 6);
    put32(m + DHCP_MAGIC, DHCP_COOKIE);
    o = dhcp_put(o, DHCP_OPTION_TYPE, 1, type);
    o = dhcp_put(o, DHCP_OPTION_MASK, 4, 0xffffff00);
    o = dhcp_put(o, DHCP_OPTION_ROUTER, 4, ROUTER);
    o = dhcp_put(o, DHCP_OPTION_DNS, 4, DNS);
    o = dhcp_put(o, DHCP_OPTION_SERVER, 4, ROUTER);
    o = dhcp_put(o, DHCP_OPTION_LEASE, 4, seconds);
    *o = DHCP_OPTION_END;
    return give(0, OUTSIDE);
}

static void wait_seconds(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        fake_time += 1000;
        fake_timer_run();
    }
}

static int setup_dhcp(void **state)
{
    static int some = 1;

    config.address = config.router = config.dns = 0;
    *state = &some;
    return setup(state);
}

static int teardown_dhcp(void **state)
{
    assert_true(fake_timer != NULL);
    config.address = OUTER;
    config.router = ROUTER;
    config.dns = DNS;
    teardown(state);
    assert_null(fake_timer);
    return 0;
}

static void outer_by_dhcp(void **state)
{
    struct pkt out = {.to = FAR, .protocol = IP_UDP, .from_port = 1, .to_port = 2};
    struct switch_info info = {.flows = 0};
    unsigned before;

    (void)state;
    assert_int_equal(get32(sent[OUTSIDE].bytes + 26), 0); /* from nobody to all */
    assert_int_equal(get32(sent[OUTSIDE].bytes + 30), 0xffffffff);
    assert_int_equal(words(0, sent[OUTSIDE].bytes + 14, 20), 0xffff);
    assert_int_equal(asked()[DHCP_OPTIONS + 2], DHCP_DISCOVER);
    /* Without an address nothing goes out, and nothing is ours. */
    assert_int_equal(from_host(1, out, OUTSIDE), 0);
    arp(1, router_mac, ROUTER, 0);
    assert_int_equal(give(0, OUTSIDE), 0);
    assert_int_equal(from_far((struct pkt){.protocol = IP_TCP, .to_port = 2222}, INSIDE), 0);
    inside_nat.describe(&net, &info);
    assert_non_null(strstr(info.inside, "no address"));
    assert_int_equal(info.address, 0);
    /* The offer is asked for at once. */
    assert_int_equal(serve(DHCP_OFFER, OUTER, 3600), 1);
    assert_int_equal(asked()[DHCP_OPTIONS + 2], DHCP_REQUEST);
    assert_int_equal(serve(DHCP_ACK, OUTER, 3600), 0);
    inside_nat.describe(&net, &info);
    assert_int_equal(info.address, OUTER);
    assert_int_equal(info.prefix, 24);
    assert_int_equal(from_host(1, out, OUTSIDE), 1);
    arp(2, router_mac, ROUTER, OUTER);
    give(0, OUTSIDE);
    assert_int_equal(from_host(1, out, OUTSIDE), 1);
    assert_int_equal(get32(sent[OUTSIDE].bytes + 26), OUTER);
    assert_int_equal(get32(sent[OUTSIDE].bytes + 30), FAR);
    /* Renewed at half of its time, from the address, by its server's. */
    before = sent[OUTSIDE].count;
    wait_seconds(1830);
    assert_true(sent[OUTSIDE].count > before);
    arp(2, router_mac, ROUTER, OUTER); /* its place was forgotten, and asked for */
    give(0, OUTSIDE);
    wait_seconds(3);
    assert_int_equal(get32(sent[OUTSIDE].bytes + 26), OUTER);
    assert_int_equal(get32(sent[OUTSIDE].bytes + 30), ROUTER);
    assert_memory_equal(sent[OUTSIDE].bytes, router_mac, 6);
    assert_int_equal(asked()[DHCP_OPTIONS + 2], DHCP_REQUEST);
    assert_int_equal(serve(DHCP_ACK, OUTER, 3600), 0);
    /* No longer renewed: at its end the address and all flows are gone. */
    wait_seconds(3700);
    info.flows = 0;
    inside_nat.describe(&net, &info);
    assert_int_equal(info.address, 0);
    assert_int_equal(info.flows, 0);
    assert_int_equal(from_host(1, out, OUTSIDE), 0);
    /* Another one. */
    while (asked()[DHCP_OPTIONS + 2] != DHCP_DISCOVER)
        wait_seconds(1);
    serve(DHCP_OFFER, OUTER + 1, 3600);
    serve(DHCP_ACK, OUTER + 1, 3600);
    inside_nat.describe(&net, &info);
    assert_int_equal(info.address, OUTER + 1);
}

/* ---- DHCP ---- */

/* The server's place has just been asked for, for a card: a message for the server waits for the answer. */
static void renewal_waits_for_the_server(void **state)
{
    struct pkt out = {.to = FAR, .protocol = IP_UDP, .from_port = 1, .to_port = 2};
    unsigned asks = 0;

    (void)state;
    serve(DHCP_OFFER, OUTER, 3600);
    serve(DHCP_ACK, OUTER, 3600);
    for (unsigned i = 0; i < 2400; i++) {
        fake_time += 1000;
        from_host(1, out, OUTSIDE);
        fake_timer_run();
        assert_int_equal(get16(sent[OUTSIDE].bytes + 12), ETH_ARP);
    }
    arp(2, router_mac, ROUTER, OUTER);
    give(0, OUTSIDE);
    for (unsigned i = 0; i < 5; i++) {
        wait_seconds(1);
        asks += get16(sent[OUTSIDE].bytes + 12) == ETH_IPV4 &&
                !memcmp(sent[OUTSIDE].bytes, router_mac, 6) &&
                get32(sent[OUTSIDE].bytes + 30) == ROUTER;
    }
    assert_true(asks);
}

static uint32_t put_dhcp(unsigned n, uint8_t type, uint32_t wanted, uint32_t server)
{
    struct pkt k = {.from = 0,
                    .to = 0xffffffff,
                    .from_port = 68,
                    .to_port = 67,
                    .protocol = IP_UDP,
                    .payload = 300};
    uint8_t *m = buf + 42, *o = m + 240;

    put_eth((const uint8_t *)"\xff\xff\xff\xff\xff\xff", host_mac(n), ETH_IPV4);
    buf_len = 14 + put_ip(buf + 14, &k);
    memset(m, 0, 300);
    m[0] = m[1] = 1;
    m[2] = 6;
    put32(m + 4, 0xabcdef01);
    memcpy(m + 28, host_mac(n), 6);
    put32(m + 236, 0x63825363);
    *o++ = 0;
    memcpy(o, (uint8_t[]){53, 1, type}, 3);
    o += 3;
    if (wanted) {
        o[0] = 50;
        o[1] = 4;
        put32(o + 2, wanted);
        o += 6;
    }
    if (server) {
        o[0] = 54;
        o[1] = 4;
        put32(o + 2, server);
        o += 6;
    }
    *o = 255;
    return give(n, INSIDE);
}

static void dhcp(void **state)
{
    const uint8_t *p = sent[INSIDE].bytes, *m = p + 42;

    (void)state;
    assert_int_equal(put_dhcp(2, 1, 0, 0), 1); /* discover */
    assert_memory_equal(p, host_mac(2), 6);
    assert_memory_equal(p + 6, gateway_mac, 6);
    assert_int_equal(words(0, p + 14, 20), 0xffff);
    assert_int_equal(get16(p + 34), 67);
    assert_int_equal(get16(p + 36), 68);
    assert_int_equal(get16(p + 38), sent[INSIDE].len - 34);
    assert_int_equal(m[0], 2);
    assert_int_equal(get32(m + 4), 0xabcdef01);
    assert_int_equal(get32(m + 16), HOST(2));
    assert_memory_equal(m + 240,
                        "\x35\1\2\x36\4\x0a\x4d\0\1\x33\4\0\1\x51\x80\1\4\xff\xff\xff\0\3\4\x0a\x4d"
                        "\0\1\6\4\x0a\x4d\0\1\x1a\2\5\xdc\xff",
                        42);
    assert_int_equal(put_dhcp(2, 3, HOST(2), GATEWAY), 1); /* request */
    assert_int_equal(m[242], 5);
    assert_int_equal(put_dhcp(2, 3, HOST(1), GATEWAY), 1); /* for another's */
    assert_int_equal(m[242], 6);
    assert_int_equal(get32(m + 16), 0);
    assert_int_equal(put_dhcp(2, 3, HOST(2), GATEWAY + 1), 0); /* from another server */
    assert_int_equal(put_dhcp(2, 8, 0, 0), 1); /* inform */
    assert_int_equal(get32(m + 16), 0);
    assert_int_equal(put_dhcp(2, 7, 0, 0), 0); /* release */
    assert_int_equal(put_dhcp(2, 99, 0, 0), 0);
    /* Cut anywhere, and options whose lengths lie. */
    put_dhcp(2, 1, HOST(2), GATEWAY);
    for (uint32_t len = 43; len < 342; len++) {
        buf_len = len;
        put16(buf + 16, (uint16_t)(len - 14));
        give(2, INSIDE);
    }
    for (unsigned i = 0; i < 300; i++) {
        put_dhcp(2, 1, HOST(2), GATEWAY);
        memset(buf + 42 + 240 + i % 20, 0xf0 + (int)(i & 15), 40);
        give(2, INSIDE);
    }
}

static void admission(void **state)
{
    struct net_frame f;

    (void)state;
    put_eth(gateway_mac, host_mac(1), ETH_IPV4);
    buf_len =
        14 + put_ip(buf + 14, &(struct pkt){.from = HOST(1), .to = HOST(2), .protocol = IP_UDP});
    f = frame_of(1);
    assert_true(inside_nat.admits(&net, 1, &f));
    assert_false(inside_nat.admits(&net, 2, &f));
    arp(1, host_mac(1), HOST(1), HOST(2));
    f = frame_of(1);
    assert_true(inside_nat.admits(&net, 1, &f));
    assert_false(inside_nat.admits(&net, 2, &f));
    put32(buf + 28, 0); /* a probe */
    assert_true(inside_nat.admits(&net, 2, &f));
    put16(buf + 12, ETH_IPV6);
    assert_true(inside_nat.admits(&net, 2, &f));
    put16(buf + 12, ETH_VLAN);
    assert_false(inside_nat.admits(&net, 2, &f));
    put16(buf + 12, ETH_IPV4);
    f.head_len = 33;
    assert_false(inside_nat.admits(&net, 2, &f));
}

static void life(void **state)
{
    struct net_backend other = {.send = net_send};
    const char *why = NULL;
    struct switch_info info = {.flows = 0};

    (void)state;
    assert_int_equal(inside_nat.open(&config, &other, &why), -ENOSPC);
    assert_non_null(why);
    uplink_mtu = 1400;
    assert_int_equal(inside_nat.open(&config, &other, &why), -ENODEV);
    uplink_mtu = 1500;
    heap_full = true;
    assert_int_equal(inside_nat.open(&config, &other, &why), -ENOMEM);
    heap_full = false;
    inside_nat.describe(&net, &info);
    assert_memory_equal(info.inside, "1 flows, 1 packets out", 22);
}

/* ---- flows ---- */

static struct flow_table table;

static struct flow_key key_of(unsigned host, unsigned n)
{
    return (struct flow_key){.host = (uint8_t)host,
                             .protocol = IP_UDP,
                             .port = (uint16_t)n,
                             .remote = FAR + n / 60000,
                             .remote_port = 53};
}

static void one_host_cannot_take_all(void **state)
{
    struct flow_key k = key_of(2, 5);

    (void)state;
    flow_init(&table, 7);
    for (unsigned host = 10; host < 12; host++)
        for (unsigned i = 0; i < 100; i++) {
            k = key_of(host, i);
            assert_non_null(flow_out(&table, &k, true, 100));
        }
    for (unsigned i = 0; i < 100000; i++) {
        k = key_of(1, i);
        assert_non_null(flow_out(&table, &k, true, 100));
        assert_true(table.count[1] <= FLOWS_HOST);
    }
    for (unsigned host = 10; host < 12; host++)
        for (unsigned i = 0; i < 100; i++) {
            k = key_of(host, i);
            assert_non_null(flow_out(&table, &k, false, 100));
        }
    k = key_of(1, 99999 - FLOWS_HOST + 1);
    assert_non_null(flow_out(&table, &k, false, 100)); /* its newest are there */
    k = key_of(1, 99999 - FLOWS_HOST);
    assert_null(flow_out(&table, &k, false, 100));
    flow_forget(&table, 1);
    assert_int_equal(table.count[1], 0);
    /* All full: who has some uses his own again, who has none gets none. */
    for (unsigned host = 20; host < 30; host++)
        for (unsigned i = 0; i < FLOWS_HOST; i++) {
            k = key_of(host, i);
            (void)flow_out(&table, &k, true, 100);
        }
    k = key_of(40, 1);
    assert_null(flow_out(&table, &k, true, 100));
    k = key_of(10, 1000);
    assert_non_null(flow_out(&table, &k, true, 100));
    assert_int_equal(table.count[10], 100);
}

static void ages(void **state)
{
    static const struct {
        uint8_t protocol;
        uint32_t time;
        uint8_t steps[6]; /* flags; 0x80: from outside */
    } cases[] = {
        {IP_UDP, FLOW_UDP, {0}},
        {IP_ICMP, FLOW_ICMP, {0}},
        {IP_TCP, FLOW_TCP, {SYN}},
        {IP_TCP, FLOW_TCP_OPEN, {SYN, 0x80 | SYN | ACK, ACK}},
        {IP_TCP, FLOW_TCP_OPEN, {SYN, 0x80 | SYN | ACK, ACK | 1}},
        {IP_TCP, FLOW_TCP, {SYN, 0x80 | SYN | ACK, ACK | 1, 0x80 | ACK | 1}},
        {IP_TCP, FLOW_TCP_RESET, {SYN, 0x80 | SYN | ACK, ACK, 0x80 | RST}},
        {IP_TCP, FLOW_TCP_OPEN, {SYN, 0x80 | RST, SYN, 0x80 | SYN | ACK}},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct flow_key k = key_of(1, i);
        struct flow *f;

        flow_init(&table, 7);
        k.protocol = cases[i].protocol;
        f = flow_out(&table, &k, true, 1000);
        for (unsigned s = 0; s < 6 && cases[i].steps[s]; s++)
            flow_tcp(f, cases[i].steps[s] & 0x7f, !(cases[i].steps[s] & 0x80));
        assert_non_null(
            flow_in(&table, flow_outer_port(&table, f), k.protocol, k.remote, k.remote_port, 1000));
        assert_ptr_equal(flow_out(&table, &k, false, 1000 + cases[i].time), f);
        assert_null(flow_in(&table, flow_outer_port(&table, f), k.protocol, k.remote, k.remote_port,
                            1001 + 2 * cases[i].time));
        assert_null(flow_out(&table, &k, false, 1001 + 2 * cases[i].time));
    }
    /* What has ended goes by itself as new ones come, and its port is the last to come again. */
    flow_init(&table, 7);
    for (unsigned i = 0; i < 3000; i++) {
        struct flow_key k = key_of(i % 30, i);
        struct flow *f = flow_out(&table, &k, true, i);

        assert_int_equal(flow_outer_port(&table, f), FLOW_PORT + i);
    }
    for (unsigned i = 3000; i < 20000; i++) {
        struct flow_key k = key_of(i % 30, i);

        assert_non_null(flow_out(&table, &k, true, i));
    }
    for (unsigned h = 0; h < 30; h++)
        assert_in_range(table.count[h], FLOW_UDP / 30, FLOW_UDP / 30 + FLOWS / FLOW_SWEEP / 30 + 1);
}

/* Any sequence: the lists and counts are what the flows say. */
static void consistent(void **state)
{
    uint64_t r = 3;

    (void)state;
    flow_init(&table, 99);
    for (unsigned step = 0; step < 60000; step++) {
        struct flow_key k;

        r = r * 6364136223846793005ull + 1442695040888963407ull;
        k = key_of(r >> 33 & 15, (r >> 40) % 1000);
        if (r >> 62 == 0)
            k.protocol = IP_TCP;
        if (r >> 52 == 0x800)
            flow_forget(&table, k.host);
        else if (r >> 61 == 5)
            (void)flow_in(&table, (uint16_t)(FLOW_PORT + (r >> 20) % 5000), k.protocol, k.remote,
                          k.remote_port, step / 50);
        else
            (void)flow_out(&table, &k, r >> 60 & 1, step / 50);
        if (step % 512)
            continue;
        for (unsigned h = 0; h < 16; h++) {
            unsigned n = 0;
            uint32_t last = 0;

            for (uint16_t i = table.oldest[h]; i != FLOW_NONE; i = table.flow[i].newer, n++) {
                assert_true(table.flow[i].used && table.flow[i].key.host == h);
                assert_true(table.flow[i].seen >= last);
                last = table.flow[i].seen;
            }
            assert_int_equal(n, table.count[h]);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(there_and_back),
        TEST(udp_without_a_checksum),
        TEST(what_does_not_go_out),
        TEST(gateway_answers),
        TEST(dns_is_relayed),
        TEST(neighbours),
        TEST(forwards),
        TEST(errors_find_their_flow),
        TEST(fragments),
        TEST(fragments_are_bounded),
        TEST(hairpin),
        TEST(sources_from_outside),
        TEST(time_ends_here),
        cmocka_unit_test_setup_teardown(outer_by_dhcp, setup_dhcp, teardown_dhcp),
        cmocka_unit_test_setup_teardown(renewal_waits_for_the_server, setup_dhcp, teardown_dhcp),
        TEST(dhcp),
        TEST(admission),
        TEST(life),
        cmocka_unit_test(one_host_cannot_take_all),
        cmocka_unit_test(ages),
        cmocka_unit_test(consistent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
