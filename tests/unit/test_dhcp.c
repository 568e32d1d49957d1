// SPDX-License-Identifier: BSD-2-Clause
// The DHCP client against a server of the test's: what it asks when, what it takes and refuses, renewal and loss.
// units: hyp/net/dhcp_client.c hyp/net/dhcp.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/dhcp_client.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define OURS IP(10, 0, 2, 15)
#define SERVER IP(10, 0, 2, 2)
#define ALL 0xffffffffu
static const uint8_t mac[NET_MAC] = {0x52, 0x54, 0, 0, 0, 1};

static struct dhcp_client c;
static uint32_t now;
/* What it sent last. */
static uint8_t out[DHCP_MOST];
static uint32_t out_size, out_to;

static int begin(void **state)
{
    (void)state;
    now = 4294967290u; /* seconds wrap while it runs */
    dhcp_client_begin(&c, mac, "lan", 77, now);
    return 0;
}

static enum dhcp_event step(void) { return dhcp_client_step(&c, now, out, &out_size, &out_to); }

static uint8_t type_of(const uint8_t *m)
{
    const uint8_t *type = dhcp_find(m, out_size, DHCP_OPTION_TYPE, 1);

    return type ? *type : 0;
}

/* A server's message, as it should be; tests change parts of it. */
struct answer {
    uint8_t type;
    uint32_t address, mask, router, dns, server, lease, t1, t2, xid;
};
static uint8_t in[DHCP_MOST];
static uint32_t in_size;

static struct answer good(uint8_t type)
{
    return (struct answer){.type = type,
                           .address = OURS,
                           .mask = 0xffffff00,
                           .router = SERVER,
                           .dns = IP(10, 0, 2, 3),
                           .server = SERVER,
                           .lease = 86400};
}

static void compose(struct answer a)
{
    uint8_t *to = in + DHCP_OPTIONS;

    memset(in, 0, sizeof(in));
    in[DHCP_OP] = DHCP_ANSWERS;
    put32(in + DHCP_XID, a.xid ? a.xid : c.xid);
    put32(in + DHCP_YOURS, a.address);
    memcpy(in + DHCP_MAC, mac, NET_MAC);
    put32(in + DHCP_MAGIC, DHCP_COOKIE);
    to = dhcp_put(to, DHCP_OPTION_TYPE, 1, a.type);
    const struct {
        uint8_t option;
        uint32_t value;
    } options[] = {{DHCP_OPTION_MASK, a.mask},   {DHCP_OPTION_ROUTER, a.router},
                   {DHCP_OPTION_DNS, a.dns},     {DHCP_OPTION_SERVER, a.server},
                   {DHCP_OPTION_LEASE, a.lease}, {DHCP_OPTION_T1, a.t1},
                   {DHCP_OPTION_T2, a.t2}};
    for (unsigned i = 0; i < ARRAY_LEN(options); i++)
        if (options[i].value)
            to = dhcp_put(to, options[i].option, 4, options[i].value);
    *to++ = DHCP_OPTION_END;
    in_size = (uint32_t)(to - in);
}

static enum dhcp_event give(struct answer a)
{
    compose(a);
    return dhcp_client_take(&c, now, in, in_size);
}

static void bind(uint32_t seconds)
{
    struct answer offer = good(DHCP_OFFER), ack = good(DHCP_ACK);

    offer.lease = ack.lease = seconds;
    step();
    assert_int_equal(give(offer), DHCP_CHOSEN);
    step();
    assert_int_equal(give(ack), DHCP_GRANTED);
    assert_int_equal(c.state, DHCP_BOUND);
}

/* ---- tests ---- */

static void from_nothing_to_an_address(void **state)
{
    const uint8_t *o;

    (void)state;
    assert_int_equal(give(good(DHCP_OFFER)), DHCP_NOTHING); /* nobody asked */
    assert_int_equal(step(), DHCP_NOTHING);
    assert_int_equal(out_to, ALL);
    assert_true(out_size >= 300);
    assert_int_equal(type_of(out), DHCP_DISCOVER);
    assert_int_equal(out[0], 1);
    assert_memory_equal(out + 28, mac, 6);
    o = dhcp_find(out, out_size, DHCP_OPTION_CLIENT, 4);
    assert_memory_equal(o, "\0lan", 4);
    assert_null(dhcp_find(out, out_size, DHCP_OPTION_ADDRESS, 4));
    assert_int_equal(give(good(DHCP_ACK)), DHCP_NOTHING);
    assert_int_equal(give(good(DHCP_OFFER)), DHCP_CHOSEN);
    assert_int_equal(c.lease.address, 0);
    assert_true(dhcp_client_is_due(&c, now));
    step();
    assert_int_equal(type_of(out), DHCP_REQUEST);
    assert_int_equal(get32(dhcp_find(out, out_size, DHCP_OPTION_ADDRESS, 4)), OURS);
    assert_int_equal(get32(dhcp_find(out, out_size, DHCP_OPTION_SERVER, 4)), SERVER);
    assert_int_equal(get32(out + DHCP_CLIENT), 0);
    assert_int_equal(give(good(DHCP_ACK)), DHCP_GRANTED);
    assert_int_equal(c.lease.address, OURS);
    assert_int_equal(c.lease.prefix, 24);
    assert_int_equal(c.lease.router, SERVER);
    assert_int_equal(c.lease.dns, IP(10, 0, 2, 3));
    assert_int_equal(c.due - now, 43200);
    assert_int_equal(give(good(DHCP_ACK)), DHCP_NOTHING); /* once */
}

static void it_asks_again(void **state)
{
    uint32_t waits = 0, last = now;
    unsigned silences = 0, sent = 0;

    (void)state;
    for (unsigned i = 0; i < 600; i++, now++) {
        silences += step() == DHCP_SILENCE;
        if (!out_size)
            continue;
        assert_int_equal(type_of(out), DHCP_DISCOVER);
        if (sent++) {
            assert_true(now - last + 2 >= waits && now - last >= 3 && now - last <= 65);
            waits = now - last;
        }
        last = now;
    }
    assert_int_equal(silences, 1); /* people are told once */
    assert_in_range(sent, 10, 15);
    assert_int_equal(give(good(DHCP_OFFER)), DHCP_CHOSEN);
    /* The server says nothing more: after some time it begins anew. */
    sent = 0;
    for (unsigned i = 0; i < 100; i++, now++) {
        step();
        if (!out_size)
            continue;
        if (type_of(out) == DHCP_DISCOVER)
            break;
        sent++;
    }
    assert_int_equal(sent, 4);
    assert_int_equal(c.state, DHCP_SELECTING);
    bind(3600);
    assert_false(c.silent);
}

static void offers_of_no_use(void **state)
{
    static const struct {
        struct answer a;
        const char *why;
    } bad[] = {
        {{.mask = 0xff00ff00}, "mask"},
        {{.mask = 0xffffffff}, "mask"},
        {{.mask = 0xfe000000}, "mask"},
        {{.address = IP(10, 0, 2, 255)}, "host"},
        {{.address = IP(10, 0, 2, 0)}, "host"},
        {{.address = IP(127, 0, 0, 1)}, "host"},
        {{.address = IP(224, 0, 0, 1)}, "host"},
        {{.address = ALL}, "host"},
        {{.router = IP(10, 0, 3, 2)}, "router"},
        {{.router = OURS}, "router"},
        {{.router = IP(10, 0, 2, 255)}, "router"},
        {{.lease = 59}, "minute"},
    };

    (void)state;
    step();
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct answer a = good(DHCP_OFFER);

        a.mask = bad[i].a.mask ? bad[i].a.mask : a.mask;
        a.address = bad[i].a.address ? bad[i].a.address : a.address;
        a.router = bad[i].a.router ? bad[i].a.router : a.router;
        a.lease = bad[i].a.lease ? bad[i].a.lease : a.lease;
        assert_int_equal(give(a), i ? DHCP_NOTHING : DHCP_USELESS); /* said once */
        assert_non_null(strstr(c.why, bad[i].why));
        assert_int_equal(c.state, DHCP_SELECTING);
    }
    c.avoid = IP(10, 0, 0, 1);
    c.avoid_mask = 0xffff0000;
    give(good(DHCP_OFFER));
    assert_non_null(strstr(c.why, "inside"));
    c.avoid_mask = 0xffffff00;
    assert_int_equal(give(good(DHCP_OFFER)), DHCP_CHOSEN);
}

static void answers_of_others(void **state)
{
    struct answer a = good(DHCP_OFFER);

    (void)state;
    step();
    a.xid = c.xid + 1;
    assert_int_equal(give(a), DHCP_NOTHING);
    for (uint32_t size = 0; size < in_size; size++) { /* cut short anywhere */
        compose(good(DHCP_OFFER));
        (void)dhcp_client_take(&c, now, in, size);
        assert_true(c.state == DHCP_SELECTING || size > DHCP_OPTIONS + 24);
        begin(NULL);
        step();
    }
    compose(good(DHCP_OFFER));
    in[DHCP_OP] = DHCP_ASKS;
    assert_int_equal(dhcp_client_take(&c, now, in, in_size), DHCP_NOTHING);
    compose(good(DHCP_OFFER));
    in[DHCP_MAC + 5] ^= 1;
    assert_int_equal(dhcp_client_take(&c, now, in, in_size), DHCP_NOTHING);
    compose(good(DHCP_OFFER));
    in[DHCP_MAGIC] ^= 1;
    assert_int_equal(dhcp_client_take(&c, now, in, in_size), DHCP_NOTHING);
    assert_int_equal(give(good(DHCP_OFFER)), DHCP_CHOSEN);
    step();
    /* Only the server that was chosen confirms, and what it offered. */
    a = good(DHCP_ACK);
    a.server = SERVER + 1;
    assert_int_equal(give(a), DHCP_NOTHING);
    a = good(DHCP_NAK);
    a.server = SERVER + 1;
    assert_int_equal(give(a), DHCP_NOTHING);
    a = good(DHCP_ACK);
    a.address = OURS + 1;
    assert_int_equal(give(a), DHCP_NOTHING);
    assert_int_equal(give(good(DHCP_ACK)), DHCP_GRANTED);
}

static void renewed(void **state)
{
    struct answer a = good(DHCP_ACK);

    (void)state;
    bind(4000);
    for (unsigned i = 0; i < 5; i++) {
        now = c.due - 1;
        step();
        assert_int_equal(out_size, 0);
        now++;
        step();
        assert_int_equal(out_to, SERVER);
        assert_int_equal(type_of(out), DHCP_REQUEST);
        assert_int_equal(get32(out + DHCP_CLIENT), OURS);
        assert_null(dhcp_find(out, out_size, DHCP_OPTION_ADDRESS, 4));
        assert_null(dhcp_find(out, out_size, DHCP_OPTION_SERVER, 4));
        now += 3;
        a.lease = 4000;
        a.server = SERVER + 1; /* another one's: only while it asks all */
        assert_int_equal(give(a), DHCP_NOTHING);
        a.server = SERVER;
        a.dns = i == 3 ? IP(1, 1, 1, 1) : a.dns;
        assert_int_equal(give(a), i == 3 ? DHCP_GRANTED : DHCP_RENEWED);
        assert_int_equal(c.due, now - 3 + 2000); /* counted from when it was asked for */
    }
}

static void lost(void **state)
{
    uint32_t granted = now;
    unsigned to_server = 0, to_all = 0;

    (void)state;
    bind(4000);
    while (step() != DHCP_LOST) {
        if (out_size) {
            to_server += out_to == SERVER;
            to_all += out_to == ALL;
        }
        assert_int_equal(c.lease.address, OURS);
        now++;
        assert_true(now - granted <= 4000);
    }
    assert_int_equal(now - granted, 4000);
    assert_in_range(to_server, 2, 6);
    assert_in_range(to_all, 1, 4);
    assert_int_equal(c.lease.address, 0);
    assert_int_equal(c.state, DHCP_SELECTING);
    bind(4000);
    now = c.due;
    step();
    assert_int_equal(give(good(DHCP_NAK)), DHCP_LOST);
    assert_int_equal(c.lease.address, 0);
    step();
    assert_int_equal(out_size, 0); /* not at once */
    now += 10;
    step();
    assert_int_equal(type_of(out), DHCP_DISCOVER);
    /* One for ever. */
    bind(ALL);
    now += 0x7ffffff0;
    step();
    assert_int_equal(out_size, 0);
}

static void times_that_make_no_sense(void **state)
{
    struct answer offer = good(DHCP_OFFER), ack = good(DHCP_ACK);

    (void)state;
    step();
    assert_int_equal(give(offer), DHCP_CHOSEN);
    step();
    ack.t1 = 90000;
    ack.t2 = 80000;
    assert_int_equal(give(ack), DHCP_GRANTED);
    assert_int_equal(c.lease.t1, 43200);
    assert_int_equal(c.lease.t2, 75600);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(from_nothing_to_an_address), TEST(it_asks_again), TEST(offers_of_no_use),
        TEST(answers_of_others),          TEST(renewed),       TEST(lost),
        TEST(times_that_make_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
