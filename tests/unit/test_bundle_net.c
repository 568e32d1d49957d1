// SPDX-License-Identifier: BSD-2-Clause
// Networks in a bundle: VMs' cards, and the switches that they are of. Mistakes are tables, each with what must be said of it.
// units: tests/fake/bundle.units
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "fake_tree.h"

#define LAN "/switches/lan0"

/* Two switches that are internal, beside a good VM: with one card, at the first of them. */
static void open_networks(void)
{
    tree_open();
    tree_add("/", "switches");
    tree_add("/switches", "lan0");
    tree_set_s(LAN, "mode", "internal");
    tree_add("/switches", "jumbo");
    tree_set_s("/switches/jumbo", "mode", "internal");
    tree_set_u32("/switches/jumbo", "mtu", 9000);
    tree_set_s(VM, "nets", "lan0");
}

static void test_cards(void **state)
{
    static const char cards[] =
        "lan0\0jumbo,mac=02:ab:CD:00:11:ff,isolated,any-mac,rate=10M\0lan0,rate=4096";
    const struct vm_net *n = tree_vm[0].net;

    (void)state;
    open_networks();
    tree_set(VM, "nets", cards, sizeof(cards));
    assert_int_equal(tree_read(), 0);
    assert_string_equal(tree_logged, "");
    assert_int_equal(tree_vm[0].net_count, 3);
    assert_string_equal(n[0].network.name, "lan0");
    assert_int_equal(n[0].network.mtu, 1500);
    assert_false(n[0].port.isolated || n[0].port.any_mac || n[0].port.rate || n[0].port.mac[0]);
    assert_string_equal(n[1].network.name, "jumbo");
    assert_int_equal(n[1].network.mtu, 9000);
    assert_memory_equal(n[1].port.mac, "\x02\xab\xcd\x00\x11\xff", 6);
    assert_true(n[1].port.isolated && n[1].port.any_mac);
    assert_int_equal(n[1].port.rate, 10 << 20);
    assert_int_equal(n[2].port.rate, 4096);
}

static void test_card_mistakes(void **state)
{
    static const char *const wrong[] = {
        "lan0,",
        "lan0,mac",
        "lan0,mac=",
        "lan0,mac=02:00:00:00:00",
        "lan0,rate",
        "lan0,rate=",
        "lan0,rate=4095",
        "lan0,rate=4G",
        "lan0,rate=10X",
        "lan0,rate=10MM",
        "lan0,rate=-1",
        "lan0,isolated=1",
        "lan0,any-mac=",
        "lan0,mac=03:00:00:00:00:00",
        "lan0,mac=00:00:00:00:00:00",
        "lan0,mac=02:00:00:00:00:0g",
        "lan0,mac=02-00:00:00:00:00",
        "lan0,other=1",
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        open_networks();
        tree_set_s(VM, "nets", wrong[i]);
        tree_refused("'vm0'", "is none of mac=");
    }
}

static void test_modes(void **state)
{
    const struct switch_config *s = &tree_vm[0].net[0].network;
    static const char forwards[] = "tcp:2222:vm0:22\0udp:53:vm1.2:5353";

    (void)state;
    open_networks();
    tree_set_s(LAN, "mode", "bridge");
    assert_int_equal(tree_read(), 0);
    assert_int_equal(s->mode, SWITCH_BRIDGE);
    tree_set_s(LAN, "mode", "nat");
    assert_int_equal(tree_read(), 0);
    assert_int_equal(s->mode, SWITCH_NAT);
    assert_int_equal(s->subnet, 0x0a4d0000);
    assert_int_equal(s->prefix, 24);
    assert_int_equal(s->address, 0); /* by DHCP */
    assert_int_equal(s->forwards, 0);
    tree_set_s(LAN, "subnet", "192.168.0.0/16");
    tree_set_s(LAN, "address", "172.16.0.9/12");
    tree_set_s(LAN, "router", "172.16.0.1");
    tree_set_s(LAN, "dns", "8.8.4.4");
    tree_set(LAN, "forward", forwards, sizeof(forwards));
    assert_int_equal(tree_read(), 0);
    assert_int_equal(s->subnet, 0xc0a80000);
    assert_int_equal(s->prefix, 16);
    assert_int_equal(s->address, 0xac100009);
    assert_int_equal(s->outer_prefix, 12);
    assert_int_equal(s->router, 0xac100001);
    assert_int_equal(s->dns, 0x08080404);
    assert_int_equal(s->forwards, 2);
    assert_int_equal(s->forward[0].protocol, 6);
    assert_int_equal(s->forward[0].port, 2222);
    assert_int_equal(s->forward[0].to_port, 22);
    assert_string_equal(s->forward[0].to, "vm0.0");
    assert_string_equal(s->forward[1].to, "vm1.2");
}

/* A property that is wrong. */
struct mistake {
    const char *path, *name, *value;
    size_t len; /* 0: of the string */
    const char *says;
};
#define WRONG(path, name, value, says) {path, name, value, 0, says}

static void refused(const char *mode, const struct mistake *m)
{
    open_networks();
    tree_set_s(LAN, "mode", mode);
    tree_set(m->path, m->name, m->value, m->len ? m->len : strlen(m->value) + 1);
    tree_refused("'vm0'", m->says);
}

static void test_switch_mistakes(void **state)
{
    static const struct mistake wrong[] = {
        WRONG(VM, "nets", "lan1", "no switch 'lan1' in /switches"),
        WRONG(VM, "nets", "", "a switch's name has 1 to 15 characters"),
        WRONG(VM, "nets", "sixteencharacter", "a switch's name has 1 to 15 characters"),
        {VM, "nets", "lan0", 4, "nets must be a list of strings"},
        {VM, "nets", "lan0\0lan0\0lan0\0lan0", 20, "nets: more than 3"},
        WRONG(LAN, "mode", "hub", "switch 'lan0': mode must be"),
        {LAN, "mtu", "\0\0\x02\x3f", 4, "switch 'lan0': mtu must be one number, 576 to 65521"},
        {LAN, "mtu", "\0\0\xff\xf2", 4, "mtu"},
        WRONG(LAN, "mtu", "1500", "mtu"),
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
        refused("internal", &wrong[i]);
    open_networks();
    tree_del(LAN, "mode");
    tree_refused("'vm0'", "switch 'lan0': mode must be");
    open_networks();
    assert_int_equal(fdt_del_node(tree_buf, tree_node("/switches")), 0);
    tree_refused("'vm0'", "no switch 'lan0'");
}

static void test_nat_mistakes(void **state)
{
    static const char nine[] = "tcp:1:v:1\0tcp:2:v:1\0tcp:3:v:1\0tcp:4:v:1\0tcp:5:v:1\0tcp:6:v:"
                               "1\0tcp:7:v:1\0tcp:8:v:1\0tcp:9:v:1";
    static const struct mistake wrong[] = {
        WRONG(LAN, "subnet", "10.0.0.0/26", "a prefix of more than 25 bits"),
        WRONG(LAN, "router", "10.0.2.2", "address and router come together"),
        WRONG(LAN, "address", "10.0.2.15/24", "address and router come together"),
        WRONG(LAN, "dns", "10.0.2.3/24", "dns must be an address"),
        {LAN, "forward", "tcp:1:v:1", 9, "forward must be a list of strings"},
        {LAN, "forward", nine, sizeof(nine), "forward: more than 8"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
        refused("nat", &wrong[i]);
    open_networks();
    tree_set_s(LAN, "mode", "nat");
    tree_set_s(LAN, "address", "10.0.2.15/24");
    tree_set_s(LAN, "router", "10.0.3.2");
    tree_refused("'vm0'", "router is not in the network of address");
}

static void test_nat_addresses(void **state)
{
    static const char *const addresses[] = {"",
                                            "10",
                                            "10.0.0",
                                            "10.0.0.0",
                                            "10.0.0.0/",
                                            "10.0.0.0/7",
                                            "10.0.0.0/31",
                                            "10.0.0.256/24",
                                            "10.0.0.0.0/24",
                                            "10.0.0.0/24x",
                                            "10.0.0.0001/24",
                                            "a.b.c.d/24",
                                            "10..0.0/24",
                                            "-1.0.0.0/8",
                                            "10.0.0.0/99999999999999999999"};
    static const char *const forwards[] = {"",
                                           "tcp",
                                           "tcp:",
                                           "tcp:22",
                                           "tcp:22:vm0",
                                           "tcp:22:vm0:",
                                           "tcp:0:vm0:22",
                                           "tcp:20000:vm0:22",
                                           "tcp:22::22",
                                           "icmp:1:vm0:1",
                                           "tcp:22:vm0:65536",
                                           "tcp:22:vm0:22x",
                                           "tcp:22:a-name-that-no-machine-could-ever-have-had:22",
                                           "tcp:-1:vm0:1"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(addresses); i++)
        refused("nat",
                &(struct mistake)WRONG(LAN, "subnet", addresses[i], "subnet must be an address"));
    for (unsigned i = 0; i < ARRAY_LEN(forwards); i++)
        refused("nat", &(struct mistake)WRONG(LAN, "forward", forwards[i], "is not like"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_cards, tree_setup),
        cmocka_unit_test_setup(test_card_mistakes, tree_setup),
        cmocka_unit_test_setup(test_modes, tree_setup),
        cmocka_unit_test_setup(test_switch_mistakes, tree_setup),
        cmocka_unit_test_setup(test_nat_mistakes, tree_setup),
        cmocka_unit_test_setup(test_nat_addresses, tree_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
