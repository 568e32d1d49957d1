// SPDX-License-Identifier: BSD-2-Clause
// Switches that reach the host's network: bridges and NAT, changes of the mode, forwards that come and go.
// units: tests/fake/switch.units
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_cards.h"
#include "net/mactable.h"
#include "net/nat_flow.h"
#include "net/packet.h"

static int set_mode(const char *name, enum switch_mode mode, const char **why)
{
    return switch_set(name, &(struct switch_change){.has_mode = true, .mode = mode}, why);
}

static void a_bridge(void **state)
{
    struct switch_config bridge = {.name = "wan", .mode = SWITCH_BRIDGE, .mtu = 1500};
    struct switch_config second = {.name = "wan2", .mode = SWITCH_BRIDGE, .mtu = 1500};
    struct switch_config jumbo = {.name = "wan3", .mode = SWITCH_BRIDGE, .mtu = 1501};
    struct port_config plain = {.name = ""};
    uint8_t bytes[60] = {2, 0, 0, 0, 0, 2, 2, 1, 1, 1, 1, 1};
    struct net_frame f = {.head = bytes, .head_len = 60, .len = 60};
    struct port_info info;

    (void)state;
    fake_uplink.absent = true;
    assert_int_equal(cards_plug_into(&bridge, 0, plain), -ENODEV);
    fake_uplink.absent = false;
    assert_int_equal(cards_plug_into(&jumbo, 0, plain), -EINVAL);
    assert_int_equal(cards_plug_into(&bridge, 0, plain), 0);
    assert_int_equal(cards_plug_into(&bridge, 1, plain), 0);
    assert_int_equal(cards_plug_into(&second, 2, plain), -ENOSPC);
    cards_send(0, MAC_OF(1));
    assert_int_equal(fake_uplink.sent, 0);
    cards_send(0, 0x020101010101ull);
    cards_send(0, BROADCAST);
    assert_int_equal(fake_uplink.sent, 2);
    assert_int_equal(cards_got(), 2);
    fake_uplink.fn(fake_uplink.ctx, &f);
    assert_int_equal(cards_got(), 2);
    /* For others on the uplink, however many: broadcasts still have their share. */
    bytes[5] = 0x77;
    for (unsigned i = 0; i < 10000; i++)
        fake_uplink.fn(fake_uplink.ctx, &f);
    assert_int_equal(cards_got(), 0);
    memset(bytes, 0xff, 6);
    fake_uplink.fn(fake_uplink.ctx, &f);
    assert_int_equal(cards_got(), 3);
    assert_true(switch_get_port(0, 0, &info));
    assert_int_equal(info.counts.limited, 0);
    fake_uplink.full = true;
    cards_send(0, 0x020101010101ull);
    assert_true(switch_get_port(0, 0, &info));
    assert_string_equal(info.config.name, "wan");
    assert_int_equal(info.counts.full, 1);
    assert_int_equal(switch_set_link("wan", false), 0);
    cards_send(0, 0x020101010101ull);
    assert_true(switch_get_port(0, 0, &info));
    assert_int_equal(info.counts.down, 1);
    fake_uplink.fn(fake_uplink.ctx, &f);
    assert_int_equal(cards_got(), 0);
    cards_unplug(0);
    assert_non_null(fake_uplink.fn);
    cards_unplug(1);
    assert_null(fake_uplink.fn);
}

/* What a card of a NAT switch may send, and that the gateway is there: test_nat*.c look at the rest. */
static void a_nat_switch(void **state)
{
    struct switch_config nat = {.name = "nat",
                                .mode = SWITCH_NAT,
                                .mtu = 1500,
                                .prefix = 24,
                                .outer_prefix = 24,
                                .subnet = 0x0a4d0000,
                                .address = 0x0a00020f,
                                .router = 0x0a000202};
    struct switch_config other = nat;
    struct port_config plain = {.name = ""};
    uint8_t arp[60] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0,  1,  8, 6,
                       0,   1,   8,   0,   6,   4,   0, 1, 2, 0, 0,  0,  0, 1,
                       10,  77,  0,   2,   0,   0,   0, 0, 0, 0, 10, 77, 0, 1};
    struct net_frame f = {.head = arp, .head_len = 60, .len = 60};
    struct switch_info info;

    (void)state;
    assert_int_equal(cards_plug_into(&nat, 0, plain), 0);
    assert_int_equal(cards_plug_into(&nat, 1, plain), 0);
    other.subnet = 0x0a4e0000;
    assert_int_equal(cards_plug_into(&other, 2, plain), -EINVAL);
    cards[0].net->send(cards[0].net->ctx, &f);
    assert_int_equal(cards_got(), 3); /* the question to the other card, the answer to itself */
    assert_int_equal(get16(cards[0].last + 20), 2);
    assert_memory_equal(cards[0].last + 28, "\x0a\x4d\0\1", 4);
    arp[31] = 3; /* the other's address */
    cards[0].net->send(cards[0].net->ctx, &f);
    assert_int_equal(cards_got(), 0);
    assert_int_equal(cards_info(0).counts.spoofed, 1);
    assert_true(switch_get(0, &info));
    assert_memory_equal(info.inside, "0 flows", 7);
    cards_unplug(0);
    assert_non_null(fake_uplink.fn);
    cards_unplug(1);
    assert_null(fake_uplink.fn);
}

static const struct switch_config any = {.name = "any",
                                         .mtu = 1500,
                                         .prefix = 24,
                                         .outer_prefix = 24,
                                         .subnet = 0x0a4d0000,
                                         .address = 0x0a00020f,
                                         .router = 0x0a000202};

static void a_late_frame(void)
{
    uint8_t bytes[60] = {2, 0, 0, 0, 0, 1, 2, 1, 1, 1, 1, 1};
    struct net_frame f = {.head = bytes, .head_len = 60, .len = 60};

    fake_uplink.fn(fake_uplink.ctx, &f);
}

/* What comes from the uplink while the switch leaves it teaches nothing. */
static void a_bridge_is_left(void **state)
{
    const char *why;

    (void)state;
    assert_int_equal(cards_plug_into(&any, 0, (struct port_config){.name = ""}), 0);
    assert_int_equal(cards_plug_into(&any, 1, (struct port_config){.any_mac = true}), 0);
    assert_int_equal(set_mode("any", SWITCH_BRIDGE, &why), 0);
    cards_got();
    cards_on_link = a_late_frame;
    assert_int_equal(set_mode("any", SWITCH_INTERNAL, &why), 0);
    assert_null(cards_on_link);
    assert_int_equal(cards_got(), 1);
    cards_send(0, 0x020101010101ull);
    assert_int_equal(cards_got(), 2);
    cards_unplug(0);
    cards_unplug(1);
}

static void a_mode_is_changed(void **state)
{
    struct port_config gateways = {.name = "", .mac = {2}};
    struct switch_info info;
    struct port_info port;
    unsigned cursor = 0;
    struct switch_mac mac;
    const char *why;

    (void)state;
    assert_int_equal(cards_plug_into(&any, 0, (struct port_config){.name = ""}), 0);
    assert_int_equal(cards_plug_into(&any, 1, (struct port_config){.name = ""}), 0);
    assert_int_equal(set_mode("none", SWITCH_NAT, &why), -ENOENT);
    /* What cannot be leaves everything as it was. */
    fake_uplink.absent = true;
    assert_int_equal(set_mode("any", SWITCH_BRIDGE, &why), -ENODEV);
    fake_uplink.absent = false;
    for (unsigned left = 0; left < 2; left++) {
        fake_heap_left = (int)left;
        assert_int_equal(set_mode("any", SWITCH_NAT, &why), -ENOMEM);
    }
    fake_heap_left = -1;
    assert_int_equal(cards_plug_into(&any, 2, gateways), 0);
    assert_int_equal(set_mode("any", SWITCH_NAT, &why), -EEXIST);
    assert_null(fake_uplink.fn);
    cards_unplug(2);
    assert_true(switch_get(0, &info));
    assert_int_equal(info.config.mode, SWITCH_INTERNAL);
    cards_send(0, BROADCAST);
    assert_int_equal(cards_got(), 2);
    /* A bridge: unknown addresses are outside. */
    assert_int_equal(set_mode("any", SWITCH_BRIDGE, &why), 0);
    cards_send(0, 0x020101010101ull);
    assert_int_equal(fake_uplink.sent, 1);
    assert_true(switch_get_port(0, 0, &port));
    assert_true(port.own && port.link);
    assert_int_equal(switch_set_port("any", NULL, &port.link), -ENOENT);
    /* To a NAT, when its uplink is free, which the bridge has. */
    assert_int_equal(set_mode("any", SWITCH_NAT, &why), -ENOSPC);
    assert_int_equal(set_mode("any", SWITCH_BRIDGE, &why), 0);
    assert_int_equal(set_mode("any", SWITCH_INTERNAL, &why), 0);
    assert_null(fake_uplink.fn);
    cards_send(0, 0x020101010101ull);
    assert_int_equal(cards_got(), 0);
    assert_int_equal(set_mode("any", SWITCH_NAT, &why), 0);
    assert_true(switch_get(0, &info));
    assert_int_equal(info.address, 0x0a00020f);
    assert_int_equal(info.flow_limit, FLOWS);
    while (switch_next_mac(0, &cursor, &mac))
        assert_true(mac.fixed);
    assert_int_equal(cursor, MACTABLE_SETS * MACTABLE_WAYS);
    /* Who comes now is of the bundle that said it is internal; and the gateway knows who was there before. */
    assert_int_equal(cards_plug_into(&any, 2, (struct port_config){.name = ""}), 0);
    cards_unplug(0);
    cards_unplug(1);
    cards_unplug(2);
    assert_null(fake_uplink.fn);
}

static void forwards_come_and_go(void **state)
{
    struct nat_forward w = {IP_TCP, 8080, 80, "vm1"}, got_back;
    const char *why;
    uint32_t address;

    (void)state;
    assert_int_equal(cards_plug_into(&any, 0, (struct port_config){.name = ""}), 0);
    assert_int_equal(cards_plug_into(&any, 1, (struct port_config){.name = ""}), 0);
    assert_int_equal(switch_forward_add("any", &w, 0, &why), -ENOENT);
    assert_non_null(strstr(why, "not a NAT"));
    assert_int_equal(switch_forward_add("none", &w, 0, &why), -ENOENT);
    assert_int_equal(set_mode("any", SWITCH_NAT, &why), 0);
    assert_int_equal(switch_forward_add("any", &w, 0, &why), 0);
    assert_true(switch_get_forward(0, 0, &got_back, &address));
    assert_string_equal(got_back.to, "vm1.0");
    assert_int_equal(address, 0x0a4d0003);
    assert_int_equal(switch_forward_add("any", &w, 0, &why), -EEXIST); /* the port is taken */
    w.port = 8081;
    assert_int_equal(switch_forward_add("any", &w, 0, &why), -EEXIST); /* the card's port */
    w.protocol = IP_UDP;
    w.to[0] = '\0';
    assert_int_equal(switch_forward_add("any", &w, 0x0a4d0009, &why), -ENOENT);
    assert_int_equal(switch_forward_add("any", &w, 0x0a4d0002, &why), 0);
    assert_true(switch_get_forward(0, 1, &got_back, &address));
    assert_string_equal(got_back.to, "vm0.0");
    snprintf(w.to, sizeof(w.to), "vm");
    w.port = 1;
    assert_int_equal(switch_forward_add("any", &w, 0, &why), -ENOENT); /* part of a name */
    assert_int_equal(switch_forward_remove("any", IP_TCP, 8081, &why), -ENOENT);
    assert_int_equal(switch_forward_remove("any", IP_TCP, 8080, &why), 0);
    assert_true(switch_get_forward(0, 0, &got_back, &address));
    assert_int_equal(got_back.protocol, IP_UDP);
    assert_false(switch_get_forward(0, 1, &got_back, &address));
    snprintf(w.to, sizeof(w.to), "vm1.0");
    for (unsigned i = 1; i < 32; i++) {
        w.port = w.to_port = (uint16_t)i;
        assert_int_equal(switch_forward_add("any", &w, 0, &why), 0);
    }
    w.port = w.to_port = 99;
    assert_int_equal(switch_forward_add("any", &w, 0, &why), -ENOSPC);
    cards_unplug(1);
    assert_true(switch_get_forward(0, 5, &got_back, &address));
    assert_int_equal(address, 0);
}

#define TEST(f) cmocka_unit_test_teardown(f, cards_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bridge),          TEST(a_nat_switch),         TEST(a_bridge_is_left),
        TEST(a_mode_is_changed), TEST(forwards_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
