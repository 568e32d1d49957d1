// SPDX-License-Identifier: BSD-2-Clause
// ICMP errors of a NAT: those that speak of packets which went through, from outside and from inside, by flows and forwards; its own, and
// their limits.
// units: tests/fake/nat.units
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_lan.h"

enum { UNREACHABLE = 3, FRAGMENTATION_NEEDED = 4, PORT_UNREACHABLE = 3, NEXT_MTU = 1400 };

/* lan_frame becomes an error, between these, about a packet of which len bytes are quoted. */
static void put_error(uint32_t from, uint32_t to, uint8_t code, const uint8_t *quote, uint32_t len)
{
    struct pkt error = {
        .from = from, .to = to, .protocol = IP_ICMP, .type = UNREACHABLE, .payload = len};
    uint8_t *icmp = lan_frame + 34;

    lan_frame_len = 14 + pkt_put(lan_frame + 14, &error);
    icmp[1] = code;
    put16(icmp + 4, 0);
    put16(icmp + 6, code == FRAGMENTATION_NEEDED ? NEXT_MTU : 0);
    memmove(icmp + 8, quote, len);
    put16(icmp + 2, 0);
    put16(icmp + 2, (uint16_t)~pkt_sum(0, icmp, 8 + len));
}

/* From a router outside, about the last packet that went out. */
static unsigned error_from_router(uint8_t code, uint32_t len)
{
    lan_put_eth(fake_uplink_mac, lan_router_mac, ETH_IPV4);
    put_error(ROUTER, OUTER, code, lan_sent[OUTSIDE].bytes + 14, len);
    return lan_give(0, INSIDE);
}

/* From a card, about the last packet that came in. */
static unsigned error_from_host(unsigned n, uint32_t to, uint32_t len)
{
    lan_put_eth(lan_gateway_mac, lan_host_mac(n), ETH_IPV4);
    put_error(HOST(n), to, PORT_UNREACHABLE, lan_sent[INSIDE].bytes + 14, len);
    return lan_give(n, OUTSIDE);
}

/* The last error to a side is between these, whole, and quotes a packet that is whole itself between those. */
static void is_error(unsigned side, uint32_t from, uint32_t to, const struct pkt *quoted)
{
    const uint8_t *ip = lan_sent[side].bytes + 14, *icmp = ip + 20, *q = icmp + 8, *t = q + 20;
    uint32_t len = get16(ip + 2) - 28u, rest = len - 20;
    bool echo = quoted->protocol == IP_ICMP;

    assert_int_equal(get32(ip + 12), from);
    assert_int_equal(get32(ip + 16), to);
    assert_int_equal(ip[8], 63);
    assert_int_equal(icmp[0], UNREACHABLE);
    assert_int_equal(pkt_sum(0, ip, 20), 0xffff);
    assert_int_equal(pkt_sum(0, icmp, 8 + len), 0xffff);
    assert_int_equal(get32(q + 12), quoted->from);
    assert_int_equal(get32(q + 16), quoted->to);
    assert_int_equal(get16(t + (echo ? 4 : 0)), quoted->from_port);
    if (!echo)
        assert_int_equal(get16(t + 2), quoted->to_port);
    assert_int_equal(pkt_sum(0, q, 20), 0xffff);
    if (rest == get16(q + 2) - 20u) /* all of it was quoted */
        assert_int_equal(pkt_sum(echo ? 0 : pkt_sum(quoted->protocol + rest, q + 12, 8), t, rest),
                         0xffff);
}

static const uint8_t protocols[] = {IP_TCP, IP_UDP, IP_ICMP};

static struct pkt of_flow(uint8_t protocol)
{
    return (struct pkt){.to = FAR,
                        .from_port = 777,
                        .to_port = 5,
                        .protocol = protocol,
                        .flags = PKT_SYN,
                        .type = 8,
                        .payload = 20};
}

static void errors_find_their_flow(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(protocols); i++) {
        struct pkt out = of_flow(protocols[i]);
        uint8_t *quoted = lan_frame + 42;

        assert_int_equal(lan_from_host(3, out, OUTSIDE), 1);
        out.from = HOST(3);
        for (uint32_t len = 28; len <= lan_sent[OUTSIDE].len - 14; len++) {
            assert_int_equal(error_from_router(FRAGMENTATION_NEEDED, len), 1);
            assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(3), 6);
            is_error(INSIDE, ROUTER, HOST(3), &out);
            assert_int_equal(get16(lan_sent[INSIDE].bytes + 40), NEXT_MTU);
        }
        for (uint32_t len = 0; len < 28; len++)
            assert_int_equal(error_from_router(FRAGMENTATION_NEEDED, len), 0);
        put16(quoted + 20 + (protocols[i] == IP_ICMP ? 4 : 0), 19999);
        assert_int_equal(lan_give(0, INSIDE), 0);
    }
}

/* They keep no flow alive. */
static void errors_do_not_refresh(void **state)
{
    (void)state;
    assert_int_equal(lan_from_host(3, of_flow(IP_ICMP), OUTSIDE), 1);
    fake_time += (FLOW_ICMP - 1) * timer_hz;
    assert_int_equal(error_from_router(PORT_UNREACHABLE, 28), 1);
    fake_time += 2 * timer_hz;
    assert_int_equal(error_from_router(PORT_UNREACHABLE, 28), 0);
}

/* Path MTU discovery of a server behind a forward. */
static void errors_find_their_forward(void **state)
{
    struct pkt tcp = {.to = FAR,
                      .protocol = IP_TCP,
                      .from_port = 22,
                      .to_port = 5000,
                      .flags = PKT_ACK,
                      .payload = 1000};
    struct pkt udp = {
        .to = FAR, .protocol = IP_UDP, .from_port = 53, .to_port = 5001, .payload = 40};
    struct pkt own = {.to = OUTER, .protocol = IP_UDP, .from_port = 53, .to_port = 5001};

    (void)state;
    assert_int_equal(lan_from_host(2, tcp, OUTSIDE), 1);
    assert_int_equal(error_from_router(FRAGMENTATION_NEEDED, 28), 1);
    tcp.from = HOST(2);
    is_error(INSIDE, ROUTER, HOST(2), &tcp);
    assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(2), 6);
    assert_int_equal(get16(lan_sent[INSIDE].bytes + 40), NEXT_MTU);
    assert_int_equal(lan_from_host(1, udp, OUTSIDE), 1);
    assert_int_equal(error_from_router(PORT_UNREACHABLE, 68), 1);
    udp.from = HOST(1);
    is_error(INSIDE, ROUTER, HOST(1), &udp);
    /* About what only was inside, nobody outside can know. */
    own.from = OUTER;
    own.from_port = 5353;
    pkt_put(lan_sent[OUTSIDE].bytes + 14, &own);
    assert_int_equal(error_from_router(PORT_UNREACHABLE, 28), 0);
    own.to = HOST(2);
    pkt_put(lan_sent[OUTSIDE].bytes + 14, &own);
    assert_int_equal(error_from_router(PORT_UNREACHABLE, 28), 0);
    own.to = FAR;
    own.from = HOST(1);
    pkt_put(lan_sent[OUTSIDE].bytes + 14, &own);
    assert_int_equal(error_from_router(PORT_UNREACHABLE, 28), 0);
    own.from = OUTER;
    pkt_put(lan_sent[OUTSIDE].bytes + 14, &own);
    assert_int_equal(error_from_router(PORT_UNREACHABLE, 28), 1);
    inside_nat.left(&lan_net, 1);
    assert_int_equal(error_from_router(PORT_UNREACHABLE, 28), 0);
}

/* What a card says of packets that came to it. */
static void errors_go_out(void **state)
{
    struct pkt in = {.protocol = IP_UDP, .from_port = 9000, .to_port = 5353, .payload = 30};

    (void)state;
    assert_int_equal(lan_from_far(in, INSIDE), 1);
    assert_int_equal(error_from_host(2, FAR, 28), 0); /* it came to another one */
    assert_int_equal(error_from_host(1, FAR + 1, 28), 0); /* and from another one */
    in.from = FAR;
    in.to = OUTER;
    for (uint32_t len = 28; len <= 58; len++) {
        assert_int_equal(error_from_host(1, FAR, len), 1);
        is_error(OUTSIDE, OUTER, FAR, &in);
        assert_memory_equal(lan_sent[OUTSIDE].bytes, lan_router_mac, 6);
    }
    for (unsigned i = 0; i < ARRAY_LEN(protocols); i++) {
        struct pkt out = of_flow(protocols[i]), back = {.from = FAR, .protocol = protocols[i]};
        bool echo = protocols[i] == IP_ICMP;

        assert_int_equal(lan_from_host(3, out, OUTSIDE), 1);
        back.to_port = get16(lan_sent[OUTSIDE].bytes + 34 + (echo ? 4 : 0));
        back.from_port = echo ? back.to_port : 5;
        assert_int_equal(lan_from_far(back, INSIDE), 1);
        assert_int_equal(error_from_host(3, FAR, 28), 1);
        back.to = OUTER;
        is_error(OUTSIDE, OUTER, FAR, &back);
        put16(lan_sent[INSIDE].bytes + 34 + (echo ? 4 : 2), 778); /* of no flow */
        assert_int_equal(error_from_host(3, FAR, 28), 0);
    }
}

/* ---- its own ---- */

/* The last frame to a side is "time exceeded", from and to these, about what is at buf. */
static void is_exceeded(unsigned side, uint32_t from, uint32_t to, uint32_t quoted)
{
    const uint8_t *p = lan_sent[side].bytes + 14;

    assert_int_equal(get32(p + 12), from);
    assert_int_equal(get32(p + 16), to);
    assert_int_equal(p[9], IP_ICMP);
    assert_int_equal(get16(p + 20), 0x0b00);
    assert_int_equal(get16(p + 2), 28 + quoted);
    assert_int_equal(lan_sent[side].len, 14 + 28 + quoted);
    assert_true(get16(p + 2) <= 576);
    assert_int_equal(pkt_sum(0, p, 20), 0xffff);
    assert_int_equal(pkt_sum(0, p + 20, 8 + quoted), 0xffff);
    assert_memory_equal(p + 28, lan_frame + 14, quoted);
}

static void time_ends_here(void **state)
{
    struct pkt k = {.to = FAR, .protocol = IP_UDP, .from_port = 7, .ttl = 1, .payload = 30};

    (void)state;
    assert_int_equal(lan_from_host(1, k, INSIDE), 1);
    assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(1), 6);
    is_exceeded(INSIDE, GATEWAY, HOST(1), 58);
    k.payload = 1400;
    assert_int_equal(lan_from_host(1, k, INSIDE), 1);
    is_exceeded(INSIDE, GATEWAY, HOST(1), 548);
    k = (struct pkt){.to = FAR, .protocol = IP_ICMP, .type = 8, .ttl = 1};
    assert_int_equal(lan_from_host(1, k, INSIDE), 1);
    k.type = 3; /* an error about an error */
    assert_int_equal(lan_from_host(1, k, INSIDE), 0);
    k = (struct pkt){.protocol = IP_TCP, .to_port = 2222, .flags = PKT_SYN, .ttl = 1};
    assert_int_equal(lan_from_far(k, OUTSIDE), 1);
    is_exceeded(OUTSIDE, OUTER, FAR, 40);
    assert_memory_equal(lan_sent[OUTSIDE].bytes, lan_router_mac, 6);
}

/* Not as many as anybody likes; and who has used up his own leaves the others theirs. */
static void errors_are_limited_for_each(void **state)
{
    struct pkt k = {.to = FAR, .protocol = IP_UDP, .ttl = 1};
    struct pkt in = {.protocol = IP_TCP, .to_port = 2222, .flags = PKT_SYN, .ttl = 1};
    unsigned of[3] = {0};

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        of[0] += lan_from_far(in, OUTSIDE);
    for (unsigned host = 1; host < 3; host++)
        for (unsigned i = 0; i < 1000; i++)
            of[host] += lan_from_host(host, k, INSIDE);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(of[i], NAT_ERRORS_BURST);
    fake_time += timer_hz;
    assert_int_equal(lan_from_host(1, k, INSIDE), 1);
    assert_int_equal(lan_from_far(in, OUTSIDE), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lan_setup, lan_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(errors_find_their_flow),
        TEST(errors_do_not_refresh),
        TEST(errors_find_their_forward),
        TEST(errors_go_out),
        TEST(time_ends_here),
        TEST(errors_are_limited_for_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
