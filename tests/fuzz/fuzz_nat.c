// SPDX-License-Identifier: BSD-2-Clause
// Packets of any bytes through a switch in NAT mode: from cards and from the uplink, between times that pass. What comes out is
// whole, comes from the gateway's or the outer address (or, between cards, from its sender), and goes to a card that is
// there; no host has more flows than it may; and nothing is left behind.
// units: tests/fake/net.units tests/fake/fake_uplink.c tests/fake/fake_heap.c tests/fake/fake_entropy.c tests/fake/fake_timer.c tests/fake/fake_base.c
#include "base/arch.h"
#include "fake_heap.h"
#include "fake_uplink.h"
#include "fuzz.h"
#include "net/nat.h"
#include "net/offload.h"
#include "sched/thread.h"

const unsigned fuzz_runs = 6000;
const size_t fuzz_max = 1024;

enum { CARDS = 3 };
#define OUTER 0x0a00020fu
#define INSIDE 0x0a4d0000u

uint64_t timer_hz = 10;
static struct net_backend *card[CARDS];

void thread_yield(void) {}

/* All bytes of what comes out can be read; its source is one of ours. */
static void look(const struct net_frame *f)
{
    uint8_t bytes[4096];

    assert_true(f->len >= NET_ETHERNET && f->len <= sizeof(bytes) && f->head_len <= f->len);
    assert_true(offload_fits(&f->offload, 0));
    assert_int_equal(offload_read(f, 0, bytes, f->len), 0);
}

static void look_outside(const struct net_frame *f)
{
    look(f);
    assert_memory_equal(f->head + NET_MAC, fake_uplink_mac, NET_MAC);
    if (get16(f->head + 12) == ETH_IPV4)
        assert_int_equal(get32(f->head + NET_ETHERNET + IP4_FROM), OUTER);
}

static enum net_fate receive(void *device, const struct net_frame *f)
{
    (void)device;
    look(f);
    return NET_TAKEN;
}
static void link_changed(void *device) { (void)device; }

static void plug(unsigned n)
{
    static const struct switch_config config = {.name = "lan",
                                                .mode = SWITCH_NAT,
                                                .mtu = 1500,
                                                .prefix = 24,
                                                .outer_prefix = 24,
                                                .subnet = INSIDE,
                                                .address = OUTER,
                                                .router = 0x0a000202,
                                                .dns = 0x0a000203,
                                                .forwards = 1,
                                                .forward = {{IP_TCP, 2222, 22, "vm0.0"}}};
    struct port_config port = {.mac = {2, 0x54, 0, 0, 0, (uint8_t)n}, .any_mac = n == 2};
    const char *why;

    snprintf(port.name, sizeof(port.name), "vm%u.0", n);
    assert_int_equal(switch_open(&config, &port, &card[n], &why), 0);
    card[n]->receive = receive;
    card[n]->link_changed = link_changed;
    card[n]->device = card[n];
}

/* What an ICMP error at p speaks of: a packet that may have gone through, the other way. */
static void quote(struct fuzz_in *in, unsigned from, uint8_t *p)
{
    static const uint8_t protocols[] = {IP_TCP, IP_UDP, IP_ICMP, IP_UDP};
    uint8_t how = fuzz_u8(in), *q = p + 42;
    uint16_t outer = how & 4 ? 2222 : (uint16_t)(FLOW_PORT + (how >> 3 & 3));
    uint16_t inside = how & 8 ? 22 : 4000;

    q[0] = 0x45;
    q[9] = protocols[how & 3];
    put32(q + 12, from < CARDS ? get32(p + 30) : OUTER);
    put32(q + 16, from < CARDS ? INSIDE + 2 + from : 0xc0000207);
    put16(q + 20, from < CARDS ? 4000 : outer);
    put16(q + 22, from < CARDS ? inside : 4000);
    put16(q + 24, from < CARDS ? inside : outer); /* of an echo: its identifier */
}

/* A packet that gets far, some bytes of which the input changes. */
static uint32_t compose(struct fuzz_in *in, unsigned from, uint8_t *p)
{
    static const uint8_t protocols[] = {IP_TCP, IP_UDP, IP_ICMP, IP_UDP};
    static const uint32_t addresses[] = {OUTER,      INSIDE + 1, INSIDE + 2, 0xc0000207,
                                         0xffffffff, 0x0a000202, 0x0a000203, 0};
    uint8_t how = fuzz_u8(in), more = fuzz_u8(in);
    uint32_t len = 14 + 20 + 20 + fuzz_u8(in) * 5u;

    memset(p, 0, len);
    memcpy(p, from < CARDS ? "\2\0\0\0\0\0" : "\x52\x54\0\0\0\1", 6);
    memcpy(p + 6, "\2\x54\0\0\0", 5);
    p[11] = (uint8_t)from;
    put16(p + 12, how & 0x80 ? ETH_ARP : ETH_IPV4);
    if (how & 0x80) {
        memcpy(p + 14, "\0\1\x08\0\6\4\0\1", 8);
        p[21] = 1 + (how & 1);
        put32(p + 28, from < CARDS ? INSIDE + 2 + from : addresses[more & 7]);
        put32(p + 38, from < CARDS ? INSIDE + 1 : OUTER);
    } else {
        p[14] = 0x45;
        put16(p + 16, (uint16_t)(len - 14));
        p[22] = 64;
        p[23] = protocols[how & 3];
        put32(p + 26, from < CARDS ? INSIDE + 2 + from : addresses[more & 7]);
        put32(p + 30, from < CARDS ? addresses[more & 7] : OUTER);
        put16(p + 34, how & 4 ? 53 : how & 8 ? 22 : 4000);
        put16(p + 36, how & 0x10 ? 67 : how & 0x20 ? 2222 : (uint16_t)(FLOW_PORT + (how >> 3 & 3)));
        p[46] = 0x50;
        p[47] = more >> 3;
        if ((how & 3) == 2)
            p[34] = more >> 3 & 15;
        if ((how & 3) == 2 && icmp_is_error(p[34]) && len >= 70)
            quote(in, from, p);
        if ((how & 0x48) == 0x48) /* the first fragment of a packet, or a later one */
            put16(p + 20, more & 0x80 ? 0x2000 : 185);
    }
    for (unsigned k = fuzz_u8(in) & 7; k; k--) {
        uint32_t at = fuzz_u16(in) % len;

        p[at] = fuzz_u8(in);
    }
    return len;
}

static void packet(struct fuzz_in *in, uint8_t op)
{
    unsigned from = op >> 2 & 3;
    uint8_t bytes[2048];
    uint32_t len = compose(in, from, bytes);
    struct net_piece rest = {.hva = bytes + NET_HEAD};
    struct net_data data = {.piece = &rest, .pieces = 1, .read = net_read_host};
    struct net_frame f = {.head = bytes, .data = &data};

    if (op & 0x80) /* cut anywhere */
        len = 14 + fuzz_u16(in) % (len - 13);
    f.len = len;
    f.head_len = (uint32_t)min_u64(len, NET_HEAD);
    rest.len = len - f.head_len;
    if (from < CARDS && card[from])
        card[from]->send(card[from]->ctx, &f);
    else if (fake_uplink.fn)
        fake_uplink.fn(fake_uplink.ctx, &f);
}

static void check(void)
{
    const struct nat *nat = fake_uplink.ctx;
    unsigned used = 0, counted = 0;

    for (unsigned i = 0; i < FLOWS; i++)
        used += nat->flows.flow[i].used;
    for (unsigned i = 0; i < FLOW_HOSTS; i++) {
        assert_true(nat->flows.count[i] <= FLOWS_HOST);
        counted += nat->flows.count[i];
    }
    assert_int_equal(used, counted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};

    fake_time = 100000;
    fake_uplink.on_send = look_outside;
    for (unsigned i = 0; i < CARDS; i++)
        plug(i);
    while (in.left) {
        uint8_t op = fuzz_u8(&in);

        if ((op & 3) == 3 && (op & 0x70) == 0x70) {
            fake_time += fuzz_u16(&in);
        } else if ((op & 0x73) == 0x63 && card[1]) {
            card[1]->close(card[1]->ctx);
            card[1] = NULL;
        } else {
            packet(&in, op);
        }
    }
    check();
    for (unsigned i = 0; i < CARDS; i++)
        if (card[i])
            card[i]->close(card[i]->ctx);
    assert_null(fake_uplink.fn);
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}
