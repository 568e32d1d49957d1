// SPDX-License-Identifier: BSD-2-Clause
// Fragments through a NAT: put together they are packets like others; and their places are bounded.
// units: tests/fake/nat.units
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "fake_lan.h"

static uint8_t whole[4096]; /* what came through */

/* A packet in pieces of at most piece bytes, one after the other; how many came through. */
static unsigned in_pieces(unsigned from, struct pkt k, uint16_t id, uint32_t piece, unsigned side)
{
    static uint8_t packet[4096];
    uint32_t len = pkt_put(packet, &k), came = 0;

    for (uint32_t at = 0; at < len - 20; at += piece) {
        uint32_t n = (uint32_t)min_u64(piece, len - 20 - at);

        lan_put_eth(from ? lan_gateway_mac : fake_uplink_mac,
                    from ? lan_host_mac(from) : lan_router_mac, ETH_IPV4);
        memcpy(lan_frame + 14, packet, 20);
        memcpy(lan_frame + 34, packet + 20 + at, n);
        put16(lan_frame + 16, (uint16_t)(20 + n));
        put16(lan_frame + 18, id);
        put16(lan_frame + 20, (uint16_t)(at / 8 | (at + n < len - 20 ? 0x2000 : 0)));
        put16(lan_frame + 24, 0);
        put16(lan_frame + 24, (uint16_t)~pkt_sum(0, lan_frame + 14, 20));
        lan_frame_len = 34 + n;
        if (!lan_give(from, side))
            continue;
        came++;
        assert_int_equal(pkt_sum(0, lan_sent[side].bytes + 14, 20), 0xffff);
        memcpy(whole + 20 + at, lan_sent[side].bytes + 34, n);
        memcpy(whole, lan_sent[side].bytes + 14, 20);
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
        assert_int_equal(pkt_sum(pkt_sum(IP_UDP + len, p + 12, 8), p + 20, len), 0xffff);
    else
        assert_int_equal(pkt_sum(0, p + 20, len), 0xffff);
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
    struct nat *n = lan_net.device;
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
    out = (struct pkt){
        .from = HOST(1), .to = FAR, .protocol = IP_TCP, .flags = PKT_SYN, .payload = 1700};
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

    lan_put_eth(lan_gateway_mac, lan_host_mac(host), ETH_IPV4);
    k.from = HOST(host);
    lan_frame_len = 14 + pkt_put(lan_frame + 14, &k);
    put16(lan_frame + 18, id);
    return lan_give(host, OUTSIDE);
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
    inside_nat.left(&lan_net, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lan_setup, lan_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fragments),
        TEST(fragments_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
