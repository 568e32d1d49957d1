// SPDX-License-Identifier: BSD-2-Clause
// Forwards of a NAT: from outside, and from a card of its own.
// units: tests/fake/nat.units
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_lan.h"

static void forwards(void **state)
{
    struct pkt in = {
        .protocol = IP_TCP, .from_port = 5000, .to_port = 2222, .flags = PKT_SYN, .payload = 3};
    struct pkt out = {.to = FAR,
                      .protocol = IP_TCP,
                      .from_port = 22,
                      .to_port = 5000,
                      .flags = PKT_SYN | PKT_ACK};

    (void)state;
    assert_int_equal(lan_from_far(in, INSIDE), 1);
    in.from = FAR;
    in.to = HOST(2);
    in.to_port = 22;
    in.ttl = 63;
    lan_is(INSIDE, in);
    assert_int_equal(lan_from_host(2, out, OUTSIDE), 1);
    out.from = OUTER;
    out.from_port = 2222;
    out.ttl = 63;
    lan_is(OUTSIDE, out);
    assert_int_equal(lan_from_far((struct pkt){.protocol = IP_UDP, .to_port = 2222}, INSIDE), 0);
    assert_int_equal(lan_from_far((struct pkt){.protocol = IP_UDP, .to_port = 5353}, INSIDE), 1);
    assert_int_equal(lan_from_far((struct pkt){.protocol = IP_TCP, .to_port = 80}, INSIDE), 0);
    assert_int_equal(
        lan_from_far((struct pkt){.protocol = IP_UDP, .to_port = 5353, .to = OUTER + 1}, INSIDE),
        0);
    inside_nat.left(&lan_net, 1);
    assert_int_equal(lan_from_far((struct pkt){.protocol = IP_UDP, .to_port = 5353}, INSIDE), 0);
}

/* A card reaches a forward of its own NAT as those outside do, and the answer comes back. */
static void hairpin(void **state)
{
    struct pkt in = {.to = OUTER,
                     .protocol = IP_TCP,
                     .from_port = 4000,
                     .to_port = 2222,
                     .flags = PKT_SYN,
                     .payload = 5};
    struct pkt back = {
        .to = OUTER, .protocol = IP_TCP, .from_port = 22, .flags = PKT_SYN | PKT_ACK, .payload = 9};
    uint16_t port;

    (void)state;
    assert_int_equal(lan_from_host(1, in, INSIDE), 1);
    assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(2), 6);
    port = get16(lan_sent[INSIDE].bytes + 34);
    assert_in_range(port, FLOW_PORT, FLOW_PORT + FLOWS - 1);
    in.from = OUTER;
    in.from_port = port;
    in.to = HOST(2);
    in.to_port = 22;
    in.ttl = 62;
    lan_is(INSIDE, in);
    back.to_port = port;
    assert_int_equal(lan_from_host(2, back, INSIDE), 1);
    assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(1), 6);
    back.from = OUTER;
    back.from_port = 2222;
    back.to = HOST(1);
    back.to_port = 4000;
    back.ttl = 62;
    lan_is(INSIDE, back);
    /* To itself, which is a card like another. */
    in = (struct pkt){
        .to = OUTER, .protocol = IP_UDP, .from_port = 4000, .to_port = 5353, .payload = 5};
    assert_int_equal(lan_from_host(1, in, INSIDE), 1);
    assert_memory_equal(lan_sent[INSIDE].bytes, lan_host_mac(1), 6);
    in.to_port = 80; /* not forwarded */
    assert_int_equal(lan_from_host(1, in, INSIDE), 0);
    assert_int_equal(lan_from_host(1, in, OUTSIDE), 0);
    in = (struct pkt){.to = OUTER, .protocol = IP_ICMP, .type = 8, .from_port = 3};
    assert_int_equal(lan_from_host(1, in, INSIDE), 1);
    assert_int_equal(lan_sent[INSIDE].bytes[34], 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lan_setup, lan_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(forwards),
        TEST(hairpin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
