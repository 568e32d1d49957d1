// SPDX-License-Identifier: BSD-2-Clause
// The MMIO bus, the state stream, the UART and the PLIC.
// units: vdev/ns16550.c vdev/irqchip/vplic.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c vdev/bus.c hyp/base/state.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "fake_vdev.h"
#include "vdev/irqchip/vplic.h"
#include "vdev/virtio/virtio_dev.h"

/* ---- bus ---- */

static enum mmio_result note_access(struct vdev *dev, struct mmio_access *a)
{
    assert_true(spin_held(&dev->lock));
    a->value = a->offset;
    return MMIO_OK;
}

static void bus(void **state)
{
    static const struct vdev_ops ops = {.access = note_access};
    struct bus b = {.count = 0};
    struct vdev d[BUS_MAX + 1] = {0};
    struct mmio_access a = {.width = 4};

    (void)state;
    a.gpa = gpa(0);
    assert_int_equal(bus_access(&b, &a), MMIO_UNHANDLED);
    for (unsigned i = 0; i <= BUS_MAX; i++) {
        d[i].ops = &ops;
        d[i].base =
            gpa(0x1000 * ((i * 7) % BUS_MAX + 1)); /* 7 and 24 share no factor: all different */
        d[i].size = 0x800;
        spin_init(&d[i].lock, LOCK_DEVICE);
    }
    d[BUS_MAX].base = gpa(0x1000 * (BUS_MAX + 1));
    for (unsigned i = 0; i < BUS_MAX; i++) {
        struct vdev clash = d[i];

        assert_int_equal(bus_add(&b, &d[i]), 0);
        if (i == BUS_MAX - 1)
            break;
        assert_int_equal(bus_add(&b, &clash), -EEXIST);
        clash.base.v += 0x7ff;
        assert_int_equal(bus_add(&b, &clash), -EEXIST);
        clash.base.v -= 2 * 0x7ff;
        assert_int_equal(bus_add(&b, &clash), -EEXIST);
        clash.size = 0;
        assert_int_equal(bus_add(&b, &clash), -EINVAL);
        clash.base = gpa(~0ull - 3);
        clash.size = 8;
        assert_int_equal(bus_add(&b, &clash), -EINVAL);
    }
    assert_int_equal(bus_add(&b, &d[BUS_MAX]), -ENOSPC);
    for (unsigned i = 1; i < b.count; i++)
        assert_true(b.dev[i - 1]->base.v < b.dev[i]->base.v);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < BUS_MAX; i++) {
            a.gpa = gpa(d[i].base.v + 0x7fc);
            assert_int_equal(bus_access(&b, &a), MMIO_OK);
            assert_int_equal(a.value, 0x7fc);
            a.gpa.v++; /* the last bytes stick out */
            assert_int_equal(bus_access(&b, &a), MMIO_UNHANDLED);
            a.gpa.v = d[i].base.v - 1;
            assert_int_equal(bus_access(&b, &a), MMIO_UNHANDLED);
            assert_ptr_equal(bus_find(&b, d[i].base), &d[i]);
            assert_int_equal(d[i].reads, round + 1);
        }
    a.gpa = gpa(~0ull);
    assert_int_equal(bus_access(&b, &a), MMIO_UNHANDLED);
    a.gpa = gpa(0);
    assert_int_equal(bus_access(&b, &a), MMIO_UNHANDLED);
}

static int full(void *ctx, const void *data, size_t len)
{
    (void)data;
    (void)len;
    ++*(int *)ctx;
    return -ENOSPC;
}

static void streams(void **state)
{
    struct fake_stream s = {0};
    struct state_writer w = fake_stream_writer(&s);
    struct state_reader r;
    static const uint8_t bytes[] = {1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8, 'h', 'i'};
    char text[2];
    int calls = 0;

    (void)state;
    state_put_u8(&w, 1);
    state_put_u16(&w, 0x0203);
    state_put_u32(&w, 0x04050607);
    state_put_u64(&w, 0x08090a0b0c0d0e0f);
    state_put(&w, "hi", 2);
    assert_int_equal(w.error, 0);
    assert_int_equal(s.len, sizeof(bytes));
    assert_memory_equal(s.data, bytes, sizeof(bytes)); /* little endian, whatever the host */
    r = fake_stream_reader(&s);
    assert_int_equal(state_get_u8(&r), 1);
    assert_int_equal(state_get_u16(&r), 0x0203);
    assert_int_equal(state_get_u32(&r), 0x04050607);
    assert_int_equal(state_get_u64(&r), 0x08090a0b0c0d0e0f);
    state_get(&r, text, 2);
    assert_memory_equal(text, "hi", 2);
    assert_int_equal(r.error, 0);
    assert_int_equal(state_get_u64(&r), 0);
    assert_int_equal(r.error, -EIO);
    state_fail(&r, -EINVAL);
    assert_int_equal(r.error, -EIO); /* the first one stays */
    r = fake_stream_reader(&s);
    state_fail(&r, -EINVAL);
    assert_int_equal(state_get_u8(&r), 0);
    assert_int_equal(r.error, -EINVAL);
    w = (struct state_writer){.write = full, .ctx = &calls};
    state_put_u8(&w, 1);
    state_put_u8(&w, 1);
    assert_int_equal(w.error, -ENOSPC);
    assert_int_equal(calls, 1);
    free(s.data);
}

/* ---- UART ---- */

static struct fake_chr chr;
static struct vdev *uart;

static int uart_setup(void **state)
{
    (void)state;
    fake_chr_init(&chr);
    uart = ns16550_create(&chr.chr);
    fake_bus_put(uart, "uart0");
    return 0;
}

static int uart_teardown(void **state)
{
    (void)state;
    uart->ops->destroy(uart);
    assert_null(chr.chr.ready);
    assert_int_equal(fake_heap_objects, 0);
    return 0;
}

static uint8_t in(unsigned reg)
{
    uint64_t v = ~0ull;

    assert_int_equal(reg_access(reg, 1, false, &v), MMIO_OK);
    assert_true(v < 256);
    return (uint8_t)v;
}

static void out(unsigned reg, uint8_t value)
{
    uint64_t v = value;

    assert_int_equal(reg_access(reg, 1, true, &v), MMIO_OK);
}

/* What Linux's 8250 driver does to find out what it has (autoconfig). */
static void uart_autoconfig(void **state)
{
    (void)state;
    out(1, 0);
    assert_int_equal(in(1), 0);
    out(1, 0x0f);
    assert_int_equal(in(1) & 0x0f, 0x0f);
    out(1, 0);
    out(4, 0x10 | 0x0a); /* loopback, OUT2, RTS */
    assert_int_equal(in(6) & 0xf0, 0x90);
    out(4, 0);
    out(3, 0xbf);
    out(2, 0);
    out(3, 0);
    out(2, 1);
    assert_int_equal(in(2) >> 6, 3); /* 16550A */
    out(3, 0x80);
    assert_int_not_equal(in(2), 0); /* no EFR */
    out(3, 0xbf);
    assert_int_not_equal(in(2), 0);
    out(3, 0);
    out(2, 0x21);
    assert_int_equal(in(2) & 0x20, 0); /* no 16750 */
    out(1, 0x40);
    assert_int_equal(in(1), 0);
    out(7, 0x5a);
    assert_int_equal(in(7), 0x5a);
    out(3, 0x83);
    out(0, 3);
    out(1, 1);
    assert_int_equal(in(0), 3);
    assert_int_equal(in(1), 1);
    out(3, 3);
    assert_int_equal(in(1), 0);
    assert_int_equal(in(5), 0x60);
}

static void uart_output(void **state)
{
    uint64_t v = 'z';

    (void)state;
    out(2, 1);
    for (unsigned i = 0; i < 3; i++)
        out(0, (uint8_t)"abc"[i]);
    assert_memory_equal(chr.out, "abc", 3);
    assert_false(fake_irq_level);
    out(1, 2); /* empty: interrupts at once, each time that it is enabled */
    assert_true(fake_irq_level);
    assert_int_equal(in(2), 0xc2);
    assert_false(fake_irq_level);
    assert_int_equal(in(2), 0xc1);
    out(1, 0);
    out(1, 2);
    assert_true(fake_irq_level);
    assert_int_equal(in(2), 0xc2);
    out(0, 'd');
    assert_true(fake_irq_level);
    out(1, 0);
    assert_false(fake_irq_level);
    chr.out_room = 0; /* full: the access is tried again, with nothing done */
    assert_int_equal(reg_access(0, 1, true, &v), MMIO_RETRY);
    chr.out_room = 1;
    assert_int_equal(reg_access(0, 1, true, &v), MMIO_OK);
    assert_int_equal(chr.out[chr.out_len - 1], 'z');
    v = '4'; /* small systems store words */
    chr.out_room = 1;
    assert_int_equal(reg_access(0, 4, true, &v), MMIO_OK);
    assert_int_equal(chr.out[chr.out_len - 1], '4');
    assert_int_equal(uart->account.bytes[VDEV_WRITE], 6);
}

static void uart_input(void **state)
{
    char text[100];

    (void)state;
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i + 1);
    out(2, 0xc1); /* trigger level 14 */
    out(1, 1);
    fake_chr_type(&chr, "a", 1);
    assert_true(fake_irq_level);
    assert_int_equal(in(2), 0xcc); /* timeout, below the level */
    assert_int_equal(in(5), 0x61);
    assert_int_equal(in(0), 'a');
    assert_false(fake_irq_level);
    assert_int_equal(in(5), 0x60);
    assert_int_equal(in(0), 0);
    fake_chr_type(&chr, text, sizeof(text)); /* more than the FIFO holds: none is lost */
    assert_int_equal(in(2), 0xc4);
    for (unsigned i = 0; i < sizeof(text); i++) {
        assert_int_equal(in(5) & 3, 1);
        assert_int_equal(in(0), text[i]);
    }
    assert_int_equal(uart->account.bytes[VDEV_READ], 1 + sizeof(text));
    assert_false(fake_irq_level);
    fake_chr_type(&chr, text, 20);
    out(2, 0xc3); /* clears the FIFO; what is still in the backend comes */
    assert_int_equal(in(0), text[16]);
    out(2, 0); /* no FIFO: one character, and what the FIFO held is gone */
    fake_chr_type(&chr, text, 2);
    assert_int_equal(in(2), 4);
    /* Priorities: input before output. */
    out(1, 3);
    assert_int_equal(in(2), 4);
    out(1, 2);
    assert_int_equal(in(2), 2);
}

static void uart_break(void **state)
{
    char text[16];

    (void)state;
    out(2, 1);
    out(1, 5); /* input and line status */
    fake_chr_type(&chr, "ab", 2);
    assert_true(chr.chr.line_break(chr.chr.device));
    fake_chr_type(&chr, "l", 1);
    assert_int_equal(in(5), 0x61); /* not yet: two characters are before it */
    assert_int_equal(in(0), 'a');
    assert_int_equal(in(0), 'b');
    assert_int_equal(in(2), 0xc6); /* line status */
    assert_int_equal(in(5), 0x71);
    assert_int_equal(in(5), 0x61); /* once */
    assert_int_equal(in(0), 0);
    assert_int_equal(in(5), 0x61);
    assert_int_equal(in(0), 'l');
    assert_true(chr.chr.line_break(chr.chr.device));
    out(2, 3); /* cleared */
    assert_int_equal(in(5), 0x60);
    memset(text, 'x', sizeof(text));
    fake_chr_type(&chr, text, sizeof(text));
    assert_false(chr.chr.line_break(chr.chr.device)); /* no room */
}

static void uart_loopback(void **state)
{
    (void)state;
    out(2, 1);
    out(1, 5);
    out(4, 0x10);
    in(6);
    for (unsigned i = 0; i < 17; i++)
        out(0, (uint8_t)('a' + i));
    assert_int_equal(chr.out_len, 0);
    assert_int_equal(in(2), 0xc6);
    assert_int_equal(in(5), 0x63); /* overrun, once */
    assert_int_equal(in(5), 0x61);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(0), 'a' + i);
    out(1, 8);
    out(4, 0x1f);
    assert_true(fake_irq_level);
    assert_int_equal(in(2), 0xc0);
    assert_int_equal(in(6), 0xf0 | 0x0b); /* no delta for a rising ring */
    assert_false(fake_irq_level);
    out(4, 0x1b);
    assert_int_equal(in(6), 0xb4);
    fake_chr_type(&chr, "k", 1); /* waits until loopback ends */
    assert_int_equal(in(5) & 1, 0);
    out(4, 0);
    assert_int_equal(in(0), 'k');
}

static void uart_any_access(void **state)
{
    (void)state;
    fake_chr_type(&chr, "hello", 5);
    for (uint64_t off = 0; off < 0x108; off++)
        for (unsigned w = 1; w <= 8; w *= 2)
            for (uint64_t v = 0; v < 260; v++) {
                uint64_t x = v << 1;
                enum mmio_result want = off + w <= 0x100 ? MMIO_OK : MMIO_UNHANDLED;

                assert_int_equal(reg_access(off, w, true, &x), want);
                assert_int_equal(reg_access(off, w, false, &x), want);
                chr.out_len = 0;
                chr.out_room = 10;
            }
}

/* ---- PLIC ---- */

static struct vdev *plic;
static bool ext[4];
static unsigned changes;

static void set_external(void *owner, unsigned context, bool level)
{
    assert_ptr_equal(owner, &changes);
    assert_true(context < 4);
    ext[context] = level;
    changes++;
}

static int plic_setup(void **state)
{
    (void)state;
    memset(ext, 0, sizeof(ext));
    changes = 0;
    plic = vplic_create(4, set_external, &changes);
    fake_bus_put(plic, "plic");
    return 0;
}

static int plic_teardown(void **state)
{
    (void)state;
    plic->ops->destroy(plic);
    assert_int_equal(fake_heap_objects, 0);
    return 0;
}

static uint64_t claim_reg(unsigned c) { return 0x200004 + 0x1000 * c; }
static void line(uint32_t source, bool level)
{
    struct irq_line l = vplic_line(plic, source);

    irq_line_set(&l, level);
}

static void plic_level(void **state)
{
    (void)state;
    reg_write(4 * 10, 1);
    reg_write(0x2000, 1 << 10);
    line(10, true);
    assert_true(ext[0]);
    assert_false(ext[1]);
    assert_int_equal(reg_read(0x1000), 1 << 10);
    assert_int_equal(reg_read(claim_reg(1)), 0);
    assert_int_equal(reg_read(claim_reg(0)), 10);
    assert_false(ext[0]);
    assert_int_equal(reg_read(0x1000), 0);
    assert_int_equal(reg_read(claim_reg(0)), 0);
    reg_write(claim_reg(1), 10); /* not enabled there: ignored */
    reg_write(claim_reg(0), 11);
    reg_write(claim_reg(0), 0);
    reg_write(claim_reg(0), 0xffffffff);
    assert_false(ext[0]);
    reg_write(claim_reg(0), 10); /* still high: again */
    assert_true(ext[0]);
    assert_int_equal(reg_read(claim_reg(0)), 10);
    line(10, false);
    reg_write(claim_reg(0), 10);
    assert_false(ext[0]);
    reg_write(claim_reg(0), 10); /* twice: nothing */
    assert_false(ext[0]);
    /* An edge latches, and one more while in service is seen after completion only as a level. */
    line(10, true);
    line(10, false);
    assert_true(ext[0]);
    assert_int_equal(reg_read(claim_reg(0)), 10);
    line(10, true);
    assert_false(ext[0]);
    reg_write(claim_reg(0), 10);
    assert_true(ext[0]);
}

static void plic_priorities(void **state)
{
    (void)state;
    for (unsigned s = 1; s <= 63; s++) {
        reg_write(4 * s, s % 8);
        assert_int_equal(reg_read(4 * s), s % 8);
    }
    reg_write(0, 7);
    reg_write(4 * 64, 7);
    assert_int_equal(reg_read(0), 0);
    reg_write(4 * 9, 0xff);
    assert_int_equal(reg_read(4 * 9), 7); /* three bits */
    reg_write(4 * 9, 1);
    reg_write(0x2100, 0xffffffff); /* context 2 */
    reg_write(0x2104, 0xffffffff);
    assert_int_equal(reg_read(0x2100), 0xfffffffe);
    assert_int_equal(reg_read(0x2104), 0xffffffff);
    for (unsigned s = 1; s <= 63; s++)
        line(s, true);
    line(0, true);
    line(64, true);
    line(0xffffffff, true);
    assert_true(ext[2]);
    for (unsigned p = 7; p > 0; p--) /* the highest first, among equals the lowest id */
        for (unsigned s = p; s <= 63; s += 8)
            assert_int_equal(reg_read(claim_reg(2)), s);
    assert_int_equal(reg_read(claim_reg(2)), 0); /* priority 0 never */
    assert_false(ext[2]);
    assert_int_equal(reg_read(0x1000), 1u << 8 | 1u << 16 | 1u << 24);
}

static void plic_thresholds(void **state)
{
    (void)state;
    reg_write(4 * 33, 3);
    reg_write(0x2084, 2);
    reg_write(0x2184, 2);
    reg_write(0x201000, 3);
    assert_int_equal(reg_read(0x201000), 3);
    line(33, true);
    assert_false(ext[1]);
    assert_true(ext[3]);
    reg_write(0x201000, 2);
    assert_true(ext[1]);
    reg_write(4 * 33, 2);
    assert_false(ext[1]);
    reg_write(0x201000, 0xfffffffe); /* 6 */
    assert_int_equal(reg_read(0x201000), 6);
    assert_int_equal(reg_read(claim_reg(1)), 33); /* a claim ignores the threshold */
    assert_false(ext[3]);
    reg_write(claim_reg(3), 33);
    assert_true(ext[3]);
    reg_write(0x2184, 0);
    assert_false(ext[3]);
}

static void plic_any_access(void **state)
{
    static const uint64_t base[] = {0,        0xf8,     0x1000,   0x1ff8,   0x2000,         0x2200,
                                    0x1ffff8, 0x200000, 0x203ff8, 0x204000, VPLIC_SIZE - 16};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(base); i++)
        for (unsigned off = 0; off < 16; off++)
            for (unsigned w = 1; w <= 8; w *= 2) {
                uint64_t v = ~0ull;
                enum mmio_result want = base[i] + off + w <= VPLIC_SIZE ? MMIO_OK : MMIO_UNHANDLED;

                assert_int_equal(reg_access(base[i] + off, w, true, &v), want);
                assert_int_equal(reg_access(base[i] + off, w, false, &v), want);
                if (want == MMIO_OK && (w != 4 || off & 3))
                    assert_int_equal(v, 0);
            }
    assert_null(vplic_create(0, set_external, NULL));
    assert_null(vplic_create(65, set_external, NULL));
}

static void plic_reset(void **state)
{
    (void)state;
    reg_write(4 * 5, 1);
    reg_write(0x2000, 1 << 5);
    line(5, true);
    plic->ops->reset(plic);
    assert_false(ext[0]);
    assert_int_equal(reg_read(4 * 5), 0);
    reg_write(4 * 5, 1);
    reg_write(0x2000, 1 << 5);
    assert_true(ext[0]); /* the line is high still */
}

#define UART(f) cmocka_unit_test_setup_teardown(f, uart_setup, uart_teardown)
#define PLIC(f) cmocka_unit_test_setup_teardown(f, plic_setup, plic_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bus), cmocka_unit_test(streams), UART(uart_autoconfig),
        UART(uart_output),     UART(uart_input),          UART(uart_break),
        UART(uart_loopback),   UART(uart_any_access),     PLIC(plic_level),
        PLIC(plic_priorities), PLIC(plic_thresholds),     PLIC(plic_any_access),
        PLIC(plic_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
