// SPDX-License-Identifier: BSD-2-Clause
// Switches: who gets which frame, what is learnt and what is not, limits and settings of ports. Subjects of their own:
// test_switch_{life,uplink}.c, test_mactable.c, test_bucket.c.
// units: tests/fake/switch.units
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arch.h"
#include "fake_cards.h"
#include "net/packet.h"

/* Of a batch, receivers are told when it ends, goes elsewhere, or has brought much. */
static void batches_are_told_once(void **state)
{
    (void)state;
    cards_plug(0, (struct port_config){.any_mac = true});
    cards_plug(1, (struct port_config){.name = ""});
    cards_plug(2, (struct port_config){.name = ""});
    cards_send(0, MAC_OF(1));
    assert_int_equal(cards[1].told, 1);
    cards_in_batch = true;
    for (unsigned i = 0; i < 3; i++)
        cards_send(0, MAC_OF(1));
    assert_int_equal(cards[1].got, 4);
    assert_int_equal(cards[1].told, 1);
    cards_send(0, MAC_OF(2));
    assert_int_equal(cards[1].told, 2);
    assert_int_equal(cards[2].got + cards[2].told, 1);
    cards_send(0, BROADCAST);
    assert_int_equal(cards[1].told, 3);
    assert_int_equal(cards[2].told, 1);
    cards_flush(0);
    cards_flush(0);
    assert_int_equal(cards[2].told, 2);
    for (unsigned i = 0; i < 11; i++)
        cards_send_len(0, MAC_OF(0), MAC_OF(1), 1514);
    assert_int_equal(cards[1].told, 4); /* 16 KiB */
    /* Another source: it is learnt, however it goes on. */
    cards_send_len(0, MAC_OF(9), MAC_OF(1), 60);
    cards_flush(0);
    cards_in_batch = false;
    assert_int_equal(cards[1].told, 5);
    assert_int_equal(cards_got(), 6);
    cards_send(2, MAC_OF(9));
    assert_int_equal(cards_got(), 1);
    assert_int_equal(cards_info(0).counts.sent, 19 - 1);
}

/* A port that got frames of a batch can be closed as soon as that has ended; what its sender may send is looked at each time. */
static void batches_hold_no_port(void **state)
{
    (void)state;
    cards_plug_all(3);
    cards_in_batch = true;
    cards_send(0, MAC_OF(1));
    cards_send_len(0, MAC_OF(7), MAC_OF(1), 60);
    assert_int_equal(cards_info(0).counts.spoofed, 1);
    cards_flush(0);
    cards_in_batch = false;
    cards_unplug(1);
    cards_send(0, MAC_OF(1));
    assert_int_equal(cards_got(), 2); /* before that */
}

static void frames_find_their_way(void **state)
{
    (void)state;
    cards_plug_all(4);
    assert_true(cards_send(0, MAC_OF(2)) >= 60); /* what cards have is known from the start */
    assert_int_equal(cards_got(), 1 << 2);
    assert_int_equal(cards[2].last_len, 60);
    cards_send(0, BROADCAST);
    assert_int_equal(cards_got(), 14);
    cards_send(1, 0x010000000000ull);
    assert_int_equal(cards_got(), 13);
    cards_send(1, 0x020000999999ull); /* nobody's, and nobody has others behind him */
    assert_int_equal(cards_got(), 0);
    cards_send(1, MAC_OF(1)); /* to itself */
    assert_int_equal(cards_got(), 0);
    cards_send(1, 0); /* no address at all */
    assert_int_equal(cards_got(), 0);
    assert_int_equal(cards_info(0).counts.sent, 2);
    assert_int_equal(cards_info(0).counts.got_bytes, 60);
}

static void only_own_addresses(void **state)
{
    (void)state;
    cards_plug_all(2);
    cards_plug(2, (struct port_config){.any_mac = true});
    cards_send_len(0, MAC_OF(1), MAC_OF(1), 60);
    cards_send_len(0, 0x020000000099ull, BROADCAST, 60);
    assert_int_equal(cards_got(), 0);
    assert_int_equal(cards_info(0).counts.spoofed, 2);
    /* A bridge in a guest: others are behind it, and are learnt; but no group and no nothing. */
    cards_send_len(2, 0x020000000099ull, BROADCAST, 60);
    assert_int_equal(cards_got(), 3);
    cards_send(0, 0x020000000099ull);
    assert_int_equal(cards_got(), 4);
    cards_send_len(2, BROADCAST, BROADCAST, 60);
    cards_send_len(2, 0, BROADCAST, 60);
    assert_int_equal(cards_info(2).counts.spoofed, 2);
    /* It cannot draw frames away from who has the address. */
    cards_send_len(2, MAC_OF(1), BROADCAST, 60);
    cards_got();
    cards_send(0, MAC_OF(1));
    assert_int_equal(cards_got(), 2);
}

static void a_card_takes_another_address(void **state)
{
    uint8_t other[NET_MAC] = {2, 0, 0, 0, 9, 9}, first[NET_MAC] = {2, 0, 0, 0, 0, 3};
    uint8_t taken[NET_MAC] = {2, 0, 0, 0, 0, 1}, group[NET_MAC] = {3}, none[NET_MAC] = {0};
    struct net_backend *b;

    (void)state;
    cards_plug_all(2);
    cards_plug(2, (struct port_config){.any_mac = true});
    b = cards[2].net;
    assert_false(cards[0].net->set_mac(cards[0].net->ctx, other));
    assert_true(cards[0].net->set_mac(cards[0].net->ctx, taken)); /* its own */
    assert_false(b->set_mac(b->ctx, taken));
    assert_false(b->set_mac(b->ctx, group));
    assert_false(b->set_mac(b->ctx, none));
    assert_true(b->set_mac(b->ctx, other));
    cards_send(0, 0x020000000909ull);
    assert_int_equal(cards_got(), 4);
    cards_send(0, MAC_OF(2)); /* nobody's now: to who may have it behind him */
    assert_int_equal(cards_got(), 4);
    assert_true(b->set_mac(b->ctx, first));
    cards_send(0, MAC_OF(2));
    assert_int_equal(cards_got(), 4);
}

static void isolated_ports(void **state)
{
    (void)state;
    cards_plug(0, (struct port_config){.isolated = true});
    cards_plug(1, (struct port_config){.isolated = true});
    cards_plug(2, (struct port_config){.name = ""});
    cards_send(0, MAC_OF(1));
    assert_int_equal(cards_got(), 0);
    cards_send(0, BROADCAST);
    assert_int_equal(cards_got(), 4);
    cards_send(2, BROADCAST);
    assert_int_equal(cards_got(), 3);
    cards_send(1, MAC_OF(2));
    assert_int_equal(cards_got(), 4);
}

static void limits(void **state)
{
    unsigned floods = 0;

    (void)state;
    fake_time = 1000000;
    cards_plug(0, (struct port_config){.rate = 1000000});
    cards_plug_all(0);
    cards_plug(1, (struct port_config){.name = ""});
    cards_plug(2, (struct port_config){.name = ""});
    for (unsigned i = 0; i < 1000; i++)
        cards_send_len(0, MAC_OF(0), MAC_OF(1), 1500);
    assert_int_equal(cards[1].got, 128 * 1024 / 1500); /* the burst */
    assert_int_equal(cards_info(0).counts.limited, 1000 - 128 * 1024 / 1500);
    cards_got();
    fake_time += 60; /* 60 ms: 60,000 bytes and what was left */
    for (unsigned i = 0; i < 1000; i++)
        cards_send_len(0, MAC_OF(0), MAC_OF(1), 1500);
    assert_in_range(cards[1].got, 40, 41);
    cards_got();
    for (unsigned i = 0; i < 100000; i++) {
        fake_time += i % 50 == 0;
        cards_send(1, BROADCAST);
    }
    floods = cards[2].got;
    assert_in_range(floods, 1000 + 2000 * 4 - 8, 1000 + 2000 * 4);
    /* Too long: by a byte, or by its segments. */
    cards_got();
    cards_send_len(1, MAC_OF(1), MAC_OF(2), 1518);
    assert_int_equal(cards_got(), 4);
    cards_send_len(1, MAC_OF(1), MAC_OF(2), 1519);
    assert_int_equal(cards_got(), 0);
    assert_int_equal(cards_info(1).counts.too_long, 1);
}

static void losses_are_counted(void **state)
{
    (void)state;
    cards_plug_all(3);
    cards[1].fate = NET_FULL;
    cards_send(0, MAC_OF(1));
    cards[1].fate = NET_DOWN;
    cards_send(0, MAC_OF(1));
    cards[1].fate = NET_FILTERED;
    cards_send(0, MAC_OF(1));
    assert_int_equal(cards_info(1).counts.full, 1);
    assert_int_equal(cards_info(1).counts.down, 1);
    assert_int_equal(cards_info(1).counts.got, 0);
    cards[1].net->device = NULL; /* not made yet */
    cards_send(0, BROADCAST);
    assert_int_equal(cards_info(1).counts.down, 2);
    assert_int_equal(cards_got(), 4);
}

static void cables(void **state)
{
    (void)state;
    cards_plug_all(2);
    assert_int_equal(switch_set_link("vm7.0", false), -ENOENT);
    assert_int_equal(switch_set_link("vm1.0", false), 0);
    assert_false(cards[1].net->link);
    assert_int_equal(cards[1].links, 1);
    cards_send(1, MAC_OF(0));
    assert_int_equal(cards_got(), 0);
    assert_int_equal(cards_info(1).counts.down, 1);
    assert_int_equal(switch_set_link("vm1.0", true), 0);
    cards_send(1, MAC_OF(0));
    assert_int_equal(cards_got(), 1);
}

static void unfinished_work_is_done(void **state)
{
    uint8_t bytes[NET_HEAD] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45};
    struct net_frame f = {.head = bytes, .head_len = 100, .len = 100};

    (void)state;
    cards_plug_all(2);
    f.offload = (struct net_offload){.csum = true, .csum_start = 34, .csum_offset = 16};
    cards[0].net->send(cards[0].net->ctx, &f);
    assert_int_equal(cards_got(), 2);
    assert_int_equal(get16(cards[1].last + 50), 0xffff); /* the sum of zeros */
    atomic_store(&cards[1].net->can, NET_CAN_CSUM);
    cards[0].net->send(cards[0].net->ctx, &f);
    assert_int_equal(cards_got(), 2);
    assert_int_equal(get16(cards[1].last + 50), 0);
}

static void settings_of_ports(void **state)
{
    const uint32_t rate = 1000000, none = 0;
    const bool yes = true, no = false;

    (void)state;
    fake_time = 1000000;
    cards_plug_all(3);
    assert_int_equal(switch_set_port("vm9.0", &rate, NULL), -ENOENT);
    assert_int_equal(switch_set_port("vm0.0", &rate, NULL), 0);
    for (unsigned i = 0; i < 1000; i++)
        cards_send_len(0, MAC_OF(0), MAC_OF(1), 1500);
    assert_int_equal(cards[1].got, 128 * 1024 / 1500);
    assert_int_equal(cards_info(0).config.rate, rate);
    cards_got();
    assert_int_equal(switch_set_port("vm0.0", &none, &yes), 0);
    assert_int_equal(switch_set_port("vm1.0", NULL, &yes), 0);
    cards_send(0, MAC_OF(1));
    assert_int_equal(cards_got(), 0);
    cards_send(0, BROADCAST);
    assert_int_equal(cards_got(), 4);
    assert_int_equal(switch_set_port("vm1.0", NULL, &no), 0);
    for (unsigned i = 0; i < 1000; i++)
        cards_send_len(0, MAC_OF(0), MAC_OF(1), 1500);
    assert_int_equal(cards[1].got, 1000);
}

#define TEST(f) cmocka_unit_test_teardown(f, cards_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_are_told_once),
        TEST(batches_hold_no_port),
        TEST(frames_find_their_way),
        TEST(only_own_addresses),
        TEST(a_card_takes_another_address),
        TEST(isolated_ports),
        TEST(limits),
        TEST(losses_are_counted),
        TEST(cables),
        TEST(unfinished_work_is_done),
        TEST(settings_of_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
