// SPDX-License-Identifier: BSD-2-Clause
// virtio-mmio registers and status, ring handling, and hostile rings, through the entropy device and
// the console.
// units: vdev/virtio/virtq.c vdev/virtio/virtio_mmio.c vdev/virtio/rng.c vdev/virtio/console.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c vdev/bus.c hyp/base/state.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/log.h"
#include "fake_vdev.h"
#include "vdev/virtio/virtio_dev.h"
#include "vdev/virtio/virtq.h"

#define V1 (1ull << 32)
#define EVENT (1ull << 29)
#define INDIR (1ull << 28)
#define RING_RESET (1ull << 40)

static struct vdev *dev;
static struct fake_chr chr;

static int setup(void **state)
{
    fake_gm_start(*state != NULL);
    dev = virtio_rng_create(&fake_gm_s2, fake_entropy());
    fake_bus_put(dev, "rng0");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dev->ops->destroy(dev);
    fake_gm_stop();
    assert_int_equal(fake_heap_objects, 0);
    return 0;
}

static int setup_console(void **state)
{
    fake_gm_start(*state != NULL);
    fake_chr_init(&chr);
    dev = virtio_console_create(&fake_gm_s2, &chr.chr);
    fake_bus_put(dev, "console0");
    return 0;
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(reg_read(0), 0x74726976);
    assert_int_equal(reg_read(4), 2);
    assert_int_equal(reg_read(8), 4);
    assert_int_equal(reg_read(0x34), 256);
    assert_int_equal(reg_read(0xb0), UINT32_MAX);
    assert_int_equal(reg_read(0xb4), UINT32_MAX);
    assert_int_equal(drv_offered(), V1 | EVENT | INDIR | RING_RESET);
    reg_write(0x14, 2);
    assert_int_equal(reg_read(0x10), 0);
    reg_write(0x30, 1);
    assert_int_equal(reg_read(0x34), 0); /* no such queue */
}

static void status_machine(void **state)
{
    static const struct {
        uint8_t write, read;
    } step[] = {
        {4, 0},
        {15, 0},
        {1, 1},
        {1, 1},
        {0, 0},
        {1, 1},
        {3, 3},
        {15, 3},
        {7, 3},
        {1, 3},
        {11, 3},
        /* VERSION_1 was not accepted */ {131, 131},
        {3, 131},
        {0, 0},
        {3, 3},
        {64, 3},
        {67, 3},
        {1, 3},
        {2, 3},
        {0, 0},
        /* U-Boot resets after ACKNOWLEDGE and goes on with DRIVER alone */ {1, 1},
        {0, 0},
        {2, 2},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(step); i++) {
        reg_write(0x70, step[i].write);
        if (reg_read(0x70) != step[i].read)
            fail_msg("step %u: %x", i, reg_read(0x70));
    }
    reg_write(0x24, 1);
    reg_write(0x20, 1);
    reg_write(0x70, 10);
    reg_write(0x70, 14);
    assert_int_equal(reg_read(0x70), 14);
    /* Features that were not offered. */
    reg_write(0x70, 0);
    reg_write(0x70, 1);
    reg_write(0x70, 3);
    reg_write(0x24, 1);
    reg_write(0x20, 1 | 2);
    reg_write(0x70, 11);
    assert_int_equal(reg_read(0x70), 3);
    reg_write(0x20, 1);
    reg_write(0x70, 11);
    assert_int_equal(reg_read(0x70), 11);
    reg_write(0x20, 0); /* too late */
    assert_true(drv_init(V1, 1, 8));
    assert_false(drv_init(EVENT, 0, 8));
}

static void every_access_is_harmless(void **state)
{
    (void)state;
    assert_true(drv_init(V1, 1, 8));
    for (unsigned round = 0; round < 2; round++)
        for (uint64_t off = 0; off < 0x1010; off++)
            for (unsigned w = 1; w <= 8; w *= 2) {
                uint64_t v = 0xdeadbeefcafef00dull >> (off & 31);
                enum mmio_result r;

                if (off == 0x70 && w == 4 && round == 0)
                    continue;
                r = reg_access(off, w, true, &v);
                assert_int_equal(r, off + w <= 0x1000 ? MMIO_OK : MMIO_UNHANDLED);
                v = ~0ull;
                r = reg_access(off, w, false, &v);
                if (off < 0x100 && (w != 4 || off & 3))
                    assert_int_equal(v, 0);
            }
}

static void queue_registers(void **state)
{
    (void)state;
    assert_true(drv_init(V1 | RING_RESET, 0, 8));
    reg_write(0x30, 0);
    reg_write(0x38, 3); /* not a power of two */
    reg_write(0x38, 512); /* too large */
    reg_write(0x38, 0);
    reg_write(0x80, 0x80000000);
    reg_write(0x90, 0x80002000);
    reg_write(0xa0, 0x80004000);
    reg_write(0x44, 1);
    assert_int_equal(reg_read(0x44), 1);
    assert_true(fake_gm_pins > 0);
    reg_write(0x44, 0);
    assert_int_equal(reg_read(0x44), 0);
    assert_int_equal(fake_gm_pins, 0);
    drv_setup_queue(0, 8);
    reg_write(0xc0, 1);
    assert_int_equal(reg_read(0xc0), 0);
    assert_int_equal(reg_read(0x44), 0);
    assert_int_equal(fake_gm_pins, 0);
    drv_setup_queue(0, 16); /* and again, another size */
    assert_false(drv_needs_reset());
}

static void bad_queue_addresses(void **state)
{
    static const uint64_t bad[][3] = {
        {0x80000008, 0x80002000, 0x80004000}, {0x80000000, 0x80002001, 0x80004000},
        {0x80000000, 0x80002000, 0x80004002}, {0x1000, 0x80002000, 0x80004000},
        {0x80000000, ~0ull - 1, 0x80004000},  {0x80000000, 0x80002000, GM_BASE + GM_SIZE - 4},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_true(drv_init(V1, 0, 8));
        reg_write(0x30, 0);
        for (unsigned p = 0; p < 3; p++) {
            reg_write(0x80 + 16 * p, (uint32_t)bad[i][p]);
            reg_write(0x84 + 16 * p, (uint32_t)(bad[i][p] >> 32));
        }
        reg_write(0x44, 1);
        assert_int_equal(reg_read(0x44), 0);
        assert_true(drv_needs_reset());
        assert_int_equal(reg_read(0x60), 2);
        assert_true(fake_irq_level);
        assert_int_equal(fake_gm_pins, 0);
        drv_kick(0);
    }
    assert_true(drv_init(V1, 0, 8));
    fake_gm_error = -ENOMEM;
    fake_gm_errors_at = 2;
    reg_write(0x80, 0x80000000);
    reg_write(0x90, 0x80002000);
    reg_write(0xa0, 0x80004000);
    reg_write(0x44, 1);
    assert_true(drv_needs_reset());
    assert_int_equal(fake_gm_pins, 0);
    fake_gm_error = 0;
    assert_true(drv_init(V1, 1, 8));
    assert_false(fake_irq_level);
}

static void request_and_interrupt(void **state)
{
    struct drv_buf b = {DRV_DATA, 64, true};
    uint32_t id, len;
    uint8_t got[64];

    (void)state;
    assert_true(drv_init(V1, 1, 8));
    for (unsigned i = 0; i < 100; i++) {
        uint16_t head = drv_add(0, &b, 1, false);

        assert_int_equal(drv_kick(0), MMIO_OK);
        assert_true(drv_used(0, &id, &len));
        assert_int_equal(id, head);
        assert_int_equal(len, 64);
        fake_gm_get(DRV_DATA, got, 64);
        assert_true(got[0] && got[63]);
        assert_true(fake_irq_level);
        assert_int_equal(reg_read(0x60), 1);
        reg_write(0x64, 2);
        assert_true(fake_irq_level);
        reg_write(0x64, 1);
        assert_false(fake_irq_level);
    }
    /* The driver wants none. */
    fake_gm_put(drv_q[0].avail, "\1", 2);
    drv_add(0, &b, 1, false);
    drv_kick(0);
    assert_false(fake_irq_level);
}

static void event_index(void **state)
{
    struct drv_buf b = {DRV_DATA, 8, true};
    uint32_t id, len;

    (void)state;
    assert_true(drv_init(V1 | EVENT | INDIR, 1, 8));
    drv_set_used_event(0, 2); /* at the third */
    for (unsigned i = 0; i < 5; i++) {
        uint16_t old = drv_q[0].idx;

        drv_add(0, &b, 1, i & 1);
        assert_true(drv_want_kick(0, old)); /* armed again each time */
        drv_kick(0);
        assert_int_equal(fake_irq_rises, i >= 2);
        assert_true(drv_used(0, &id, &len));
        assert_int_equal(len, 8);
        if (i == 2)
            reg_write(0x64, 1);
    }
    /* A whole turn of the 16-bit indices. */
    for (unsigned i = 0; i < 70000; i++) {
        drv_set_used_event(0, (uint16_t)(drv_q[0].idx - (i % 3 == 0 ? 0 : 1)));
        reg_write(0x64, 1);
        drv_add(0, &b, 1, false);
        drv_kick(0);
        assert_true(fake_irq_level == (i % 3 == 0));
        assert_true(drv_used(0, &id, &len));
    }
    assert_false(drv_needs_reset());
}

static void hostile(uint64_t features, unsigned which)
{
    assert_true(drv_init(features, 1, 8));
    switch (which) {
    case 0: /* a loop of zero-length buffers */
        drv_desc(0, 0, DRV_DATA, 0, WRITE | NEXT, 1);
        drv_desc(0, 1, DRV_DATA, 0, WRITE | NEXT, 0);
        drv_offer(0, 0);
        break;
    case 1: /* head out of the table */
        drv_offer(0, 8);
        break;
    case 2: /* next out of the table */
        drv_desc(0, 0, DRV_DATA, 0, WRITE | NEXT, 0xffff);
        drv_offer(0, 0);
        break;
    case 3: /* more than the queue holds, of chains that are good */
    case 4: /* backwards */
        for (unsigned i = 0; i < 8; i++)
            drv_desc(0, i, DRV_DATA, 16, WRITE, 0);
        drv_set_avail_idx(0, which == 3 ? 9 : 0xffff);
        break;
    case 5: /* outside RAM */
        drv_desc(0, 0, 0x1000, 16, WRITE, 0);
        drv_offer(0, 0);
        break;
    case 6: /* wraps */
        drv_desc(0, 0, ~0ull - 3, 16, WRITE, 0);
        drv_offer(0, 0);
        break;
    case 7: /* over the end */
        drv_desc(0, 0, GM_BASE + GM_SIZE - 8, 16, WRITE, 0);
        drv_offer(0, 0);
        break;
    case 8: /* wrong direction */
        drv_desc(0, 0, DRV_DATA, 16, 0, 0);
        drv_offer(0, 0);
        break;
    case 9: /* readable after writable */
        drv_desc(0, 0, DRV_DATA, 0, WRITE | NEXT, 1);
        drv_desc(0, 1, DRV_DATA, 16, 0, 0);
        drv_offer(0, 0);
        break;
    case 10: /* indirect: length no multiple of 16 */
        drv_desc(0, 0, DRV_DATA, 17, INDIRECT, 0);
        drv_offer(0, 0);
        break;
    case 11: /* indirect: empty */
        drv_desc(0, 0, DRV_DATA, 0, INDIRECT, 0);
        drv_offer(0, 0);
        break;
    case 12: /* indirect: enormous */
        drv_desc(0, 0, GM_BASE, 0xfffffff0, INDIRECT, 0);
        drv_offer(0, 0);
        break;
    case 13: /* indirect with a next; the table is good */
        drv_desc(0, 1, DRV_DATA, 16, WRITE, 0);
        drv_desc(0, 0, drv_q[0].desc + 16, 16, INDIRECT | NEXT, 1);
        drv_offer(0, 0);
        break;
    case 14: /* a table within a table: itself */
        drv_desc(0, 0, drv_q[0].desc, 128, INDIRECT, 0);
        drv_offer(0, 0);
        break;
    case 15: /* a table outside RAM */
        drv_desc(0, 0, 0x100000, 128, INDIRECT, 0);
        drv_offer(0, 0);
        break;
    case 16: /* a table that wraps */
        drv_desc(0, 0, ~0ull - 31, 128, INDIRECT, 0);
        drv_offer(0, 0);
        break;
    case 17: { /* a loop in a table */
        uint8_t d[16] = {0};

        d[12] = WRITE | NEXT;
        fake_gm_put(drv_q[0].table, d, 16);
        drv_desc(0, 0, drv_q[0].table, 16 * 256, INDIRECT, 0);
        drv_offer(0, 0);
        break;
    }
    default: { /* a next out of the table */
        uint8_t d[16] = {0};

        d[12] = WRITE | NEXT;
        d[14] = 4;
        fake_gm_put(drv_q[0].table, d, 16);
        drv_desc(0, 0, drv_q[0].table, 64, INDIRECT, 0);
        drv_offer(0, 0);
        break;
    }
    }
    fake_irq_rises = 0;
    assert_int_equal(reg_write(0x50, 0), MMIO_OK);
    if (!drv_needs_reset())
        fail_msg("hostile ring %u was swallowed", which);
    assert_int_equal(reg_read(0x60), 2);
    assert_int_equal(fake_irq_rises, 1);
    assert_int_equal(drv_used_idx(0), 0);
    assert_int_equal(reg_write(0x50, 0), MMIO_OK); /* nothing more until a reset */
}

static void hostile_rings(void **state)
{
    struct drv_buf b = {DRV_DATA, 8, true};

    (void)state;
    for (unsigned i = 0; i <= 18; i++) {
        hostile(V1 | INDIR, i);
        hostile(V1 | INDIR | EVENT, i);
    }
    hostile(V1, 14); /* indirect was not negotiated */
    assert_true(drv_init(V1, 1, 8));
    drv_add(0, &b, 1, false);
    drv_kick(0);
    assert_int_equal(drv_used_idx(0), 1); /* and after a reset all is well */
}

/* The parts of the queue on top of each other, and data buffers over the rings. */
static void overlapping(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        assert_true(drv_init(V1 | INDIR, 1, 8));
        reg_write(0x44, 0);
        reg_write(0x80, (uint32_t)GM_BASE);
        reg_write(0x90, (uint32_t)GM_BASE + 2 * i);
        reg_write(0xa0, (uint32_t)GM_BASE + 4 * (i / 2));
        for (unsigned k = 0; k < 512; k++) {
            uint8_t byte = (uint8_t)(k * 7 + i * 13) & (k % 4 == 2 ? 1 : 0x83);

            fake_gm_put(GM_BASE + k, &byte, 1);
        }
        reg_write(0x44, 1);
        for (unsigned k = 0; k < 50; k++)
            reg_write(0x50, 0);
    }
}

/* Random rings: nothing but errors may come of them. */
static void fuzz(void **state)
{
    uint32_t seed = 12345;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t bytes[256];

        assert_true(drv_init(V1 | INDIR | (i & 1 ? EVENT : 0), 1, 8));
        for (unsigned k = 0; k < sizeof(bytes); k++) {
            seed = seed * 1103515245 + 12345;
            bytes[k] = (uint8_t)(seed >> 16);
            if ((k & 15) >= 3 && (k & 15) < 8)
                bytes[k] = (k & 15) == 3 ? 0x80 : 0;
            if ((k & 15) > 9 && (k & 15) < 16)
                bytes[k] &= 7;
        }
        fake_gm_put(drv_q[0].desc, bytes, 128);
        fake_gm_put(drv_q[0].table, bytes + 128, 128);
        for (unsigned k = 0; k < 8; k++)
            drv_offer(0, bytes[k] & 7);
        for (unsigned k = 0; k < 5; k++)
            reg_write(0x50, 0);
    }
}

/* Another vCPU changes an indirect descriptor after each read of it. */
static void flip(gpa_t from, size_t len)
{
    if (from.v >= drv_q[0].table && from.v < drv_q[0].table + 0x8000 && len >= 16) {
        uint8_t d[16];

        fake_gm_get(from.v, d, 16);
        d[12] ^= INDIRECT | WRITE;
        d[3] ^= 0x80;
        fake_gm_put(from.v, d, 16);
    }
}

static void changing_while_read(void **state)
{
    struct drv_buf b[3] = {
        {DRV_DATA, 8, true}, {DRV_DATA + 64, 8, true}, {DRV_DATA + 128, 8, true}};

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_true(drv_init(V1 | INDIR, 1, 8));
        drv_add(0, b, 3, true);
        fake_gm_read_hook = flip;
        reg_write(0x50, 0);
        reg_write(0x50, 0);
        fake_gm_read_hook = NULL;
    }
}

static void work_per_kick_is_bounded(void **state)
{
    struct drv_buf b = {DRV_DATA, 4096, true};

    (void)state;
    assert_true(drv_init(V1, 1, 256));
    for (unsigned i = 0; i < 256; i++)
        drv_add(0, &b, 1, false);
    fake_gm_copied = 0;
    reg_write(0x50, 0);
    assert_true(fake_gm_copied <= 256 * 300);
    assert_int_equal(drv_kick(0), MMIO_OK);
    assert_int_equal(drv_used_idx(0), 256);
}

static unsigned log_lines;
void log_write(enum log_level level, const char *fmt, ...)
{
    (void)level;
    (void)fmt;
    log_lines++;
}

static void rules_broken_at_will(void **state)
{
    (void)state;
    struct log_limit limit = {0};

    fake_bus.dev[0]->log = &limit;
    log_lines = 0;
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(drv_init(V1, 1, 8));
        drv_set_avail_idx(0, 100);
        reg_write(0x50, 0);
        assert_true(drv_needs_reset());
    }
    assert_in_range(log_lines, 1, LOG_BURST);
}

/* A table of n descriptors for len bytes each, and a queue full of chains that all are this table. */
static void offer_long_chains(unsigned queue, unsigned n, uint32_t len, uint16_t flags)
{
    for (unsigned i = 0; i < n; i++) {
        struct {
            uint64_t addr;
            uint32_t len;
            uint16_t flags, next;
        } d = {DRV_DATA, len, (uint16_t)(flags | (i + 1 < n ? NEXT : 0)), (uint16_t)(i + 1)};

        fake_gm_put(drv_q[queue].table + 16 * i, &d, 16);
    }
    for (unsigned i = 0; i < drv_q[queue].size; i++) {
        drv_desc(queue, i, drv_q[queue].table, 16 * n, INDIRECT, 0);
        drv_offer(queue, (uint16_t)i);
    }
}

/* The longest chains, of buffers for one byte: neither the generator nor the hart is kept busy with it. */
static void random_byte_by_byte(void **state)
{
    uint8_t byte;

    (void)state;
    assert_true(drv_init(V1 | INDIR, 1, 256));
    offer_long_chains(0, 256, 1, WRITE);
    fake_entropy_fills = 0;
    fake_gm_copied = 0;
    reg_write(0x50, 0);
    assert_true(fake_gm_copied <= 64 * (256 * 17 + 64));
    assert_true(fake_entropy_fills <= 64 * 4);
    assert_int_equal(drv_kick(0), MMIO_OK);
    assert_int_equal(drv_used_idx(0), 256);
    fake_gm_get(DRV_DATA, &byte, 1);
    assert_true(byte != 0);
    assert_int_equal(dev->account.operations[VDEV_READ], 256);
    assert_int_equal(dev->account.bytes[VDEV_READ], 256 * 256);
}

/* ---- console ---- */

static void empty_output(void **state)
{
    (void)state;
    assert_true(drv_init(V1 | INDIR, 2, 256));
    offer_long_chains(1, 256, 0, 0);
    fake_gm_copied = 0;
    assert_int_equal(reg_write(0x50, 1), MMIO_RETRY);
    assert_true(fake_gm_copied <= 65 * 256 * 17);
    assert_int_equal(drv_kick(1), MMIO_OK);
    assert_int_equal(drv_used_idx(1), 256);
    assert_int_equal(chr.writes, 0);
}

/* Nobody reads a chain of nothing to its end while a person types. */
static void empty_input(void **state)
{
    (void)state;
    assert_true(drv_init(V1 | INDIR, 2, 256));
    offer_long_chains(0, 256, 0, WRITE);
    fake_gm_copied = 0;
    fake_chr_type(&chr, "x", 1);
    assert_true(drv_needs_reset());
    assert_true(fake_gm_copied <= 1024);
}

static void console_config(void **state)
{
    uint64_t v = 0;

    (void)state;
    assert_int_equal(reg_read(8), 3);
    assert_int_equal(drv_offered() & 7, 5);
    assert_int_equal(reg_access(0x100, 2, false, &v), MMIO_OK);
    assert_int_equal(v, 100);
    reg_access(0x102, 2, false, &v);
    assert_int_equal(v, 40);
    assert_int_equal(reg_read(0x100), 100 | 40 << 16);
    reg_write(0x108, '!'); /* before any set-up */
    assert_int_equal(chr.out_len, 1);
    assert_int_equal(chr.out[0], '!');
    assert_true(drv_init(V1, 2, 8));
    chr.columns = 132;
    chr.chr.ready(chr.chr.device);
    assert_int_equal(reg_read(0xfc), 1);
    assert_int_equal(reg_read(0x60), 2);
    assert_int_equal(reg_read(0x100), 132 | 40 << 16);
    chr.chr.ready(chr.chr.device);
    assert_int_equal(reg_read(0xfc), 1);
    v = 0;
    reg_access(0x10a, 4, false, &v); /* over the end */
    assert_int_equal(v, 0);
}

static void console_output(void **state)
{
    struct drv_buf b[3] = {
        {DRV_DATA, 5, false}, {DRV_DATA + 0x1ffe, 4, false}, {DRV_DATA + 0x100, 1, false}};
    uint32_t id, len;

    (void)state;
    assert_true(drv_init(V1 | EVENT | INDIR, 2, 8));
    fake_gm_put(DRV_DATA, "Hello", 5);
    fake_gm_put(DRV_DATA + 0x1ffe, ", ye", 4);
    fake_gm_put(DRV_DATA + 0x100, "!", 1);
    drv_add(1, b, 3, false);
    assert_int_equal(reg_write(0x50, 1), MMIO_OK);
    assert_int_equal(chr.writes, 1); /* one write a chain */
    assert_int_equal(chr.out_len, 10);
    assert_memory_equal(chr.out, "Hello, ye!", 10);
    assert_true(drv_used(1, &id, &len));
    assert_int_equal(len, 0);
    /* A backend that fills up: the kick is tried again, nothing is lost or doubled. */
    for (unsigned i = 0; i < 3; i++)
        drv_add(1, b, 3, true);
    chr.out_len = 0;
    chr.out_room = 13;
    assert_int_equal(reg_write(0x50, 1), MMIO_RETRY);
    assert_int_equal(reg_write(0x50, 1), MMIO_RETRY);
    assert_int_equal(chr.out_len, 13);
    chr.out_room = 1000;
    assert_int_equal(reg_write(0x50, 1), MMIO_OK);
    assert_int_equal(chr.out_len, 30);
    assert_memory_equal(chr.out, "Hello, ye!Hello, ye!Hello, ye!", 30);
    assert_int_equal(drv_used_idx(1), 4);
    /* Enormous output: bounded per exit, complete in the end. */
    b[0].len = 100000;
    for (unsigned i = 0; i < 100000; i += 8)
        fake_gm_put(DRV_DATA + i, "abcdefgh", 8);
    chr.out_len = 0;
    chr.out_room = sizeof(chr.out);
    drv_add(1, b, 1, false);
    assert_int_equal(reg_write(0x50, 1), MMIO_RETRY);
    assert_true(chr.out_len < 40000);
    assert_int_equal(drv_kick(1), MMIO_OK);
    assert_int_equal(chr.out_len, 100000);
    assert_int_equal(dev->account.bytes[VDEV_WRITE], 4 * 10 + 100000);
    assert_int_equal(dev->account.operations[VDEV_WRITE], 5);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(chr.out[i], "abcdefgh"[i % 8]);
    b[0].write = true; /* the wrong direction */
    drv_add(1, b, 1, false);
    reg_write(0x50, 1);
    assert_true(drv_needs_reset());
}

static void console_input(void **state)
{
    struct drv_buf b = {DRV_DATA, 16, true};
    uint32_t id, len;
    char got[16], typed[200];
    unsigned total = 0;

    (void)state;
    assert_true(drv_init(V1 | EVENT, 2, 8));
    for (unsigned i = 0; i < 4; i++) {
        uint16_t old = drv_q[0].idx;

        b.addr = DRV_DATA + 16 * i;
        drv_add(0, &b, 1, false);
        assert_false(drv_want_kick(0, old)); /* filling the queue costs no exits */
    }
    fake_chr_type(&chr, "ls\n", 3);
    assert_true(drv_used(0, &id, &len));
    assert_int_equal(len, 3);
    fake_gm_get(DRV_DATA, got, 3);
    assert_memory_equal(got, "ls\n", 3);
    assert_true(fake_irq_level);
    /* More than there are buffers for: the next buffer is asked for. */
    for (unsigned i = 0; i < sizeof(typed); i++)
        typed[i] = (char)(i + 1);
    fake_chr_type(&chr, typed, sizeof(typed));
    for (unsigned i = 0; total < sizeof(typed); i++) {
        uint16_t old = drv_q[0].idx;

        assert_true(i < 40);
        while (drv_used(0, &id, &len)) {
            b.addr = DRV_DATA + 16 * (id % 4);
            fake_gm_get(b.addr, got, len);
            assert_memory_equal(got, typed + total, len);
            total += len;
        }
        if (total == sizeof(typed))
            break;
        b.addr = DRV_DATA + 16 * (drv_q[0].next_desc % 4);
        drv_add(0, &b, 1, false);
        assert_true(drv_want_kick(0, old));
        assert_int_equal(drv_kick(0), MMIO_OK);
    }
    b.len = 0; /* a buffer for nothing */
    fake_chr_type(&chr, typed, 60);
    for (unsigned i = 0; i < 5; i++)
        drv_add(0, &b, 1, false);
    drv_kick(0);
    assert_true(drv_needs_reset());
}

/* A second driver takes over (U-Boot, then Linux), and input from before waits for it. */
static void second_driver(void **state)
{
    struct drv_buf b = {DRV_DATA, 16, true};
    uint32_t id, len;

    (void)state;
    assert_true(drv_init(V1, 2, 8));
    fake_chr_type(&chr, "x", 1);
    assert_true(drv_init(V1 | EVENT | RING_RESET, 2, 64));
    drv_add(0, &b, 1, false);
    drv_kick(0);
    assert_true(drv_used(0, &id, &len));
    assert_int_equal(len, 1);
    reg_write(0x30, 0);
    reg_write(0xc0, 1); /* the input queue alone is reset */
    fake_chr_type(&chr, "y", 1);
    drv_setup_queue(0, 32);
    drv_add(0, &b, 1, false);
    drv_kick(0);
    assert_true(drv_used(0, &id, &len));
}

#define RNG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define RNG_SCATTERED(f) {#f " scattered", f, setup, teardown, &scatter}
#define CON(f) cmocka_unit_test_setup_teardown(f, setup_console, teardown)
static int scatter;

int main(void)
{
    const struct CMUnitTest tests[] = {
        RNG(identity),
        RNG(status_machine),
        RNG(every_access_is_harmless),
        RNG(queue_registers),
        RNG(bad_queue_addresses),
        RNG(request_and_interrupt),
        RNG(event_index),
        RNG(hostile_rings),
        RNG(overlapping),
        RNG(fuzz),
        RNG(changing_while_read),
        RNG(work_per_kick_is_bounded),
        RNG(rules_broken_at_will),
        RNG(random_byte_by_byte),
        RNG_SCATTERED(queue_registers),
        RNG_SCATTERED(bad_queue_addresses),
        RNG_SCATTERED(hostile_rings),
        RNG_SCATTERED(event_index),
        RNG_SCATTERED(fuzz),
        RNG_SCATTERED(work_per_kick_is_bounded),
        CON(console_config),
        CON(console_output),
        CON(empty_output),
        CON(empty_input),
        CON(console_input),
        CON(second_driver),
        CON(every_access_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
