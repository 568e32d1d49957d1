// SPDX-License-Identifier: BSD-2-Clause
// NAT: packets in both directions, each looked at whole, with its checksums summed anew; what the gateway answers itself; errors
// that speak of flows; what does not go through. Subjects of their own: test_nat_{dhcp,flow,forward,fragment}.c.
// units: tests/fake/nat.units
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "fake_lan.h"

static void there_and_back(void **state)
{
    static const uint8_t protocols[] = {IP_TCP, IP_UDP, IP_ICMP};

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        for (uint32_t payload = 0; payload < 1400; payload += 139) {
            struct pkt out = {.to = FAR,
                              .from_port = 40000,
                              .to_port = 443,
                              .flags = PKT_SYN,
                              .type = 8,
                              .protocol = protocols[i],
                              .payload = payload};
            struct pkt back = {.from_port = 443,
                               .protocol = protocols[i],
                               .flags = PKT_SYN | PKT_ACK,
                               .payload = payload};
            uint16_t port;

            assert_int_equal(lan_from_host(1 + payload % 3, out, OUTSIDE), 1);
            assert_memory_equal(lan_sent[OUTSIDE].bytes, lan_router_mac, 6);
            assert_memory_equal(lan_sent[OUTSIDE].bytes + 6, fake_uplink_mac, 6);
            port = get16(lan_sent[OUTSIDE].bytes + 34 + (i == 2 ? 4 : 0));
            assert_in_range(port, FLOW_PORT, FLOW_PORT + FLOWS - 1);
            out.from = OUTER;
            out.from_port = port;
            out.ttl = 63;
            lan_is(OUTSIDE, out);
            back.to_port = port;
            if (i == 2)
                back.from_port = port;
            assert_int_equal(lan_from_far(back, INSIDE), 1);
            assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(1 + payload % 3), 6);
            back.from = FAR;
            back.to = HOST(1 + payload % 3);
            back.to_port = 40000;
            if (i == 2)
                back.from_port = 40000;
            back.ttl = 63;
            lan_is(INSIDE, back);
            /* Another's answer, or another protocol's, is nobody's. */
            back.from = FAR + 1;
            back.to = 0;
            back.to_port = port;
            assert_int_equal(lan_from_far(back, INSIDE), 0);
        }
}

static void udp_without_a_checksum(void **state)
{
    struct pkt k = {
        .to = FAR, .from_port = 7, .to_port = 7, .protocol = IP_UDP, .payload = 10, .no_sum = true};

    (void)state;
    assert_int_equal(lan_from_host(1, k, OUTSIDE), 1);
    k.from = OUTER;
    k.from_port = get16(lan_sent[OUTSIDE].bytes + 34);
    k.ttl = 63;
    lan_is(OUTSIDE, k);
}

static void what_does_not_go_out(void **state)
{
    static const struct pkt no[] = {
        {.protocol = IP_TCP, .to = FAR, .flags = PKT_ACK}, /* of no flow */
        {.protocol = IP_TCP, .to = FAR, .flags = PKT_SYN | PKT_ACK},
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
        unsigned before = lan_sent[INSIDE].count;

        if (lan_from_host(1, no[i], OUTSIDE) || lan_sent[INSIDE].count != before)
            fail_msg("packet %u goes out", i);
    }
    lan_put_eth(lan_gateway_mac, lan_host_mac(1), ETH_VLAN);
    put16(lan_frame + 16, ETH_IPV4);
    lan_frame_len =
        18 + pkt_put(lan_frame + 18, &(struct pkt){.from = HOST(1), .to = FAR, .protocol = IP_UDP});
    assert_int_equal(lan_give(1, OUTSIDE), 0);
}

static void gateway_answers(void **state)
{
    struct pkt ping = {
        .to = GATEWAY, .protocol = IP_ICMP, .type = 8, .from_port = 99, .payload = 1000};

    (void)state;
    assert_int_equal(lan_from_host(2, ping, INSIDE), 1);
    assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(2), 6);
    lan_is(INSIDE, (struct pkt){.from = GATEWAY,
                                .to = HOST(2),
                                .protocol = IP_ICMP,
                                .from_port = 99,
                                .payload = 1000,
                                .ttl = 64});
    ping.to = 0;
    assert_int_equal(lan_from_far(ping, OUTSIDE), 1); /* and from outside */
    lan_is(OUTSIDE, (struct pkt){.from = OUTER,
                                 .to = FAR,
                                 .protocol = IP_ICMP,
                                 .from_port = 99,
                                 .payload = 1000,
                                 .ttl = 64});
    memset(lan_frame, 0xff, NET_MAC); /* no frame may be from a group */
    assert_int_equal(lan_give(0, OUTSIDE), 0);
    lan_arp(1, lan_host_mac(1), HOST(1), GATEWAY);
    assert_int_equal(lan_give(1, INSIDE), 1);
    assert_int_equal(lan_sent[INSIDE].len, 42);
    assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(1), 6);
    assert_memory_equal(lan_sent[INSIDE].bytes + 20, "\0\2\2\0\0\0\0\0", 8);
    assert_int_equal(get32(lan_sent[INSIDE].bytes + 28), GATEWAY);
    assert_int_equal(get32(lan_sent[INSIDE].bytes + 38), HOST(1));
    lan_arp(1, lan_host_mac(1), HOST(1), HOST(2)); /* who is asked answers himself */
    assert_int_equal(lan_give(1, INSIDE), 0);
    lan_arp(1, lan_router_mac, ROUTER, OUTER);
    assert_int_equal(lan_give(0, OUTSIDE), 1);
    lan_arp(1, lan_router_mac, ROUTER, OUTER + 1);
    assert_int_equal(lan_give(0, OUTSIDE), 0);
    lan_arp(1, lan_router_mac, ROUTER, OUTER);
    lan_frame_len = 41;
    assert_int_equal(lan_give(0, OUTSIDE), 0);
}

static void dns_is_relayed(void **state)
{
    struct pkt q = {
        .to = GATEWAY, .protocol = IP_UDP, .from_port = 3000, .to_port = 53, .payload = 30};
    struct pkt a = {.from = DNS, .protocol = IP_UDP, .from_port = 53, .payload = 200};

    (void)state;
    assert_int_equal(lan_from_host(1, q, OUTSIDE), 1); /* asks for its address first */
    assert_int_equal(get32(lan_sent[OUTSIDE].bytes + 38), DNS);
    lan_arp(2, lan_router_mac, DNS, OUTER);
    lan_give(0, OUTSIDE);
    assert_int_equal(lan_from_host(1, q, OUTSIDE), 1);
    a.to_port = get16(lan_sent[OUTSIDE].bytes + 34);
    q.from = OUTER;
    q.to = DNS;
    q.from_port = a.to_port;
    q.ttl = 63;
    lan_is(OUTSIDE, q);
    assert_int_equal(lan_from_far(a, INSIDE), 1);
    a.from = GATEWAY;
    a.to = HOST(1);
    a.to_port = 3000;
    a.ttl = 63;
    lan_is(INSIDE, a);
}

static void neighbours(void **state)
{
    struct pkt k = {.to = IP(10, 0, 2, 9), .protocol = IP_UDP, .from_port = 1, .to_port = 2};
    static const uint8_t mac[6] = {0x52, 9};

    (void)state;
    assert_int_equal(lan_from_host(1, k, OUTSIDE), 1);
    assert_int_equal(get16(lan_sent[OUTSIDE].bytes + 12), ETH_ARP);
    assert_int_equal(lan_from_host(1, k, OUTSIDE), 0); /* once a second */
    fake_time += 1000;
    assert_int_equal(lan_from_host(1, k, OUTSIDE), 1);
    lan_arp(2, mac, IP(10, 0, 2, 9), OUTER);
    lan_give(0, OUTSIDE);
    assert_int_equal(lan_from_host(1, k, OUTSIDE), 1);
    assert_memory_equal(lan_sent[OUTSIDE].bytes, mac, 6);
    lan_arp(2, mac, IP(10, 0, 2, 44), OUTER); /* nobody asked: the router stays where it is */
    lan_give(0, OUTSIDE);
    for (unsigned i = 0; i < 100; i++) { /* many: they push each other out, but not the router */
        k.to = IP(10, 0, 2, 50) + i;
        lan_from_host(1, k, OUTSIDE);
    }
    k.to = FAR;
    assert_int_equal(lan_from_host(1, k, OUTSIDE), 1);
    assert_memory_equal(lan_sent[OUTSIDE].bytes, lan_router_mac, 6);
    fake_time += 60000; /* asked anew */
    assert_int_equal(lan_from_host(1, k, OUTSIDE), 1);
    assert_int_equal(get16(lan_sent[OUTSIDE].bytes + 12), ETH_ARP);
    assert_int_equal(lan_from_host(1, k, OUTSIDE), 1);
    assert_int_equal(get16(lan_sent[OUTSIDE].bytes + 12), ETH_IPV4);
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
        assert_int_equal(lan_from_far(in, INSIDE), 0);
        assert_int_equal(
            lan_from_far((struct pkt){.from = wrong[i], .protocol = IP_ICMP, .type = 8}, OUTSIDE),
            0);
    }
    /* Nor into a flow that ends at the outer address. */
    in.from = 0;
    assert_int_equal(lan_from_host(2, in, INSIDE), 1);
    port = get16(lan_sent[INSIDE].bytes + 34);
    in = (struct pkt){.from = OUTER, .protocol = IP_UDP, .from_port = 5353};
    in.to_port = (uint16_t)port;
    assert_int_equal(lan_from_far(in, INSIDE), 0);
    inside_nat.describe(&lan_net, &info);
    assert_non_null(strstr(info.inside, "17 for no port"));
    in = (struct pkt){.protocol = IP_UDP, .from_port = 4000, .to_port = 5353};
    assert_int_equal(lan_from_far(in, INSIDE), 1);
}

static void admission(void **state)
{
    struct net_frame f;

    (void)state;
    lan_put_eth(lan_gateway_mac, lan_host_mac(1), ETH_IPV4);
    lan_frame_len = 14 + pkt_put(lan_frame + 14,
                                 &(struct pkt){.from = HOST(1), .to = HOST(2), .protocol = IP_UDP});
    f = lan_frame_of(1);
    assert_true(inside_nat.admits(&lan_net, 1, &f));
    assert_false(inside_nat.admits(&lan_net, 2, &f));
    lan_arp(1, lan_host_mac(1), HOST(1), HOST(2));
    f = lan_frame_of(1);
    assert_true(inside_nat.admits(&lan_net, 1, &f));
    assert_false(inside_nat.admits(&lan_net, 2, &f));
    put32(lan_frame + 28, 0); /* a probe */
    assert_true(inside_nat.admits(&lan_net, 2, &f));
    put16(lan_frame + 12, ETH_IPV6);
    assert_true(inside_nat.admits(&lan_net, 2, &f));
    put16(lan_frame + 12, ETH_VLAN);
    assert_false(inside_nat.admits(&lan_net, 2, &f));
    put16(lan_frame + 12, ETH_IPV4);
    f.head_len = 33;
    assert_false(inside_nat.admits(&lan_net, 2, &f));
}

static void life(void **state)
{
    struct net_backend other = {.send = lan_net.send};
    const char *why = NULL;
    struct switch_info info = {.flows = 0};

    (void)state;
    assert_int_equal(inside_nat.open(&lan_config, &other, &why), -ENOSPC);
    assert_non_null(why);
    fake_uplink.mtu = 1400;
    assert_int_equal(inside_nat.open(&lan_config, &other, &why), -ENODEV);
    fake_uplink.mtu = 1500;
    fake_heap_left = 0;
    assert_int_equal(inside_nat.open(&lan_config, &other, &why), -ENOMEM);
    fake_heap_left = -1;
    inside_nat.describe(&lan_net, &info);
    assert_memory_equal(info.inside, "1 flows, 1 packets out", 22);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lan_setup, lan_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(there_and_back),
        TEST(udp_without_a_checksum),
        TEST(what_does_not_go_out),
        TEST(gateway_answers),
        TEST(dns_is_relayed),
        TEST(neighbours),
        TEST(sources_from_outside),
        TEST(admission),
        TEST(life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
