// SPDX-License-Identifier: BSD-2-Clause
// Switches and ports that come and go, while others send, and are captured.
// units: tests/fake/switch.units
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_cards.h"
#include "net/capture.h"
#include "net/packet.h"

static void switches_come_and_go(void **state)
{
    struct switch_config other = {.name = "lan1", .mtu = 9000},
                         wrong = {.name = "lan0", .mtu = 1499};
    struct port_config plain = {.name = ""};
    struct switch_info info;

    (void)state;
    cards_plug_all(2);
    assert_int_equal(cards_plug_into(&other, 2, plain), 0);
    assert_int_equal(cards[2].net->mtu, 9000);
    assert_int_equal(cards_plug_into(&wrong, 3, plain), -EINVAL);
    memcpy(plain.mac, cards[0].net->mac, NET_MAC);
    assert_int_equal(cards_plug_into(&cards_lan, 3, plain), -EEXIST);
    memset(plain.mac, 0, NET_MAC);
    assert_true(switch_get(0, &info));
    assert_string_equal(info.config.name, "lan0");
    assert_int_equal(info.ports, 2);
    assert_true(switch_get(1, &info));
    assert_int_equal(info.ports, 1);
    assert_false(switch_get(2, &info));
    cards_send(0, BROADCAST);
    assert_int_equal(cards_got(), 2); /* the switches know nothing of each other */
    cards_unplug(0);
    cards_unplug(1);
    assert_true(switch_get(0, &info));
    assert_string_equal(info.config.name, "lan1");
    for (unsigned left = 0; left < 2; left++) {
        fake_heap_left = (int)left;
        assert_int_equal(cards_plug_into(&cards_lan, 3, plain), -ENOMEM);
    }
    fake_heap_left = -1;
}

static void as_many_as_can_be(void **state)
{
    struct net_backend *last[SWITCHES];
    struct switch_config many;
    struct port_config plain = {.name = "", .mac = {2}};
    const char *why;

    (void)state;
    cards_plug_all(SWITCH_PORTS - 1); /* the first one is the switch's own */
    assert_int_equal(cards_plug_into(&cards_lan, SWITCH_PORTS - 1, plain), -ENOSPC);
    cards_send(62, BROADCAST);
    assert_int_equal(cards_got(), (1ull << 62) - 1);
    cards_unplug(7);
    cards_plug(7, (struct port_config){.name = ""});
    for (unsigned i = 1; i < SWITCHES; i++) {
        many = cards_lan;
        snprintf(many.name, sizeof(many.name), "s%u", i);
        assert_int_equal(switch_open(&many, &plain, &last[i], &why), 0);
    }
    many.name[0] = 'x';
    assert_int_equal(switch_open(&many, &plain, &last[0], &why), -ENOSPC);
    for (unsigned i = 1; i < SWITCHES; i++)
        last[i]->close(last[i]->ctx);
}

/* A port that closes waits for whoever is in its receive. */
static atomic_bool inside, let_go;

static enum net_fate receive_slowly(void *device, const struct net_frame *f)
{
    (void)device;
    (void)f;
    atomic_store(&inside, true);
    while (!atomic_load(&let_go))
        sched_yield();
    atomic_store(&inside, false);
    return NET_TAKEN;
}

static void *send_one(void *arg)
{
    (void)arg;
    cards_send(0, MAC_OF(1));
    return NULL;
}

static void release_it(void)
{
    assert_true(atomic_load(&inside) || atomic_load(&let_go));
    atomic_store(&let_go, cards_yields > 100);
}

static void closing_waits(void **state)
{
    pthread_t sender;

    (void)state;
    cards_plug_all(2);
    cards[1].net->receive = receive_slowly;
    assert_int_equal(pthread_create(&sender, NULL, send_one, NULL), 0);
    while (!atomic_load(&inside))
        sched_yield();
    cards_yields = 0;
    cards_on_yield = release_it;
    cards_unplug(1);
    cards_on_yield = NULL;
    assert_false(atomic_load(&inside));
    assert_true(cards_yields > 100);
    pthread_join(sender, NULL);
    cards_send(0, MAC_OF(1)); /* nobody's since */
    assert_int_equal(cards_got(), 0);
}

static const struct switch_config forwarding = {
    .name = "nat",
    .mode = SWITCH_NAT,
    .mtu = 1500,
    .prefix = 24,
    .outer_prefix = 24,
    .subnet = 0x0a4d0000,
    .address = 0x0a00020f,
    .router = 0x0a000202,
    .forwards = 1,
    .forward = {{.protocol = IP_TCP, .port = 2222, .to_port = 22, .to = "vm2.0"}}};

static void plug_and_release(void)
{
    if (!cards[2].net)
        assert_int_equal(cards_plug_into(&forwarding, 2, (struct port_config){.name = ""}), 0);
    atomic_store(&let_go, true);
}

/* A card that comes while another one goes has its port, and stays known to the gateway. */
static void a_port_changes_hands(void **state)
{
    uint8_t tcp[60] = {255, 255, 255, 255, 255,  255,  2,  1, 1, 1, 1,  1, 8, 0, 0x45, 0,
                       0,   40,  0,   0,   0,    0,    64, 6, 0, 0, 10, 0, 2, 2, 10,   0,
                       2,   15,  3,   232, 0x08, 0xae, 0,  0, 0, 1, 0,  0, 0, 0, 0x50, 2};
    struct net_frame f = {.head = tcp, .head_len = 60, .len = 60};
    pthread_t sender;

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(cards_plug_into(&forwarding, i, (struct port_config){.name = ""}), 0);
    atomic_store(&let_go, false);
    cards[1].net->receive = receive_slowly;
    assert_int_equal(pthread_create(&sender, NULL, send_one, NULL), 0);
    while (!atomic_load(&inside))
        sched_yield();
    cards_on_yield = plug_and_release;
    cards_unplug(1);
    cards_on_yield = NULL;
    pthread_join(sender, NULL);
    cards_got();
    fake_uplink.fn(fake_uplink.ctx, &f);
    assert_int_equal(cards_got(), 1 << 2);
}

static void captured(void) {}

/* What a port sends, also if it is not let in, and what its card takes; nothing else. */
static void ports_are_captured(void **state)
{
    static uint8_t bytes[CAPTURE_BLOCK];
    struct net_frame f = {.head = bytes, .head_len = 60, .len = 60};
    struct capture *c, *other;
    const char *why;
    bool ended;

    (void)state;
    cards_plug_all(3);
    c = capture_make("vm1.0", 2000, captured, &why);
    other = capture_make("vm1.0", 2000, captured, &why);
    assert_int_equal(switch_capture("vm9.0", c), -ENOENT);
    assert_int_equal(switch_capture("vm1.0", c), 0);
    assert_int_equal(switch_capture("vm1.0", other), -EBUSY);
    cards_send(0, MAC_OF(1));
    cards_send(0, BROADCAST);
    cards_send(1, MAC_OF(2));
    cards_send_len(1, MAC_OF(0), MAC_OF(2), 60); /* with another's address */
    cards_send(0, MAC_OF(2));
    cards[1].fate = NET_FULL;
    cards_send(0, MAC_OF(1));
    assert_int_equal(capture_counts(c).frames, 4);
    assert_int_equal(switch_capture("", other), 0);
    fake_uplink.tap(&f, true);
    assert_int_equal(capture_counts(other).frames, 1);
    switch_uncapture(other);
    assert_null(fake_uplink.tap);
    capture_free(other);
    cards_unplug(1); /* which ends it */
    capture_waits(c, &ended);
    assert_true(ended);
    cards_plug(1, (struct port_config){.name = ""});
    assert_int_equal(switch_capture("vm1.0", c), 0);
    switch_uncapture(c);
    cards_send(1, MAC_OF(2));
    assert_int_equal(capture_counts(c).frames, 4);
    capture_free(c);
}

#define TEST(f) cmocka_unit_test_teardown(f, cards_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(switches_come_and_go), TEST(as_many_as_can_be),    TEST(closing_waits),
        TEST(ports_are_captured),   TEST(a_port_changes_hands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
