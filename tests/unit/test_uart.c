// SPDX-License-Identifier: BSD-2-Clause
// The host's UART as boards have it: registers one or four bytes wide and apart, Synopsys's busy-detect, XScale's unit bit.
// units: hyp/drv/uart.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "drv/host_console.h"
#include "mem/hostmap.h"

enum { RBR_THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, USR = 31, REGISTERS = 32 };
enum { WINDOW = 0x100 };

/* The chip: what its registers say, and what was done to them. */
static struct {
    char window[WINDOW];
    unsigned shift, width;
    uint8_t ier, lcr, mcr, fcr;
    bool has_fifo, stuck, busy, xscale;
    unsigned busy_reads; /* of LSR until it is no longer busy with what it sends */
    bool busy_detect; /* LCR was written while it was busy: an interrupt until USR is read */
    unsigned most_at_once, since_empty, usr_reads, lcr_writes;
    char sent[256];
    size_t sent_len;
    const char *input;
} chip;
static struct platform p;
static unsigned registered_irq;

void *hostmap_device(pa_t at, uint64_t size)
{
    assert_int_equal(at.v, p.uart.regs.base);
    assert_true(size <= p.uart.regs.size);
    return chip.window;
}

int host_irq_register(uint32_t irq, void (*fn)(void *arg), void *arg)
{
    (void)fn;
    (void)arg;
    registered_irq = irq;
    return irq == 99 ? -1 : 0;
}

static unsigned reg_at(const volatile void *at, unsigned width)
{
    size_t offset = (size_t)((const volatile char *)at - chip.window);

    assert_int_equal(width, chip.width);
    assert_int_equal(offset % (1u << chip.shift), 0);
    assert_true(offset + width <= p.uart.regs.size);
    assert_true(offset >> chip.shift < REGISTERS);
    return (unsigned)(offset >> chip.shift);
}

static uint8_t read_lsr(void)
{
    if (chip.busy && chip.busy_reads-- == 0)
        chip.busy = false;
    if (!chip.stuck && !chip.busy)
        chip.since_empty = 0;
    return (uint8_t)((chip.input && *chip.input ? 1 : 0) | (chip.stuck || chip.busy ? 0 : 0x20));
}

static uint64_t read_reg(const volatile void *at, unsigned width)
{
    switch (reg_at(at, width)) {
    case RBR_THR:
        return chip.input && *chip.input ? (uint8_t)*chip.input++ : 0;
    case IER:
        return chip.ier;
    case IIR_FCR:
        return (chip.busy_detect ? 7u : 1u) | (chip.has_fifo && chip.fcr & 1 ? 0xC0u : 0);
    case LCR:
        return chip.lcr;
    case MCR:
        return chip.mcr;
    case LSR:
        return read_lsr();
    case USR:
        chip.usr_reads++;
        chip.busy_detect = false;
        return 0;
    default:
        fail();
        return 0;
    }
}

static void write_reg(volatile void *at, uint64_t v, unsigned width)
{
    switch (reg_at(at, width)) {
    case RBR_THR:
        assert_false(chip.lcr & 0x80); /* it would be the divisor */
        assert_false(chip.stuck);
        assert_true(chip.sent_len < sizeof(chip.sent));
        chip.sent[chip.sent_len++] = (char)v;
        chip.since_empty++;
        if (chip.since_empty > chip.most_at_once)
            chip.most_at_once = chip.since_empty;
        break;
    case IER:
        chip.ier = (uint8_t)v;
        break;
    case IIR_FCR:
        chip.fcr = (uint8_t)v;
        break;
    case LCR:
        chip.lcr_writes++;
        if (chip.busy)
            chip.busy_detect = true;
        else
            chip.lcr = (uint8_t)v;
        break;
    case MCR:
        chip.mcr = (uint8_t)v;
        break;
    default:
        fail();
    }
}

static void start_chip(unsigned shift, unsigned width)
{
    memset(&chip, 0, sizeof(chip));
    memset(&p, 0, sizeof(p));
    chip.shift = shift;
    chip.width = width;
    chip.lcr = 3;
    chip.has_fifo = true;
    p.uart.kind = UART_NS16550;
    p.uart.regs = (struct platform_range){0x50900000, WINDOW};
    p.uart.reg_shift = shift;
    p.uart.reg_io_width = width;
    p.uart.irq = 17;
    registered_irq = 0;
    fake_mmio_read = read_reg;
    fake_mmio_write = write_reg;
}

static const char text[] = "[    0.000000] Trapline: forty characters.";

static void test_layouts(void **state)
{
    static const struct {
        unsigned shift, width;
    } in[] = {{0, 1}, {2, 1}, {2, 4}, {3, 4}};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        char got[8];

        start_chip(in[i].shift, in[i].width);
        const struct host_console_ops *ops = uart_init(&p);
        assert_non_null(ops);
        assert_int_equal(chip.lcr_writes, 0);
        ops->write(text, sizeof(text) - 1);
        assert_int_equal(chip.sent_len, sizeof(text) - 1);
        assert_memory_equal(chip.sent, text, chip.sent_len);
        assert_int_equal(chip.most_at_once, 16);
        chip.input = "list\r";
        assert_int_equal(ops->read(got, 3), 3);
        assert_int_equal(ops->read(got + 3, 5), 2);
        assert_memory_equal(got, "list\r", 5);
        assert_int_equal(ops->read(got, 8), 0);
        assert_true(ops->start(NULL));
        assert_int_equal(registered_irq, 17);
        assert_int_equal(chip.ier, 1);
        assert_int_equal(chip.mcr & 8, 8);
    }
}

static void test_no_fifo(void **state)
{
    (void)state;
    start_chip(0, 1);
    chip.has_fifo = false;
    uart_init(&p)->write(text, sizeof(text) - 1);
    assert_int_equal(chip.sent_len, sizeof(text) - 1);
    assert_int_equal(chip.most_at_once, 1);
}

/* The firmware left the divisor's latch open, and its last line is still on its way. */
static void test_busy_at_start(void **state)
{
    (void)state;
    start_chip(2, 4);
    p.uart.dw_apb = true;
    chip.lcr = 0x83;
    chip.busy = true;
    chip.busy_reads = 50;
    uart_init(&p)->write("x", 1);
    assert_false(chip.busy_detect);
    assert_int_equal(chip.lcr, 3);
    assert_int_equal(chip.sent[0], 'x');
}

static void test_busy_detect(void **state)
{
    char c;

    (void)state;
    start_chip(2, 4);
    p.uart.dw_apb = true;
    const struct host_console_ops *ops = uart_init(&p);
    chip.busy_detect = true; /* the interrupt stays until USR is read */
    assert_int_equal(ops->read(&c, 1), 0);
    assert_false(chip.busy_detect);
    assert_int_equal(chip.usr_reads, 1);
    /* A plain 16550 has nothing there, and neither has a window that ends before it. */
    p.uart.dw_apb = false;
    ops = uart_init(&p);
    chip.busy_detect = true;
    assert_int_equal(ops->read(&c, 1), 0);
    p.uart.dw_apb = true;
    p.uart.regs.size = 0x40;
    ops = uart_init(&p);
    assert_int_equal(ops->read(&c, 1), 0);
    assert_int_equal(chip.usr_reads, 1);
}

static void test_xscale(void **state)
{
    (void)state;
    start_chip(2, 4);
    chip.ier = 0x40 | 0x0F;
    const struct host_console_ops *ops = uart_init(&p);
    assert_int_equal(chip.ier, 0x40); /* the unit stays on, its interrupts go off */
    assert_true(ops->start(NULL));
    assert_int_equal(chip.ier, 0x41);
}

static void test_stands_still(void **state)
{
    (void)state;
    start_chip(0, 1);
    const struct host_console_ops *ops = uart_init(&p);
    chip.stuck = true;
    ops->write(text, sizeof(text) - 1); /* comes back */
    assert_int_equal(chip.sent_len, 0);
}

static void test_no_interrupt(void **state)
{
    (void)state;
    start_chip(0, 1);
    p.uart.irq = 0;
    assert_false(uart_init(&p)->start(NULL));
    p.uart.irq = 99;
    assert_false(uart_init(&p)->start(NULL));
    assert_int_equal(chip.ier, 0);
    p.uart.kind = UART_NONE;
    assert_null(uart_init(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),       cmocka_unit_test(test_no_fifo),
        cmocka_unit_test(test_busy_at_start), cmocka_unit_test(test_busy_detect),
        cmocka_unit_test(test_xscale),        cmocka_unit_test(test_stands_still),
        cmocka_unit_test(test_no_interrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
