// SPDX-License-Identifier: BSD-2-Clause
// The network card: frames out and in, however their buffers are cut; merged buffers, offloads, filters and commands;
// drivers that mean harm.
// units: vdev/virtio/virtq.c vdev/virtio/virtio_mmio.c vdev/virtio/net.c vdev/virtio/net_ctrl.c hyp/net/offload.c hyp/net/packet.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c vdev/bus.c hyp/base/state.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_vdev.h"
#include "vdev/virtio/net.h"
#include "vdev/virtio/virtio_dev.h"

#define ALL ~0ull
#define OWN "\2\0\0\0\0\1"
#define TX_DATA (DRV_DATA + 0x10000)
#define RX_DATA (DRV_DATA + 0x40000)

static struct vdev *dev;
static struct fake_net net;
static uint8_t bytes[NET_FRAME_MAX];

static int setup(void **state)
{
    fake_gm_start(*state != NULL);
    fake_net_init(&net);
    dev = virtio_net_create(&fake_gm_s2, &net.net);
    fake_bus_put(dev, "net0");
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 11 + i / 256);
    memcpy(bytes, OWN, 6);
    memcpy(bytes + 6, "\2\0\0\0\0\2\x88\xb5", 8); /* a type for experiments */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dev->ops->destroy(dev);
    assert_true(net.closed);
    fake_gm_stop();
    assert_int_equal(fake_heap_objects, 0);
    return 0;
}

static void identity(void **state)
{
    uint64_t offered;

    (void)state;
    assert_int_equal(reg_read(8), 1);
    offered = drv_offered();
    assert_int_equal(offered & 0xffffff, 0x97bbab);
    assert_int_equal(reg_read(0x100), 0x00000002);
    assert_int_equal(reg_read(0x104), 0x00010100); /* the address's end, link up */
    assert_int_equal(reg_read(0x108), 1500 << 16 | 1);
    assert_int_equal(atomic_load(&net.net.can), 0);
    assert_true(drv_init(ALL, 3, 64));
    assert_int_equal(atomic_load(&net.net.can), 15);
    assert_true(drv_init(ALL & ~VNET_F_GUEST_CSUM, 3, 64)); /* the rest needs it */
    assert_int_equal(atomic_load(&net.net.can), 0);
    assert_true(drv_init(ALL & ~VNET_F_GUEST_TSO6, 3, 64));
    assert_int_equal(atomic_load(&net.net.can), NET_CAN_CSUM | NET_CAN_TSO4 | NET_CAN_ECN);
}

/* ---- sending ---- */

static void put_header(struct vnet_header h) { fake_gm_put(TX_DATA, &h, sizeof(h)); }

/* Header and len bytes of the frame at TX_DATA as a chain of buffers of cut bytes each. */
static void add_frame(uint32_t len, uint32_t cut, bool indirect)
{
    struct drv_buf b[64];
    uint32_t all = (uint32_t)sizeof(struct vnet_header) + len, at = 0;
    unsigned n = 0;

    fake_gm_put(TX_DATA + sizeof(struct vnet_header), bytes, len);
    while (at < all && n < 64) {
        uint32_t piece = (uint32_t)min_u64(cut, all - at);

        b[n++] = (struct drv_buf){TX_DATA + at, piece, false};
        at += piece;
    }
    assert_int_equal(at, all);
    drv_add(VNET_TX, b, n, indirect);
}

static void send_all_ways(void **state)
{
    static const uint32_t lens[] = {14, 15, 60, 143, 144, 145, 1514, 9000};
    uint64_t total = 0;

    (void)state;
    assert_true(drv_init(ALL, 3, 64));
    put_header((struct vnet_header){.flags = 0});
    for (unsigned i = 0; i < ARRAY_LEN(lens); i++)
        for (unsigned how = 0; how < 4; how++) {
            uint32_t len = lens[i], cut = how & 1 ? 1 + (len + 12) / 50 : len + 12, id, written;
            unsigned sent = net.sent;

            if (how & 2)
                cut = cut < 12 ? cut : 12; /* the header apart, as some drivers have it */
            if ((len + 12) / cut >= 60)
                cut = (len + 12) / 60 + 1;
            add_frame(len, cut, how & 1);
            assert_int_equal(drv_kick(VNET_TX), MMIO_OK);
            assert_int_equal(net.sent, sent + 1);
            assert_int_equal(net.len, len);
            total += len;
            assert_memory_equal(net.frame, bytes, len);
            assert_true(drv_used(VNET_TX, &id, &written));
            assert_int_equal(written, 0);
        }
    assert_int_equal(net.net.refused, 0);
    assert_int_equal(dev->account.operations[VDEV_WRITE], net.sent);
    assert_int_equal(dev->account.bytes[VDEV_WRITE], total);
    assert_false(drv_needs_reset());
    add_frame(60, 2000, false);
    assert_true(drv_want_kick(VNET_TX, (uint16_t)(drv_q[VNET_TX].idx - 1)));
}

/* Who sends on frees what was sent by himself: he is told late, or when much was sent, or with what comes. */
static void told_of_sent_frames_late(void **state)
{
    struct drv_buf rx = {RX_DATA, 2000, true};

    (void)state;
    assert_true(drv_init(ALL, 3, 64));
    put_header((struct vnet_header){.flags = 0});
    fake_timer = NULL;
    drv_set_used_event(VNET_TX, 0);
    add_frame(60, 2000, false);
    drv_kick(VNET_TX);
    assert_int_equal(drv_used_idx(VNET_TX), 1);
    assert_false(net.unflushed);
    assert_false(fake_irq_level);
    assert_non_null(fake_timer);
    fake_timer_run();
    assert_true(fake_irq_level);
    reg_write(0x64, reg_read(0x60));
    assert_false(fake_irq_level);
    for (unsigned i = 1; i <= 16; i++) {
        assert_false(fake_irq_level);
        drv_set_used_event(VNET_TX, (uint16_t)i);
        add_frame(60, 2000, false);
        drv_kick(VNET_TX);
    }
    assert_true(fake_irq_level); /* a quarter of the queue */
    reg_write(0x64, reg_read(0x60));
    fake_timer_run(); /* which was set: nothing is new */
    assert_false(fake_irq_level);
    drv_set_used_event(VNET_TX, 17);
    add_frame(60, 2000, false);
    drv_kick(VNET_TX);
    assert_false(fake_irq_level);
    drv_add(VNET_RX, &rx, 1, false);
    drv_set_used_event(VNET_RX, 0);
    assert_int_equal(fake_net_give(&net, bytes, 60, (struct net_offload){.csum = false}),
                     NET_TAKEN);
    assert_true(fake_irq_level);
    reg_write(0x64, reg_read(0x60));
    fake_timer_run();
    assert_false(fake_irq_level); /* both were told of by one */
    /* Who does not ask is not told. */
    drv_set_used_event(VNET_TX, 30000);
    fake_timer = NULL;
    add_frame(60, 2000, false);
    drv_kick(VNET_TX);
    assert_null(fake_timer);
    assert_false(fake_irq_level);
}

static void refused_frames(void **state)
{
    static const struct {
        struct vnet_header h;
        uint32_t len;
    } bad[] = {
        {{.flags = 0}, 13},
        {{.flags = 0}, 1},
        {{.gso_type = 3, .gso_size = 1000}, 60}, /* UDP */
        {{.gso_type = 2}, 60},
        {{.gso_type = 0x80}, 60},
        {{.flags = 1, .csum_start = 100, .csum_offset = 44}, 1000},
        {{.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff}, 60},
        {{.flags = 1, .gso_type = 1, .gso_size = 1000, .csum_start = 34, .csum_offset = 16}, 60},
        {{.gso_type = 1, .gso_size = 1000}, 60},
    };

    (void)state;
    assert_true(drv_init(ALL, 3, 64));
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        put_header(bad[i].h);
        add_frame(bad[i].len, 2000, false);
        drv_kick(VNET_TX);
        assert_int_equal(net.net.refused, i + 1);
    }
    /* What was not agreed on. */
    assert_true(drv_init(ALL & ~VNET_F_CSUM, 3, 64));
    put_header((struct vnet_header){.flags = 1, .csum_start = 34, .csum_offset = 6});
    add_frame(60, 2000, false);
    drv_kick(VNET_TX);
    assert_int_equal(net.net.refused, ARRAY_LEN(bad) + 1);
    assert_int_equal(net.sent, 0);
    assert_false(drv_needs_reset());
}

static void offloads_travel(void **state)
{
    static const uint8_t ip_tcp[] = {
        8,  0,  0x45, 0,  0x0f, 0xa0, 0, 1, 0, 0, 64, 6, 0,    0,
        10, 0,  0,    1,  10,   0,    0, 2, /* 4000 bytes */
        0,  80, 0,    80, 0,    0,    0, 0, 0, 0, 0,  0, 0x50, 0x10,
    };
    struct drv_buf rx[4] = {{RX_DATA, 2000, true}, {RX_DATA + 0x1000, 3000, true}};
    struct vnet_header h = {.flags = 1,
                            .gso_type = 0x81,
                            .hdr_len = 9999, /* to be believed by nobody */
                            .gso_size = 1000,
                            .csum_start = 34,
                            .csum_offset = 16},
                       got;

    (void)state;
    net.loop = true;
    memcpy(bytes + 12, ip_tcp, sizeof(ip_tcp));
    assert_true(drv_init(ALL, 3, 64));
    drv_add(VNET_RX, rx, 2, false);
    put_header(h);
    add_frame(4014, 700, true);
    drv_kick(VNET_TX);
    assert_int_equal(net.taken, 1);
    assert_true(net.offload.csum && net.offload.ecn && net.offload.gso == NET_GSO_TCP4);
    assert_int_equal(net.offload.header, 54);
    fake_gm_get(RX_DATA, &got, sizeof(got));
    h.hdr_len = 54;
    h.num_buffers = 1;
    assert_memory_equal(&got, &h, sizeof(h));
}

static void malformed_chains(void **state)
{
    struct drv_buf b[3] = {{TX_DATA, 100, false}, {TX_DATA, 100, true}, {0x1000, 100, false}};

    (void)state;
    put_header((struct vnet_header){.flags = 0});
    for (unsigned i = 0; i < 4; i++) {
        assert_true(drv_init(ALL, 3, 64));
        b[0] = (struct drv_buf){TX_DATA, i == 2 ? 11 : 100, false};
        if (i == 0)
            drv_add(VNET_TX, b, 2, false); /* to be written */
        else if (i == 1)
            drv_add(VNET_TX, b + 2, 1, false); /* outside RAM */
        else if (i == 2)
            drv_add(VNET_TX, b, 1, false); /* not even a header */
        else
            b[0] = (struct drv_buf){GM_BASE + GM_SIZE - 300, 400, false},
            drv_add(VNET_TX, b, 1, false); /* its end */
        drv_kick(VNET_TX);
        assert_true(drv_needs_reset());
        assert_int_equal(reg_read(0x60) & 2, 2);
    }
    assert_int_equal(net.sent, 0);
}

static void too_scattered(void **state)
{
    (void)state;
    assert_true(drv_init(ALL, 3, 256));
    put_header((struct vnet_header){.flags = 0});
    for (unsigned i = 0; i < 200; i++) /* 200 buffers of 10 bytes */
        drv_desc(VNET_TX, i, TX_DATA + 10 * i, 10, i < 199 ? NEXT : 0, (uint16_t)(i + 1));
    drv_offer(VNET_TX, 0);
    drv_kick(VNET_TX);
    assert_int_equal(net.net.refused, 1);
    for (unsigned i = 0; i < 40; i++) /* more than any frame has */
        drv_desc(VNET_TX, i, GM_BASE, 2000000, i < 39 ? NEXT : 0, (uint16_t)(i + 1));
    drv_offer(VNET_TX, 0);
    drv_kick(VNET_TX);
    assert_int_equal(net.net.refused, 2);
    for (unsigned i = 0; i < 256; i++) /* and a loop */
        drv_desc(VNET_TX, i, TX_DATA, 0, NEXT, (uint16_t)((i + 1) % 256));
    drv_offer(VNET_TX, 0);
    drv_kick(VNET_TX);
    assert_int_equal(net.net.refused, 3);
    assert_int_equal(net.sent, 0);
    assert_false(drv_needs_reset());
}

/* An exit sends so much and no more; the access is then tried again. */
static void a_kick_is_bounded(void **state)
{
    unsigned kicks = 0;

    (void)state;
    assert_true(drv_init(ALL, 3, 256));
    put_header((struct vnet_header){.flags = 0});
    for (unsigned i = 0; i < 200; i++)
        add_frame(60, 2000, false);
    while (reg_write(0x50, VNET_TX) == MMIO_RETRY)
        kicks++;
    assert_in_range(kicks, 3, 6);
    assert_int_equal(net.sent, 200);
}

/* ---- receiving ---- */

static enum net_fate give(uint32_t len)
{
    return fake_net_give(&net, bytes, len, (struct net_offload){.gso = 0});
}

/* What the driver finds: len bytes of frame in buffers of size bytes that begin a page each, from the nth on. */
static void find_frame(uint32_t len, uint32_t size, unsigned n, bool merged)
{
    struct vnet_header h;
    uint32_t at = 0, all = len + (uint32_t)sizeof(h), id, written, used = 0;
    uint8_t *got = malloc(all);

    while (at < all) {
        assert_true(drv_used(VNET_RX, &id, &written));
        assert_true(written == size || at + written == all);
        fake_gm_get(RX_DATA + PAGE_SIZE * n++, got + at, written);
        at += written;
        used++;
    }
    memcpy(&h, got, sizeof(h));
    assert_int_equal(h.num_buffers, used);
    assert_true(merged || used == 1);
    assert_memory_equal(got + sizeof(h), bytes, len);
    free(got);
}

static void add_rx(unsigned n, uint32_t size, unsigned pieces)
{
    struct drv_buf b[4];

    for (unsigned i = 0; i < pieces; i++) {
        uint32_t from = size * i / pieces, to = size * (i + 1) / pieces;

        b[i] = (struct drv_buf){RX_DATA + PAGE_SIZE * n + from, to - from, true};
    }
    drv_add(VNET_RX, b, pieces, n < 4 && (n & 1)); /* drv_add has few tables */
}

static void receive_all_ways(void **state)
{
    static const uint32_t lens[] = {14, 60, 144, 145, 1514, 9014, 60000};

    (void)state;
    for (unsigned pieces = 1; pieces <= 4; pieces++)
        for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
            uint32_t size = pieces == 3 ? 30 + lens[i] / 20 : 512 + 512 * pieces;
            unsigned n = 0;

            assert_true(drv_init(ALL, 3, 256));
            assert_false(drv_want_kick(VNET_RX, 0));
            for (; n < 60; n++)
                add_rx(n, size, pieces);
            assert_int_equal(give(lens[i]), NET_TAKEN);
            assert_int_equal(give(14), NET_TAKEN);
            find_frame(lens[i], size, 0, true);
            assert_int_equal(reg_read(0x60), 1);
        }
}

static void without_merging(void **state)
{
    (void)state;
    assert_true(drv_init(ALL & ~VNET_F_MRG_RXBUF, 3, 64));
    add_rx(0, 1526, 2);
    add_rx(1, 1526, 1);
    assert_int_equal(give(1515), NET_FULL); /* by a byte */
    assert_int_equal(drv_used_idx(VNET_RX), 0);
    assert_int_equal(give(1514), NET_TAKEN);
    assert_true(dev->account.operations[VDEV_READ] >= 1 && dev->account.bytes[VDEV_READ] >= 1514);
    find_frame(1514, 1526, 0, false);
    assert_int_equal(give(100), NET_TAKEN);
    assert_int_equal(give(100), NET_FULL);
    assert_false(drv_needs_reset());
}

/* All of a frame or nothing, and what was taken back is good for the next. */
static void too_few_buffers(void **state)
{
    (void)state;
    assert_true(drv_init(ALL, 3, 256));
    for (unsigned i = 0; i < 5; i++)
        add_rx(i, 1000, 1);
    assert_int_equal(give(5 * 1000 - 12 + 1), NET_FULL);
    assert_int_equal(drv_used_idx(VNET_RX), 0);
    assert_int_equal(give(5 * 1000 - 12), NET_TAKEN);
    find_frame(5 * 1000 - 12, 1000, 0, true);
    fake_gm_error = 0;
    assert_false(drv_needs_reset());
    assert_int_equal(give(14), NET_FULL);
}

static void hostile_buffers(void **state)
{
    struct drv_buf wrong = {RX_DATA, 2000, false}, outside = {0x1000, 2000, true};
    uint64_t before;

    (void)state;
    assert_true(drv_init(ALL, 3, 64));
    drv_add(VNET_RX, &wrong, 1, false);
    assert_int_equal(give(60), NET_FULL);
    assert_true(drv_needs_reset());
    assert_int_equal(give(60), NET_DOWN);
    assert_true(drv_init(ALL, 3, 64));
    drv_add(VNET_RX, &outside, 1, false);
    assert_int_equal(give(60), NET_FULL);
    assert_true(drv_needs_reset());
    /* Buffers of a byte, and of none: the search ends. */
    assert_true(drv_init(ALL, 3, 256));
    for (unsigned i = 0; i < 256; i++)
        drv_desc(VNET_RX, i, RX_DATA + i, i & 1, WRITE | NEXT, (uint16_t)((i + 1) % 256));
    for (unsigned i = 0; i < 200; i++)
        drv_offer(VNET_RX, (uint16_t)i);
    before = fake_gm_copied;
    assert_int_equal(give(1514), NET_FULL);
    assert_true(fake_gm_copied - before < 5000);
    assert_false(drv_needs_reset());
    /* An index that jumps. */
    assert_true(drv_init(ALL, 3, 64));
    drv_set_avail_idx(VNET_RX, 30000);
    assert_int_equal(give(60), NET_FULL);
    assert_true(drv_needs_reset());
}

static void not_ready(void **state)
{
    (void)state;
    assert_int_equal(give(60), NET_DOWN);
    assert_true(drv_init(ALL, 0, 64));
    assert_int_equal(give(60), NET_DOWN);
    assert_true(drv_init(ALL, 3, 64));
    add_rx(0, 1536, 1);
    net.net.link = false;
    net.net.link_changed(net.net.device);
    assert_int_equal(reg_read(0x60), 2);
    assert_int_equal(reg_read(0x104) >> 16, 0);
    assert_int_equal(give(60), NET_DOWN);
    net.net.link = true;
    net.net.link_changed(net.net.device);
    assert_int_equal(give(60), NET_TAKEN);
    dev->ops->reset(dev);
    assert_int_equal(give(60), NET_DOWN);
}

/* ---- commands ---- */

/* The answer, or -1: none came. */
static int command(const void *data, uint32_t len, uint32_t cut)
{
    struct drv_buf b[32];
    uint8_t ack = 0xee;
    uint32_t id, written;
    unsigned n = 0;

    fake_gm_put(DRV_DATA, data, len);
    fake_gm_put(DRV_DATA + 0x4000, &ack, 1);
    for (uint32_t at = 0; at < len; at += cut)
        b[n++] = (struct drv_buf){DRV_DATA + at, (uint32_t)min_u64(cut, len - at), false};
    b[n++] = (struct drv_buf){DRV_DATA + 0x4000, 1, true};
    drv_add(VNET_CTRL, b, n, true);
    drv_kick(VNET_CTRL);
    if (!drv_used(VNET_CTRL, &id, &written))
        return -1;
    fake_gm_get(DRV_DATA + 0x4000, &ack, 1);
    return ack;
}

static enum net_fate give_to(const char *mac)
{
    memcpy(bytes, mac, 6);
    return give(60);
}

static void modes(void **state)
{
    (void)state;
    assert_true(drv_init(ALL, 3, 64));
    for (unsigned i = 0; i < 40; i++)
        add_rx(i, 1536, 1);
    assert_int_equal(give_to("\2\0\0\0\0\5"), NET_TAKEN);
    assert_int_equal(command("\0\0\0", 3, 1), 0); /* no longer promiscuous */
    assert_int_equal(give_to("\2\0\0\0\0\5"), NET_FILTERED);
    assert_int_equal(give_to("\1\0\0\0\0\5"), NET_FILTERED);
    assert_int_equal(give_to("\xff\xff\xff\xff\xff\xff"), NET_TAKEN);
    assert_int_equal(give_to(OWN), NET_TAKEN);
    assert_int_equal(command("\0\1\1", 3, 3), 0); /* all multicast */
    assert_int_equal(give_to("\1\0\0\0\0\5"), NET_TAKEN);
    assert_int_equal(command("\0\3\1", 3, 2), 0); /* none */
    assert_int_equal(give_to("\1\0\0\0\0\5"), NET_FILTERED);
    assert_int_equal(command("\0\5\1", 3, 2), 0); /* no broadcast */
    assert_int_equal(give_to("\xff\xff\xff\xff\xff\xff"), NET_FILTERED);
    assert_int_equal(command("\0\4\1", 3, 2), 0); /* nothing of one's own */
    assert_int_equal(give_to(OWN), NET_FILTERED);
    assert_int_equal(command("\0\6\1", 3, 2), 1);
    assert_int_equal(command("\0\1\2", 3, 2), 1);
    assert_int_equal(command("\0\1", 2, 2), 1);
    assert_int_equal(command("\0", 1, 1), 1);
    assert_int_equal(command("\7\0\0", 3, 2), 1);
    assert_false(drv_needs_reset());
    assert_true(drv_init(ALL & ~VNET_F_CTRL_RX & ~VNET_F_CTRL_RX_EXTRA, 3, 64));
    assert_int_equal(command("\0\0\0", 3, 2), 1);
    add_rx(0, 1536, 1);
    assert_int_equal(give_to("\2\0\0\0\0\5"), NET_TAKEN);
}

static void tables(void **state)
{
    uint8_t set[2 + 4 + 6 * 40 + 4 + 6 * 2] = {1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0,
                                               9, 1, 0, 0, 0, 1, 0, 0, 0, 0, 9};
    uint8_t many[2 + 4 + 6 * 40 + 4] = {1, 0, 40};

    (void)state;
    assert_true(drv_init(ALL, 3, 64));
    for (unsigned i = 0; i < 40; i++)
        add_rx(i, 1536, 1);
    assert_int_equal(command("\0\0\0", 3, 3), 0);
    for (unsigned cut = 1; cut < 30; cut += 4) {
        assert_int_equal(command(set, 22, cut), 0);
        assert_int_equal(give_to("\2\0\0\0\0\x09"), NET_TAKEN);
        assert_int_equal(give_to("\1\0\0\0\0\x09"), NET_TAKEN);
        assert_int_equal(give_to("\2\0\0\0\0\x08"), NET_FILTERED);
        assert_int_equal(give_to("\1\0\0\0\0\x08"), NET_FILTERED);
    }
    assert_int_equal(command(set, 21, 30), 1); /* cut short: as it was */
    assert_int_equal(give_to("\2\0\0\0\0\x09"), NET_TAKEN);
    assert_int_equal(command(many, sizeof(many), 100), 0); /* more than fit: all of the kind */
    assert_int_equal(give_to("\2\0\0\0\0\x08"), NET_TAKEN);
    assert_int_equal(give_to("\1\0\0\0\0\x08"), NET_FILTERED);
    memset(many + 2, 0xff, 4); /* 4 G of them */
    assert_int_equal(command(many, sizeof(many), 100), 1);
    assert_false(drv_needs_reset());
}

static void addresses(void **state)
{
    (void)state;
    assert_true(drv_init(ALL, 3, 64));
    assert_int_equal(command("\1\1\2\0\0\0\0\7", 8, 3), 0);
    assert_int_equal(reg_read(0x104) & 0xffff, 0x0700);
    net.fixed_mac = true;
    assert_int_equal(command("\1\1\2\0\0\0\0\6", 8, 3), 1);
    assert_int_equal(command("\1\1\2\0\0\0", 6, 3), 1);
    assert_int_equal(reg_read(0x104) & 0xffff, 0x0700);
    reg_write(0x70, 0); /* a reset: the card's own */
    assert_int_equal(reg_read(0x104) & 0xffff, 0x0100);
    assert_true(drv_init(ALL & ~VNET_F_CTRL_MAC_ADDR, 3, 64));
    assert_int_equal(command("\1\1\2\0\0\0\0\1", 8, 3), 1);
}

static void malformed_commands(void **state)
{
    struct drv_buf b[2] = {{DRV_DATA, 3, false}, {0x1000, 1, true}};

    (void)state;
    assert_true(drv_init(ALL, 3, 64));
    drv_add(VNET_CTRL, b, 1, false); /* no place for the answer */
    drv_kick(VNET_CTRL);
    assert_true(drv_needs_reset());
    assert_true(drv_init(ALL, 3, 64));
    drv_add(VNET_CTRL, b, 2, false); /* and one that is no RAM */
    drv_kick(VNET_CTRL);
    assert_true(drv_needs_reset());
    assert_true(drv_init(ALL, 3, 64));
    b[0].addr = 0x1000;
    drv_add(VNET_CTRL, b, 1, false);
    drv_kick(VNET_CTRL);
    assert_true(drv_needs_reset());
}

#define TEST(f) \
    cmocka_unit_test_setup_teardown(f, setup, teardown), \
        {#f " (scattered)", f, setup, teardown, (void *)1}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identity),
        TEST(send_all_ways),
        TEST(told_of_sent_frames_late),
        TEST(refused_frames),
        TEST(offloads_travel),
        TEST(malformed_chains),
        TEST(too_scattered),
        TEST(a_kick_is_bounded),
        TEST(receive_all_ways),
        TEST(without_merging),
        TEST(too_few_buffers),
        TEST(hostile_buffers),
        TEST(not_ready),
        TEST(modes),
        TEST(tables),
        TEST(addresses),
        TEST(malformed_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
