// SPDX-License-Identifier: BSD-2-Clause
// Switches: who gets which frame, what is learnt and what is not, limits, ports that come and go; the table of addresses
// against a model; the token bucket.
// units: tests/fake/net.units tests/fake/fake_timer.c tests/fake/fake_base.c
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "drv/drv.h"
#include "drv/uplink.h"
#include "mem/heap.h"
#include "net/bucket.h"
#include "net/capture.h"
#include "net/mactable.h"
#include "net/nat_flow.h"
#include "net/offload.h"
#include "net/packet.h"
#include "net/switch.h"

uint64_t timer_hz = 1000;
static int heap_objects, heap_left = -1;
static unsigned yields;
static void (*on_yield)(void);

void *heap_alloc(size_t size)
{
    if (!heap_left)
        return NULL;
    heap_left -= heap_left > 0;
    heap_objects++;
    return calloc(1, size);
}

void heap_free(void *p)
{
    heap_objects -= p != NULL;
    free(p);
}

void thread_yield(void);
void thread_yield(void)
{
    yields++;
    if (on_yield)
        on_yield();
}

static void fill(void *ctx, void *to, size_t len)
{
    (void)ctx;
    memset(to, 0x5a, len);
}
struct entropy_backend entropy = {.fill = fill};

/* ---- the uplink ---- */

static bool uplink_there = true;
static struct {
    void (*fn)(void *ctx, struct net_frame *f);
    void *ctx;
    unsigned sent;
    bool full;
} uplink;

bool uplink_get(uint8_t mac[NET_MAC], uint16_t *mtu)
{
    memset(mac, 0x52, NET_MAC);
    *mtu = 1500;
    return uplink_there;
}

bool uplink_send(const struct net_frame *f)
{
    assert_true(offload_fits(&f->offload, 0));
    uplink.sent += !uplink.full;
    return !uplink.full;
}

int uplink_open(void (*fn)(void *ctx, struct net_frame *f), void *ctx)
{
    if (uplink.fn)
        return -ENOSPC;
    uplink.fn = fn;
    uplink.ctx = ctx;
    return 0;
}

static void (*tap)(const struct net_frame *f, bool sent);
void uplink_tap(void (*fn)(const struct net_frame *f, bool sent)) { tap = fn; }

void uplink_close(void *ctx)
{
    assert_ptr_equal(ctx, uplink.ctx);
    memset(&uplink, 0, sizeof(uplink));
}

/* ---- cards ---- */

enum { CARDS = SWITCH_PORTS + 1 };

static struct card {
    struct net_backend *net;
    unsigned got, told, links;
    uint32_t last_len;
    uint8_t last[2048];
    enum net_fate fate;
    struct card *answers; /* while it receives, this one sends too */
} card[CARDS];

static struct switch_config lan = {.name = "lan0", .mtu = 1500};

static enum net_fate receive(void *device, const struct net_frame *f)
{
    struct card *c = device;

    if (c->fate != NET_TAKEN)
        return c->fate;
    c->got++;
    c->last_len = f->len;
    assert_true(f->head_len <= f->len);
    memcpy(c->last, f->head, f->head_len);
    return NET_TAKEN;
}

static void received(void *device) { ((struct card *)device)->told++; }

static void (*on_link)(void); /* once */

static void link_changed(void *device)
{
    void (*fn)(void) = on_link;

    ((struct card *)device)->links++;
    on_link = NULL;
    if (fn)
        fn();
}

static int plug_into(const struct switch_config *sw, unsigned n, struct port_config config)
{
    const char *why = NULL;
    int error;

    memset(&card[n], 0, sizeof(card[n]));
    snprintf(config.name, sizeof(config.name), "vm%u.0", n);
    if (!mac_value(config.mac))
        memcpy(config.mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(n + 1)}, NET_MAC);
    error = switch_open(sw, &config, &card[n].net, &why);
    assert_true(!error == (card[n].net != NULL) && (!error || why));
    if (error)
        return error;
    card[n].net->receive = receive;
    card[n].net->received = received;
    card[n].net->link_changed = link_changed;
    card[n].net->device = &card[n];
    return 0;
}

static void plug(unsigned n, struct port_config config)
{
    assert_int_equal(plug_into(&lan, n, config), 0);
}

static void plug_all(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        plug(i, (struct port_config){.name = ""});
}

static void unplug(unsigned n)
{
    card[n].net->close(card[n].net->ctx);
    card[n].net = NULL;
}

static int end(void **state)
{
    struct switch_info info;

    (void)state;
    for (unsigned i = 0; i < CARDS; i++)
        if (card[i].net)
            unplug(i);
    assert_false(switch_get(0, &info));
    assert_int_equal(heap_objects, 0);
    return 0;
}

#define BROADCAST 0xffffffffffffull
#define MAC_OF(n) (0x020000000001ull + (n))

static bool in_batch; /* what is sent, until flush */

static void flush(unsigned n) { card[n].net->flush(card[n].net->ctx); }

static uint64_t send_len(unsigned n, uint64_t from, uint64_t to, uint32_t len)
{
    static uint8_t bytes[70000];
    struct net_piece rest = {.hva = bytes + NET_HEAD};
    struct net_data data = {.piece = &rest, .pieces = 1};
    struct net_frame f = {
        .head = bytes, .head_len = (uint32_t)min_u64(len, NET_HEAD), .len = len, .data = &data};

    f.batch = in_batch;
    rest.len = len - f.head_len;
    put16(bytes + 12, ETH_IPV6); /* what every kind of switch lets in */
    for (unsigned i = 0; i < 6; i++) {
        bytes[i] = (uint8_t)(to >> (40 - 8 * i));
        bytes[6 + i] = (uint8_t)(from >> (40 - 8 * i));
    }
    return card[n].net->send(card[n].net->ctx, &f);
}

static uint64_t send(unsigned n, uint64_t to) { return send_len(n, MAC_OF(n), to, 60); }

static struct port_info info_of(unsigned n)
{
    struct port_info info;
    char name[16];

    snprintf(name, sizeof(name), "vm%u.0", n);
    for (unsigned i = 0; switch_get_port(0, i, &info); i++)
        if (!strcmp(info.config.name, name))
            return info;
    fail_msg("no port %s", name);
    return info;
}

/* Who got what since the last call: a bit for each card. */
static uint64_t got(void)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 64; i++) {
        if (card[i].got)
            bits |= 1ull << i;
        card[i].got = 0;
    }
    return bits;
}

/* ---- tests ---- */

/* Of a batch, receivers are told when it ends, goes elsewhere, or has brought much. */
static void batches_are_told_once(void **state)
{
    (void)state;
    plug(0, (struct port_config){.any_mac = true});
    plug(1, (struct port_config){.name = ""});
    plug(2, (struct port_config){.name = ""});
    send(0, MAC_OF(1));
    assert_int_equal(card[1].told, 1);
    in_batch = true;
    for (unsigned i = 0; i < 3; i++)
        send(0, MAC_OF(1));
    assert_int_equal(card[1].got, 4);
    assert_int_equal(card[1].told, 1);
    send(0, MAC_OF(2));
    assert_int_equal(card[1].told, 2);
    assert_int_equal(card[2].got + card[2].told, 1);
    send(0, BROADCAST);
    assert_int_equal(card[1].told, 3);
    assert_int_equal(card[2].told, 1);
    flush(0);
    flush(0);
    assert_int_equal(card[2].told, 2);
    for (unsigned i = 0; i < 11; i++)
        send_len(0, MAC_OF(0), MAC_OF(1), 1514);
    assert_int_equal(card[1].told, 4); /* 16 KiB */
    /* Another source: it is learnt, however it goes on. */
    send_len(0, MAC_OF(9), MAC_OF(1), 60);
    flush(0);
    in_batch = false;
    assert_int_equal(card[1].told, 5);
    assert_int_equal(got(), 6);
    send(2, MAC_OF(9));
    assert_int_equal(got(), 1);
    assert_int_equal(info_of(0).counts.sent, 19 - 1);
}

/* A port that got frames of a batch can be closed as soon as that has ended; what its sender may send is looked at each time. */
static void batches_hold_no_port(void **state)
{
    (void)state;
    plug_all(3);
    in_batch = true;
    send(0, MAC_OF(1));
    send_len(0, MAC_OF(7), MAC_OF(1), 60);
    assert_int_equal(info_of(0).counts.spoofed, 1);
    flush(0);
    in_batch = false;
    unplug(1);
    send(0, MAC_OF(1));
    assert_int_equal(got(), 2); /* before that */
}

static void frames_find_their_way(void **state)
{
    (void)state;
    plug_all(4);
    assert_true(send(0, MAC_OF(2)) >= 60); /* what cards have is known from the start */
    assert_int_equal(got(), 1 << 2);
    assert_int_equal(card[2].last_len, 60);
    send(0, BROADCAST);
    assert_int_equal(got(), 14);
    send(1, 0x010000000000ull);
    assert_int_equal(got(), 13);
    send(1, 0x020000999999ull); /* nobody's, and nobody has others behind him */
    assert_int_equal(got(), 0);
    send(1, MAC_OF(1)); /* to itself */
    assert_int_equal(got(), 0);
    send(1, 0); /* no address at all */
    assert_int_equal(got(), 0);
    assert_int_equal(info_of(0).counts.sent, 2);
    assert_int_equal(info_of(0).counts.got_bytes, 60);
}

static void only_own_addresses(void **state)
{
    (void)state;
    plug_all(2);
    plug(2, (struct port_config){.any_mac = true});
    send_len(0, MAC_OF(1), MAC_OF(1), 60);
    send_len(0, 0x020000000099ull, BROADCAST, 60);
    assert_int_equal(got(), 0);
    assert_int_equal(info_of(0).counts.spoofed, 2);
    /* A bridge in a guest: others are behind it, and are learnt; but no group and no nothing. */
    send_len(2, 0x020000000099ull, BROADCAST, 60);
    assert_int_equal(got(), 3);
    send(0, 0x020000000099ull);
    assert_int_equal(got(), 4);
    send_len(2, BROADCAST, BROADCAST, 60);
    send_len(2, 0, BROADCAST, 60);
    assert_int_equal(info_of(2).counts.spoofed, 2);
    /* It cannot draw frames away from who has the address. */
    send_len(2, MAC_OF(1), BROADCAST, 60);
    got();
    send(0, MAC_OF(1));
    assert_int_equal(got(), 2);
}

static void a_card_takes_another_address(void **state)
{
    uint8_t other[NET_MAC] = {2, 0, 0, 0, 9, 9}, first[NET_MAC] = {2, 0, 0, 0, 0, 3};
    uint8_t taken[NET_MAC] = {2, 0, 0, 0, 0, 1}, group[NET_MAC] = {3}, none[NET_MAC] = {0};
    struct net_backend *b;

    (void)state;
    plug_all(2);
    plug(2, (struct port_config){.any_mac = true});
    b = card[2].net;
    assert_false(card[0].net->set_mac(card[0].net->ctx, other));
    assert_true(card[0].net->set_mac(card[0].net->ctx, taken)); /* its own */
    assert_false(b->set_mac(b->ctx, taken));
    assert_false(b->set_mac(b->ctx, group));
    assert_false(b->set_mac(b->ctx, none));
    assert_true(b->set_mac(b->ctx, other));
    send(0, 0x020000000909ull);
    assert_int_equal(got(), 4);
    send(0, MAC_OF(2)); /* nobody's now: to who may have it behind him */
    assert_int_equal(got(), 4);
    assert_true(b->set_mac(b->ctx, first));
    send(0, MAC_OF(2));
    assert_int_equal(got(), 4);
}

static void isolated_ports(void **state)
{
    (void)state;
    plug(0, (struct port_config){.isolated = true});
    plug(1, (struct port_config){.isolated = true});
    plug(2, (struct port_config){.name = ""});
    send(0, MAC_OF(1));
    assert_int_equal(got(), 0);
    send(0, BROADCAST);
    assert_int_equal(got(), 4);
    send(2, BROADCAST);
    assert_int_equal(got(), 3);
    send(1, MAC_OF(2));
    assert_int_equal(got(), 4);
}

static void limits(void **state)
{
    unsigned floods = 0;

    (void)state;
    fake_time = 1000000;
    plug(0, (struct port_config){.rate = 1000000});
    plug_all(0);
    plug(1, (struct port_config){.name = ""});
    plug(2, (struct port_config){.name = ""});
    for (unsigned i = 0; i < 1000; i++)
        send_len(0, MAC_OF(0), MAC_OF(1), 1500);
    assert_int_equal(card[1].got, 128 * 1024 / 1500); /* the burst */
    assert_int_equal(info_of(0).counts.limited, 1000 - 128 * 1024 / 1500);
    got();
    fake_time += 60; /* 60 ms: 60,000 bytes and what was left */
    for (unsigned i = 0; i < 1000; i++)
        send_len(0, MAC_OF(0), MAC_OF(1), 1500);
    assert_in_range(card[1].got, 40, 41);
    got();
    for (unsigned i = 0; i < 100000; i++) {
        fake_time += i % 50 == 0;
        send(1, BROADCAST);
    }
    floods = card[2].got;
    assert_in_range(floods, 1000 + 2000 * 4 - 8, 1000 + 2000 * 4);
    /* Too long: by a byte, or by its segments. */
    got();
    send_len(1, MAC_OF(1), MAC_OF(2), 1518);
    assert_int_equal(got(), 4);
    send_len(1, MAC_OF(1), MAC_OF(2), 1519);
    assert_int_equal(got(), 0);
    assert_int_equal(info_of(1).counts.too_long, 1);
}

static void losses_are_counted(void **state)
{
    (void)state;
    plug_all(3);
    card[1].fate = NET_FULL;
    send(0, MAC_OF(1));
    card[1].fate = NET_DOWN;
    send(0, MAC_OF(1));
    card[1].fate = NET_FILTERED;
    send(0, MAC_OF(1));
    assert_int_equal(info_of(1).counts.full, 1);
    assert_int_equal(info_of(1).counts.down, 1);
    assert_int_equal(info_of(1).counts.got, 0);
    card[1].net->device = NULL; /* not made yet */
    send(0, BROADCAST);
    assert_int_equal(info_of(1).counts.down, 2);
    assert_int_equal(got(), 4);
}

static void cables(void **state)
{
    (void)state;
    plug_all(2);
    assert_int_equal(switch_set_link("vm7.0", false), -ENOENT);
    assert_int_equal(switch_set_link("vm1.0", false), 0);
    assert_false(card[1].net->link);
    assert_int_equal(card[1].links, 1);
    send(1, MAC_OF(0));
    assert_int_equal(got(), 0);
    assert_int_equal(info_of(1).counts.down, 1);
    assert_int_equal(switch_set_link("vm1.0", true), 0);
    send(1, MAC_OF(0));
    assert_int_equal(got(), 1);
}

static void unfinished_work_is_done(void **state)
{
    uint8_t bytes[NET_HEAD] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45};
    struct net_frame f = {.head = bytes, .head_len = 100, .len = 100};

    (void)state;
    plug_all(2);
    f.offload = (struct net_offload){.csum = true, .csum_start = 34, .csum_offset = 16};
    card[0].net->send(card[0].net->ctx, &f);
    assert_int_equal(got(), 2);
    assert_int_equal(get16(card[1].last + 50), 0xffff); /* the sum of zeros */
    atomic_store(&card[1].net->can, NET_CAN_CSUM);
    card[0].net->send(card[0].net->ctx, &f);
    assert_int_equal(got(), 2);
    assert_int_equal(get16(card[1].last + 50), 0);
}

static void switches_come_and_go(void **state)
{
    struct switch_config other = {.name = "lan1", .mtu = 9000},
                         wrong = {.name = "lan0", .mtu = 1499};
    struct port_config plain = {.name = ""};
    struct switch_info info;

    (void)state;
    plug_all(2);
    assert_int_equal(plug_into(&other, 2, plain), 0);
    assert_int_equal(card[2].net->mtu, 9000);
    assert_int_equal(plug_into(&wrong, 3, plain), -EINVAL);
    memcpy(plain.mac, card[0].net->mac, NET_MAC);
    assert_int_equal(plug_into(&lan, 3, plain), -EEXIST);
    memset(plain.mac, 0, NET_MAC);
    assert_true(switch_get(0, &info));
    assert_string_equal(info.config.name, "lan0");
    assert_int_equal(info.ports, 2);
    assert_true(switch_get(1, &info));
    assert_int_equal(info.ports, 1);
    assert_false(switch_get(2, &info));
    send(0, BROADCAST);
    assert_int_equal(got(), 2); /* the switches know nothing of each other */
    unplug(0);
    unplug(1);
    assert_true(switch_get(0, &info));
    assert_string_equal(info.config.name, "lan1");
    for (unsigned left = 0; left < 2; left++) {
        heap_left = (int)left;
        assert_int_equal(plug_into(&lan, 3, plain), -ENOMEM);
    }
    heap_left = -1;
}

static void as_many_as_can_be(void **state)
{
    struct net_backend *last[SWITCHES];
    struct switch_config many;
    struct port_config plain = {.name = "", .mac = {2}};
    const char *why;

    (void)state;
    plug_all(SWITCH_PORTS - 1); /* the first one is the switch's own */
    assert_int_equal(plug_into(&lan, SWITCH_PORTS - 1, plain), -ENOSPC);
    send(62, BROADCAST);
    assert_int_equal(got(), (1ull << 62) - 1);
    unplug(7);
    plug(7, (struct port_config){.name = ""});
    for (unsigned i = 1; i < SWITCHES; i++) {
        many = lan;
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
    send(0, MAC_OF(1));
    return NULL;
}

static void release_it(void)
{
    assert_true(atomic_load(&inside) || atomic_load(&let_go));
    atomic_store(&let_go, yields > 100);
}

static void closing_waits(void **state)
{
    pthread_t sender;

    (void)state;
    plug_all(2);
    card[1].net->receive = receive_slowly;
    assert_int_equal(pthread_create(&sender, NULL, send_one, NULL), 0);
    while (!atomic_load(&inside))
        sched_yield();
    yields = 0;
    on_yield = release_it;
    unplug(1);
    on_yield = NULL;
    assert_false(atomic_load(&inside));
    assert_true(yields > 100);
    pthread_join(sender, NULL);
    send(0, MAC_OF(1)); /* nobody's since */
    assert_int_equal(got(), 0);
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
    uplink_there = false;
    assert_int_equal(plug_into(&bridge, 0, plain), -ENODEV);
    uplink_there = true;
    assert_int_equal(plug_into(&jumbo, 0, plain), -EINVAL);
    assert_int_equal(plug_into(&bridge, 0, plain), 0);
    assert_int_equal(plug_into(&bridge, 1, plain), 0);
    assert_int_equal(plug_into(&second, 2, plain), -ENOSPC);
    send(0, MAC_OF(1));
    assert_int_equal(uplink.sent, 0);
    send(0, 0x020101010101ull);
    send(0, BROADCAST);
    assert_int_equal(uplink.sent, 2);
    assert_int_equal(got(), 2);
    uplink.fn(uplink.ctx, &f);
    assert_int_equal(got(), 2);
    /* For others on the uplink, however many: broadcasts still have their share. */
    bytes[5] = 0x77;
    for (unsigned i = 0; i < 10000; i++)
        uplink.fn(uplink.ctx, &f);
    assert_int_equal(got(), 0);
    memset(bytes, 0xff, 6);
    uplink.fn(uplink.ctx, &f);
    assert_int_equal(got(), 3);
    assert_true(switch_get_port(0, 0, &info));
    assert_int_equal(info.counts.limited, 0);
    uplink.full = true;
    send(0, 0x020101010101ull);
    assert_true(switch_get_port(0, 0, &info));
    assert_string_equal(info.config.name, "wan");
    assert_int_equal(info.counts.full, 1);
    assert_int_equal(switch_set_link("wan", false), 0);
    send(0, 0x020101010101ull);
    assert_true(switch_get_port(0, 0, &info));
    assert_int_equal(info.counts.down, 1);
    uplink.fn(uplink.ctx, &f);
    assert_int_equal(got(), 0);
    unplug(0);
    assert_non_null(uplink.fn);
    unplug(1);
    assert_null(uplink.fn);
}

/* What a card of a NAT switch may send, and that the gateway is there: test_nat.c looks at the rest. */
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
    assert_int_equal(plug_into(&nat, 0, plain), 0);
    assert_int_equal(plug_into(&nat, 1, plain), 0);
    other.subnet = 0x0a4e0000;
    assert_int_equal(plug_into(&other, 2, plain), -EINVAL);
    card[0].net->send(card[0].net->ctx, &f);
    assert_int_equal(got(), 3); /* the question to the other card, the answer to itself */
    assert_int_equal(get16(card[0].last + 20), 2);
    assert_memory_equal(card[0].last + 28, "\x0a\x4d\0\1", 4);
    arp[31] = 3; /* the other's address */
    card[0].net->send(card[0].net->ctx, &f);
    assert_int_equal(got(), 0);
    assert_int_equal(info_of(0).counts.spoofed, 1);
    assert_true(switch_get(0, &info));
    assert_memory_equal(info.inside, "0 flows", 7);
    unplug(0);
    assert_non_null(uplink.fn);
    unplug(1);
    assert_null(uplink.fn);
}

static void settings_of_ports(void **state)
{
    const uint32_t rate = 1000000, none = 0;
    const bool yes = true, no = false;

    (void)state;
    fake_time = 1000000;
    plug_all(3);
    assert_int_equal(switch_set_port("vm9.0", &rate, NULL), -ENOENT);
    assert_int_equal(switch_set_port("vm0.0", &rate, NULL), 0);
    for (unsigned i = 0; i < 1000; i++)
        send_len(0, MAC_OF(0), MAC_OF(1), 1500);
    assert_int_equal(card[1].got, 128 * 1024 / 1500);
    assert_int_equal(info_of(0).config.rate, rate);
    got();
    assert_int_equal(switch_set_port("vm0.0", &none, &yes), 0);
    assert_int_equal(switch_set_port("vm1.0", NULL, &yes), 0);
    send(0, MAC_OF(1));
    assert_int_equal(got(), 0);
    send(0, BROADCAST);
    assert_int_equal(got(), 4);
    assert_int_equal(switch_set_port("vm1.0", NULL, &no), 0);
    for (unsigned i = 0; i < 1000; i++)
        send_len(0, MAC_OF(0), MAC_OF(1), 1500);
    assert_int_equal(card[1].got, 1000);
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

    uplink.fn(uplink.ctx, &f);
}

/* What comes from the uplink while the switch leaves it teaches nothing. */
static void a_bridge_is_left(void **state)
{
    const char *why;

    (void)state;
    assert_int_equal(plug_into(&any, 0, (struct port_config){.name = ""}), 0);
    assert_int_equal(plug_into(&any, 1, (struct port_config){.any_mac = true}), 0);
    assert_int_equal(switch_set_mode("any", SWITCH_BRIDGE, &why), 0);
    got();
    on_link = a_late_frame;
    assert_int_equal(switch_set_mode("any", SWITCH_INTERNAL, &why), 0);
    assert_null(on_link);
    assert_int_equal(got(), 1);
    send(0, 0x020101010101ull);
    assert_int_equal(got(), 2);
    unplug(0);
    unplug(1);
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
    assert_int_equal(plug_into(&any, 0, (struct port_config){.name = ""}), 0);
    assert_int_equal(plug_into(&any, 1, (struct port_config){.name = ""}), 0);
    assert_int_equal(switch_set_mode("none", SWITCH_NAT, &why), -ENOENT);
    /* What cannot be leaves everything as it was. */
    uplink_there = false;
    assert_int_equal(switch_set_mode("any", SWITCH_BRIDGE, &why), -ENODEV);
    uplink_there = true;
    for (unsigned left = 0; left < 2; left++) {
        heap_left = (int)left;
        assert_int_equal(switch_set_mode("any", SWITCH_NAT, &why), -ENOMEM);
    }
    heap_left = -1;
    assert_int_equal(plug_into(&any, 2, gateways), 0);
    assert_int_equal(switch_set_mode("any", SWITCH_NAT, &why), -EEXIST);
    assert_null(uplink.fn);
    unplug(2);
    assert_true(switch_get(0, &info));
    assert_int_equal(info.config.mode, SWITCH_INTERNAL);
    send(0, BROADCAST);
    assert_int_equal(got(), 2);
    /* A bridge: unknown addresses are outside. */
    assert_int_equal(switch_set_mode("any", SWITCH_BRIDGE, &why), 0);
    send(0, 0x020101010101ull);
    assert_int_equal(uplink.sent, 1);
    assert_true(switch_get_port(0, 0, &port));
    assert_true(port.own && port.link);
    assert_int_equal(switch_set_port("any", NULL, &port.link), -ENOENT);
    /* To a NAT, when its uplink is free, which the bridge has. */
    assert_int_equal(switch_set_mode("any", SWITCH_NAT, &why), -ENOSPC);
    assert_int_equal(switch_set_mode("any", SWITCH_BRIDGE, &why), 0);
    assert_int_equal(switch_set_mode("any", SWITCH_INTERNAL, &why), 0);
    assert_null(uplink.fn);
    send(0, 0x020101010101ull);
    assert_int_equal(got(), 0);
    assert_int_equal(switch_set_mode("any", SWITCH_NAT, &why), 0);
    assert_true(switch_get(0, &info));
    assert_int_equal(info.address, 0x0a00020f);
    assert_int_equal(info.flow_limit, FLOWS);
    while (switch_next_mac(0, &cursor, &mac))
        assert_true(mac.fixed);
    assert_int_equal(cursor, MACTABLE_SETS * MACTABLE_WAYS);
    /* Who comes now is of the bundle that said it is internal; and the gateway knows who was there before. */
    assert_int_equal(plug_into(&any, 2, (struct port_config){.name = ""}), 0);
    unplug(0);
    unplug(1);
    unplug(2);
    assert_null(uplink.fn);
}

static void forwards_come_and_go(void **state)
{
    struct nat_forward w = {IP_TCP, 8080, 80, "vm1"}, got_back;
    const char *why;
    uint32_t address;

    (void)state;
    assert_int_equal(plug_into(&any, 0, (struct port_config){.name = ""}), 0);
    assert_int_equal(plug_into(&any, 1, (struct port_config){.name = ""}), 0);
    assert_int_equal(switch_forward_add("any", &w, 0, &why), -ENOENT);
    assert_non_null(strstr(why, "not a NAT"));
    assert_int_equal(switch_forward_add("none", &w, 0, &why), -ENOENT);
    assert_int_equal(switch_set_mode("any", SWITCH_NAT, &why), 0);
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
    unplug(1);
    assert_true(switch_get_forward(0, 5, &got_back, &address));
    assert_int_equal(address, 0);
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
    plug_all(3);
    c = capture_make("vm1.0", 2000, captured, &why);
    other = capture_make("vm1.0", 2000, captured, &why);
    assert_int_equal(switch_capture("vm9.0", c), -ENOENT);
    assert_int_equal(switch_capture("vm1.0", c), 0);
    assert_int_equal(switch_capture("vm1.0", other), -EBUSY);
    send(0, MAC_OF(1));
    send(0, BROADCAST);
    send(1, MAC_OF(2));
    send_len(1, MAC_OF(0), MAC_OF(2), 60); /* with another's address */
    send(0, MAC_OF(2));
    card[1].fate = NET_FULL;
    send(0, MAC_OF(1));
    assert_int_equal(capture_counts(c).frames, 4);
    assert_int_equal(switch_capture("", other), 0);
    tap(&f, true);
    assert_int_equal(capture_counts(other).frames, 1);
    switch_uncapture(other);
    assert_null(tap);
    capture_free(other);
    unplug(1); /* which ends it */
    capture_waits(c, &ended);
    assert_true(ended);
    plug(1, (struct port_config){.name = ""});
    assert_int_equal(switch_capture("vm1.0", c), 0);
    switch_uncapture(c);
    send(1, MAC_OF(2));
    assert_int_equal(capture_counts(c).frames, 4);
    capture_free(c);
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
    if (!card[2].net)
        assert_int_equal(plug_into(&forwarding, 2, (struct port_config){.name = ""}), 0);
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
        assert_int_equal(plug_into(&forwarding, i, (struct port_config){.name = ""}), 0);
    atomic_store(&let_go, false);
    card[1].net->receive = receive_slowly;
    assert_int_equal(pthread_create(&sender, NULL, send_one, NULL), 0);
    while (!atomic_load(&inside))
        sched_yield();
    on_yield = plug_and_release;
    unplug(1);
    on_yield = NULL;
    pthread_join(sender, NULL);
    got();
    uplink.fn(uplink.ctx, &f);
    assert_int_equal(got(), 1 << 2);
}

/* ---- the table ---- */

static struct mactable table;

static void shares_of_the_table(void **state)
{
    unsigned learnt = 0;

    (void)state;
    mactable_init(&table, 12345);
    for (uint64_t i = 1; i < 100000; i++)
        learnt += mactable_learn(&table, i << 1, 1, 10);
    assert_int_equal(table.learnt[1], MACTABLE_PORT);
    assert_true(learnt > MACTABLE_PORT); /* it has the newest of its own in some places */
    for (unsigned port = 2; port < 10; port++)
        for (uint64_t i = 0; i < 4; i++)
            assert_true(mactable_learn(&table, 0x0a0000000000ull + (port << 8) + i, port, 10));
    for (unsigned port = 2; port < 10; port++)
        for (uint64_t i = 0; i < 4; i++)
            assert_int_equal(mactable_find(&table, 0x0a0000000000ull + (port << 8) + i, 10), port);
    mactable_forget(&table, 1);
    assert_int_equal(table.learnt[1], 0);
    assert_int_equal(mactable_find(&table, 0x0a0000000200ull, 10), 2);
    assert_int_equal(mactable_find(&table, 0x0a0000000200ull, 10 + MACTABLE_AGE), 2);
    assert_int_equal(mactable_find(&table, 0x0a0000000200ull, 11 + MACTABLE_AGE), MACTABLE_NONE);
    /* It moves. */
    assert_true(mactable_learn(&table, 0x0a0000000200ull, 3, 20));
    assert_int_equal(mactable_find(&table, 0x0a0000000200ull, 20), 3);
    assert_int_equal(table.learnt[2], 3);
    assert_int_equal(table.learnt[3], 5);
}

/* Any sequence of operations: counts are what is there, fixed addresses stay, found is what was learnt last. */
static void against_a_model(void **state)
{
    enum { MACS = 300 };
    int fixed[MACS + 1];
    uint64_t random = 1;

    (void)state;
    mactable_init(&table, 99);
    memset(fixed, -1, sizeof(fixed));
    for (unsigned step = 0; step < 200000; step++) {
        unsigned port, count[8] = {0};
        uint64_t mac;
        int found;

        random = random * 6364136223846793005ull + 1442695040888963407ull;
        port = random >> 33 & 7;
        mac = 1 + (random >> 40) % MACS;
        if (random >> 60 == 0 && mactable_fix(&table, mac, port)) {
            fixed[mac] = (int)port;
        } else if (random >> 60 == 1) {
            mactable_unfix(&table, mac, port);
            if (fixed[mac] == (int)port)
                fixed[mac] = -1;
        } else if (random >> 52 == 0x200) {
            mactable_forget(&table, port);
            for (unsigned i = 1; i <= MACS; i++)
                if (fixed[i] == (int)port)
                    fixed[i] = -1;
        } else {
            bool learnt = mactable_learn(&table, mac, port, step / 100);

            found = mactable_find(&table, mac, step / 100);
            assert_true(!learnt || found == (int)port);
        }
        for (uint64_t i = 1; i <= MACS; i++)
            if (fixed[i] >= 0)
                assert_int_equal(mactable_find(&table, i, step / 100), fixed[i]);
        if (step % 64)
            continue;
        for (unsigned s = 0; s < MACTABLE_SETS; s++)
            for (unsigned w = 0; w < MACTABLE_WAYS; w++)
                if (table.entry[s][w].mac && !table.entry[s][w].fixed)
                    count[table.entry[s][w].port]++;
        for (unsigned p = 0; p < 8; p++) {
            assert_int_equal(count[p], table.learnt[p]);
            assert_true(count[p] <= MACTABLE_PORT);
        }
    }
}

static void buckets(void **state)
{
    struct bucket b;
    uint64_t now = 5000, took = 0;

    (void)state;
    bucket_init(&b, 7, 20, now);
    assert_true(bucket_take(&b, 20, now));
    assert_false(bucket_take(&b, 1, now));
    for (unsigned i = 0; i < 100000; i++) { /* 100 s, in steps that are less than a unit each */
        now++;
        took += bucket_take(&b, 1, now);
    }
    assert_in_range(took, 699, 700);
    assert_false(bucket_take(&b, 21, now + 1000000));
    assert_true(bucket_take(&b, 20, now + 1000000));
    bucket_init(&b, 1ull << 32, 1ull << 40, now); /* nothing overflows */
    assert_true(bucket_take(&b, 1ull << 40, now));
    assert_true(bucket_take(&b, 1ull << 33, now + 2000));
}

#define TEST(f) cmocka_unit_test_teardown(f, end)

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
        TEST(switches_come_and_go),
        TEST(as_many_as_can_be),
        TEST(closing_waits),
        TEST(a_bridge),
        TEST(a_nat_switch),
        TEST(settings_of_ports),
        TEST(a_mode_is_changed),
        TEST(a_bridge_is_left),
        TEST(forwards_come_and_go),
        TEST(ports_are_captured),
        TEST(a_port_changes_hands),
        cmocka_unit_test(shares_of_the_table),
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
