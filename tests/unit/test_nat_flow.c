// SPDX-License-Identifier: BSD-2-Clause
// The table of a NAT's flows: shares, ages, and that its lists and counts are what the flows say.
// units: hyp/net/nat_flow.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_pkt.h"
#include "net/nat_flow.h"

#define FAR IP(192, 0, 2, 7)

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
        {IP_TCP, FLOW_TCP, {PKT_SYN}},
        {IP_TCP, FLOW_TCP_OPEN, {PKT_SYN, 0x80 | PKT_SYN | PKT_ACK, PKT_ACK}},
        {IP_TCP, FLOW_TCP_OPEN, {PKT_SYN, 0x80 | PKT_SYN | PKT_ACK, PKT_ACK | 1}},
        {IP_TCP, FLOW_TCP, {PKT_SYN, 0x80 | PKT_SYN | PKT_ACK, PKT_ACK | 1, 0x80 | PKT_ACK | 1}},
        {IP_TCP, FLOW_TCP_RESET, {PKT_SYN, 0x80 | PKT_SYN | PKT_ACK, PKT_ACK, 0x80 | PKT_RST}},
        {IP_TCP, FLOW_TCP_OPEN, {PKT_SYN, 0x80 | PKT_RST, PKT_SYN, 0x80 | PKT_SYN | PKT_ACK}},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_host_cannot_take_all),
        cmocka_unit_test(ages),
        cmocka_unit_test(consistent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
