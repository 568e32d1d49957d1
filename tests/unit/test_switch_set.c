// SPDX-License-Identifier: BSD-2-Clause
// A NAT's addresses changed as it runs: what stays, what ends, and what is refused without a trace.
// units: tests/fake/switch.units tests/fake/fake_pkt.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "fake_cards.h"
#include "fake_pkt.h"
#include "net/dhcp.h"
#include "net/net_text.h"
#include "sched/timer.h"

static const struct switch_config nat = {.name = "lan",
                                         .mode = SWITCH_NAT,
                                         .mtu = 1500,
                                         .prefix = 24,
                                         .outer_prefix = 24,
                                         .subnet = IP(10, 77, 0, 0),
                                         .address = IP(10, 0, 2, 15),
                                         .router = IP(10, 0, 2, 2),
                                         .forwards = 1,
                                         .forward = {{IP_TCP, 2222, 22, "vm1.0"}}};
static const char *why;

/* "mode=nat subnet=10.78.0.0/24", as people write it. */
static int set(const char *words)
{
    struct switch_change change = {.has_mode = false};
    char text[160], *rest = text;

    snprintf(text, sizeof(text), "%s", words);
    for (char *word; (word = strsep(&rest, " "));) {
        char *value = strchr(word, '=');

        *value++ = '\0';
        assert_true(net_text_setting(word, value, &change));
    }
    return switch_set("lan", &change, &why);
}

static struct switch_info lan(void)
{
    struct switch_info info;

    assert_true(switch_get(0, &info));
    return info;
}

/* The card asks for its address, and gets it. */
static void lease(unsigned n, uint32_t address)
{
    uint8_t bytes[14 + 28 + 300];
    struct pkt k = {.to = 0xffffffff,
                    .from_port = DHCP_CLIENT_PORT,
                    .to_port = DHCP_SERVER_PORT,
                    .protocol = IP_UDP,
                    .payload = 300};
    uint8_t *m = bytes + 42, *o = m + DHCP_OPTIONS;
    struct net_piece rest = {.hva = bytes + NET_HEAD, .len = sizeof(bytes) - NET_HEAD};
    struct net_data data = {.piece = &rest, .pieces = 1, .read = net_read_host};
    struct net_frame f = {.head = bytes, .head_len = NET_HEAD, .len = sizeof(bytes), .data = &data};

    pkt_put(bytes + 14, &k);
    memset(bytes, 0xff, NET_MAC);
    memcpy(bytes + NET_MAC, cards[n].net->mac, NET_MAC);
    put16(bytes + 12, ETH_IPV4);
    memset(m, 0, 300);
    m[DHCP_OP] = DHCP_ASKS;
    put32(m + DHCP_MAGIC, DHCP_COOKIE);
    o = dhcp_put(o, DHCP_OPTION_TYPE, 1, DHCP_REQUEST);
    o = dhcp_put(o, DHCP_OPTION_ADDRESS, 4, address);
    *o = DHCP_OPTION_END;
    cards[n].net->send(cards[n].net->ctx, &f);
}

static unsigned leases(void)
{
    struct switch_lease l;
    unsigned n = 0;

    for (unsigned at = 0; switch_next_lease(0, &at, &l);)
        n++;
    return n;
}

/* What the ith forward leads to. */
static uint32_t forward(unsigned i, uint16_t *port)
{
    struct nat_forward w;
    uint32_t address;

    *port = 0;
    if (!switch_get_forward(0, i, &w, &address))
        return 0;
    *port = w.port;
    return address;
}

static void open_nat(void)
{
    fake_uplink.spare = true;
    fake_time = 1000 * timer_hz; /* a lease at 0 would be none */
    assert_int_equal(cards_plug_into(&nat, 0, (struct port_config){.name = ""}), 0);
    assert_int_equal(cards_plug_into(&nat, 1, (struct port_config){.name = ""}), 0);
}

/* On the uplink: who has a lease or a forward keeps it. */
static void the_outer_address(void **state)
{
    struct nat_forward added = {IP_TCP, 8080, 80, "vm0"};
    uint16_t port;
    void *before;

    (void)state;
    open_nat();
    lease(0, IP(10, 77, 0, 2));
    assert_int_equal(leases(), 1);
    assert_int_equal(switch_forward_add("lan", &added, 0, &why), 0);
    assert_int_equal(switch_forward_remove("lan", IP_TCP, 2222, &why), 0);
    before = fake_uplink.ctx;
    assert_int_equal(set("address=10.0.2.15/24 router=10.0.2.2 mode=nat"), 0); /* as it is */
    assert_ptr_equal(fake_uplink.ctx, before);
    assert_int_equal(set("address=10.0.3.20/24 router=10.0.3.1 dns=10.0.3.3"), 0);
    assert_ptr_not_equal(fake_uplink.ctx, before);
    assert_null(fake_uplink.older_fn);
    assert_int_equal(lan().address, IP(10, 0, 3, 20));
    assert_int_equal(lan().config.dns, IP(10, 0, 3, 3));
    assert_int_equal(leases(), 1);
    assert_int_equal(forward(0, &port), IP(10, 77, 0, 2));
    assert_int_equal(port, 8080);
    assert_int_equal(forward(1, &port), 0);
    /* By DHCP: asked for at once, and there is none until somebody answers. */
    assert_int_equal(set("address=dhcp"), 0);
    assert_true(fake_uplink.sent > 0);
    assert_int_equal(lan().address, 0);
    assert_int_equal(lan().config.router, 0);
    assert_int_equal(set("mode=internal"), 0);
    assert_int_equal(set("mode=nat"), 0);
    forward(0, &port);
    assert_int_equal(port, 2222); /* the bundle's is back, the added one gone */
}

static void the_subnet(void **state)
{
    uint16_t port;

    (void)state;
    open_nat();
    lease(0, IP(10, 77, 0, 2));
    lease(1, IP(10, 77, 0, 9)); /* refused: not its own */
    assert_int_equal(leases(), 1);
    assert_int_equal(set("subnet=10.78.0.0/24"), -EBUSY);
    assert_non_null(strstr(why, "take their links down"));
    assert_int_equal(set("subnet=10.77.0.0/16"), -EBUSY);
    assert_int_equal(lan().config.subnet, IP(10, 77, 0, 0));
    assert_int_equal(lan().config.prefix, 24);
    assert_int_equal(switch_set_link("vm0.0", false), 0);
    assert_int_equal(set("subnet=10.78.0.0/24"), 0);
    assert_int_equal(leases(), 0);
    assert_int_equal(forward(0, &port), IP(10, 78, 0, 3));
    assert_int_equal(switch_set_link("vm0.0", true), 0);
    lease(0, IP(10, 77, 0, 2));
    assert_int_equal(leases(), 0);
    lease(0, IP(10, 78, 0, 2));
    assert_int_equal(leases(), 1);
    /* Who is no NAT has no leases: it is said for when it is one again. */
    assert_int_equal(set("mode=internal"), 0);
    assert_int_equal(set("subnet=10.79.0.0/24"), 0);
    assert_null(fake_uplink.fn);
    assert_int_equal(set("mode=nat"), 0);
    lease(1, IP(10, 79, 0, 3));
    assert_int_equal(leases(), 1);
    /* With the mode, at once; and what is wrong changes neither. */
    assert_int_equal(set("mode=internal subnet=10.80.0.0/26"), -EINVAL);
    assert_int_equal(lan().config.mode, SWITCH_NAT);
    assert_int_equal(set("mode=internal subnet=10.80.0.0/24"), 0);
    assert_int_equal(lan().config.subnet, IP(10, 80, 0, 0));
}

static void what_cannot_be(void **state)
{
    static const char *const wrong[][2] = {
        {"subnet=10.78.0.0/26", "no room"},
        {"subnet=127.0.0.0/24", "no machine"},
        {"subnet=224.0.0.0/24", "no machine"},
        {"router=10.0.3.2", "not in the network"},
        {"address=10.0.3.15/24", "not in the network"},
        {"address=dhcp router=10.0.2.2", "come together"},
        {"address=10.0.2.2/24", "two machines"},
        {"address=127.0.0.2/24 router=127.0.0.1", "two machines"},
        {"address=10.77.0.200/24 router=10.77.0.201", "in common"},
        {"subnet=10.0.0.0/16", "in common"},
    };
    struct switch_info after;
    void *ctx;

    (void)state;
    open_nat();
    ctx = fake_uplink.ctx;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(set(wrong[i][0]), -EINVAL);
        if (!strstr(why, wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], why);
    }
    assert_int_equal(switch_set("wan", &(struct switch_change){.has_dns = true}, &why), -ENOENT);
    /* No room for it beside the one that it replaces; no memory. */
    fake_uplink.spare = false;
    assert_int_equal(set("dns=10.0.2.9"), -ENOSPC);
    fake_uplink.spare = true;
    for (int left = 0; left < 2; left++) {
        fake_heap_left = left;
        assert_int_equal(set("dns=10.0.2.9"), -ENOMEM);
    }
    fake_heap_left = -1;
    after = lan();
    assert_memory_equal(&after.config, &nat, sizeof(nat));
    assert_ptr_equal(fake_uplink.ctx, ctx);
    assert_int_equal(set("dns=10.0.2.9"), 0);
}

#define TEST(f) cmocka_unit_test_teardown(f, cards_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_outer_address),
        TEST(the_subnet),
        TEST(what_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
