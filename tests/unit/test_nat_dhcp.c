// SPDX-License-Identifier: BSD-2-Clause
// DHCP at a NAT: the outer address from a server outside, and the cards' addresses from the gateway. test_dhcp.c has the
// client by itself.
// units: tests/fake/nat.units
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "fake_lan.h"

static const uint8_t *asked(void) { return lan_sent[OUTSIDE].bytes + 42; }

static unsigned serve(uint8_t type, uint32_t address, uint32_t seconds)
{
    struct pkt k = {.from = ROUTER,
                    .to = address,
                    .from_port = 67,
                    .to_port = 68,
                    .protocol = IP_UDP,
                    .payload = 300};
    uint8_t *m = lan_frame + 42, *o = m + DHCP_OPTIONS;
    uint32_t xid = get32(asked() + 4);

    lan_put_eth(fake_uplink_mac, lan_router_mac, ETH_IPV4);
    lan_frame_len = 14 + pkt_put(lan_frame + 14, &k);
    memset(m, 0, 300);
    m[0] = 2;
    put32(m + 4, xid);
    put32(m + DHCP_YOURS, address);
    memcpy(m + DHCP_MAC, fake_uplink_mac, 6);
    put32(m + DHCP_MAGIC, DHCP_COOKIE);
    o = dhcp_put(o, DHCP_OPTION_TYPE, 1, type);
    o = dhcp_put(o, DHCP_OPTION_MASK, 4, 0xffffff00);
    o = dhcp_put(o, DHCP_OPTION_ROUTER, 4, ROUTER);
    o = dhcp_put(o, DHCP_OPTION_DNS, 4, DNS);
    o = dhcp_put(o, DHCP_OPTION_SERVER, 4, ROUTER);
    o = dhcp_put(o, DHCP_OPTION_LEASE, 4, seconds);
    *o = DHCP_OPTION_END;
    return lan_give(0, OUTSIDE);
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

    lan_config.address = lan_config.router = lan_config.dns = 0;
    *state = &some;
    return lan_setup(state);
}

static int teardown_dhcp(void **state)
{
    assert_true(fake_timer != NULL);
    lan_config.address = OUTER;
    lan_config.router = ROUTER;
    lan_config.dns = DNS;
    lan_teardown(state);
    assert_null(fake_timer);
    return 0;
}

static void outer_by_dhcp(void **state)
{
    struct pkt out = {.to = FAR, .protocol = IP_UDP, .from_port = 1, .to_port = 2};
    struct switch_info info = {.flows = 0};
    unsigned before;

    (void)state;
    assert_int_equal(get32(lan_sent[OUTSIDE].bytes + 26), 0); /* from nobody to all */
    assert_int_equal(get32(lan_sent[OUTSIDE].bytes + 30), 0xffffffff);
    assert_int_equal(pkt_sum(0, lan_sent[OUTSIDE].bytes + 14, 20), 0xffff);
    assert_int_equal(asked()[DHCP_OPTIONS + 2], DHCP_DISCOVER);
    /* Without an address nothing goes out, and nothing is ours. */
    assert_int_equal(lan_from_host(1, out, OUTSIDE), 0);
    lan_arp(1, lan_router_mac, ROUTER, 0);
    assert_int_equal(lan_give(0, OUTSIDE), 0);
    assert_int_equal(lan_from_far((struct pkt){.protocol = IP_TCP, .to_port = 2222}, INSIDE), 0);
    inside_nat.describe(&lan_net, &info);
    assert_non_null(strstr(info.inside, "no address"));
    assert_int_equal(info.address, 0);
    /* The offer is asked for at once. */
    assert_int_equal(serve(DHCP_OFFER, OUTER, 3600), 1);
    assert_int_equal(asked()[DHCP_OPTIONS + 2], DHCP_REQUEST);
    assert_int_equal(serve(DHCP_ACK, OUTER, 3600), 0);
    inside_nat.describe(&lan_net, &info);
    assert_int_equal(info.address, OUTER);
    assert_int_equal(info.prefix, 24);
    assert_int_equal(lan_from_host(1, out, OUTSIDE), 1);
    lan_arp(2, lan_router_mac, ROUTER, OUTER);
    lan_give(0, OUTSIDE);
    assert_int_equal(lan_from_host(1, out, OUTSIDE), 1);
    assert_int_equal(get32(lan_sent[OUTSIDE].bytes + 26), OUTER);
    assert_int_equal(get32(lan_sent[OUTSIDE].bytes + 30), FAR);
    /* Renewed at half of its time, from the address, by its server's. */
    before = lan_sent[OUTSIDE].count;
    wait_seconds(1830);
    assert_true(lan_sent[OUTSIDE].count > before);
    lan_arp(2, lan_router_mac, ROUTER, OUTER); /* its place was forgotten, and asked for */
    lan_give(0, OUTSIDE);
    wait_seconds(3);
    assert_int_equal(get32(lan_sent[OUTSIDE].bytes + 26), OUTER);
    assert_int_equal(get32(lan_sent[OUTSIDE].bytes + 30), ROUTER);
    assert_memory_equal(lan_sent[OUTSIDE].bytes, lan_router_mac, 6);
    assert_int_equal(asked()[DHCP_OPTIONS + 2], DHCP_REQUEST);
    assert_int_equal(serve(DHCP_ACK, OUTER, 3600), 0);
    /* No longer renewed: at its end the address and all flows are gone. */
    wait_seconds(3700);
    info.flows = 0;
    inside_nat.describe(&lan_net, &info);
    assert_int_equal(info.address, 0);
    assert_int_equal(info.flows, 0);
    assert_int_equal(lan_from_host(1, out, OUTSIDE), 0);
    /* Another one. */
    while (asked()[DHCP_OPTIONS + 2] != DHCP_DISCOVER)
        wait_seconds(1);
    serve(DHCP_OFFER, OUTER + 1, 3600);
    serve(DHCP_ACK, OUTER + 1, 3600);
    inside_nat.describe(&lan_net, &info);
    assert_int_equal(info.address, OUTER + 1);
}

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
        lan_from_host(1, out, OUTSIDE);
        fake_timer_run();
        assert_int_equal(get16(lan_sent[OUTSIDE].bytes + 12), ETH_ARP);
    }
    lan_arp(2, lan_router_mac, ROUTER, OUTER);
    lan_give(0, OUTSIDE);
    for (unsigned i = 0; i < 5; i++) {
        wait_seconds(1);
        asks += get16(lan_sent[OUTSIDE].bytes + 12) == ETH_IPV4 &&
                !memcmp(lan_sent[OUTSIDE].bytes, lan_router_mac, 6) &&
                get32(lan_sent[OUTSIDE].bytes + 30) == ROUTER;
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
    uint8_t *m = lan_frame + 42, *o = m + 240;

    lan_put_eth((const uint8_t *)"\xff\xff\xff\xff\xff\xff", lan_host_mac(n), ETH_IPV4);
    lan_frame_len = 14 + pkt_put(lan_frame + 14, &k);
    memset(m, 0, 300);
    m[0] = m[1] = 1;
    m[2] = 6;
    put32(m + 4, 0xabcdef01);
    memcpy(m + 28, lan_host_mac(n), 6);
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
    return lan_give(n, INSIDE);
}

static void dhcp(void **state)
{
    const uint8_t *p = lan_sent[INSIDE].bytes, *m = p + 42;

    (void)state;
    assert_int_equal(put_dhcp(2, 1, 0, 0), 1); /* discover */
    assert_memory_equal(p, lan_host_mac(2), 6);
    assert_memory_equal(p + 6, lan_gateway_mac, 6);
    assert_int_equal(pkt_sum(0, p + 14, 20), 0xffff);
    assert_int_equal(get16(p + 34), 67);
    assert_int_equal(get16(p + 36), 68);
    assert_int_equal(get16(p + 38), lan_sent[INSIDE].len - 34);
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
        lan_frame_len = len;
        put16(lan_frame + 16, (uint16_t)(len - 14));
        lan_give(2, INSIDE);
    }
    for (unsigned i = 0; i < 300; i++) {
        put_dhcp(2, 1, HOST(2), GATEWAY);
        memset(lan_frame + 42 + 240 + i % 20, 0xf0 + (int)(i & 15), 40);
        lan_give(2, INSIDE);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lan_setup, lan_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(outer_by_dhcp, setup_dhcp, teardown_dhcp),
        cmocka_unit_test_setup_teardown(renewal_waits_for_the_server, setup_dhcp, teardown_dhcp),
        TEST(dhcp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
