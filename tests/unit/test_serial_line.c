// SPDX-License-Identifier: BSD-2-Clause
// A UART as a line for programs: its own speed, input that comes faster than it is read, output that goes as fast as the
// chip sends, with interrupts and without.
// units: hyp/drv/serial_line.c hyp/drv/uart.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "drv/drv.h"
#include "drv/serial_line.h"
#include "mem/hostmap.h"
#include "sched/timer.h"

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR };

/* The chip: its FIFOs, and the interrupt that it asks for. */
static struct {
    char window[0x100], rx[32], sent[20000];
    unsigned rx_count, tx_count;
    size_t sent_len;
    uint8_t ier, lcr, fcr, divisor[2];
} chip;
static struct platform_uart at = {.kind = UART_NS16550,
                                  .regs = {0x10010000, 0x100},
                                  .reg_io_width = 1,
                                  .irq = 4,
                                  .clock_hz = 1843200,
                                  .baud = 38400};
static void (*handler)(void *arg);
static struct timer *timer;
static unsigned wakes;
uint64_t timer_hz = 1000000;

void *hostmap_device(pa_t base, uint64_t size)
{
    assert_int_equal(base.v, at.regs.base);
    assert_int_equal(size, 0x100);
    return chip.window;
}

int host_irq_register(uint32_t irq, void (*fn)(void *arg), void *arg)
{
    assert_int_equal(irq, 4);
    assert_null(arg);
    handler = fn;
    return 0;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    t->fn = fn;
    timer = t;
}

void timer_set(struct timer *t, uint64_t when) { t->when = when; }

static bool dlab(void) { return chip.lcr & 0x80; }

static uint64_t read_reg(const volatile void *p, unsigned width)
{
    uint64_t v;

    assert_int_equal(width, 1);
    switch ((const volatile char *)p - chip.window) {
    case DATA:
        assert_false(dlab());
        assert_true(chip.rx_count > 0);
        v = (uint8_t)chip.rx[0];
        memmove(chip.rx, chip.rx + 1, --chip.rx_count);
        return v;
    case IER:
        return chip.ier;
    case IIR_FCR:
        return chip.fcr & 1 ? 0xC1 : 1;
    case LCR:
        return chip.lcr;
    case LSR:
        return (chip.rx_count ? 1u : 0) | (chip.tx_count ? 0 : 0x20u);
    default:
        return 0;
    }
}

static void write_reg(volatile void *p, uint64_t v, unsigned width)
{
    long reg = (volatile char *)p - chip.window;

    assert_int_equal(width, 1);
    if (reg <= IER && dlab()) {
        chip.divisor[reg] = (uint8_t)v;
    } else if (reg == DATA) {
        assert_true(chip.tx_count < 16); /* else it would be lost */
        chip.tx_count++;
        chip.sent[chip.sent_len++] = (char)v;
    } else if (reg == IER) {
        chip.ier = (uint8_t)v;
    } else if (reg == IIR_FCR) {
        chip.fcr = (uint8_t)v;
    } else if (reg == LCR) {
        chip.lcr = (uint8_t)v;
    }
}

static void wake(void) { wakes++; }

/* As long as the chip asks for it, the handler is called; the line has moved on by a FIFO's length before. */
static void interrupt(void)
{
    chip.tx_count = 0;
    for (unsigned i = 0; (chip.ier & 1 && chip.rx_count) || (chip.ier & 2 && !chip.tx_count); i++) {
        assert_true(i < 3);
        handler(NULL);
    }
}

static void receive(const char *data, size_t len)
{
    for (size_t n; len; data += n, len -= n) {
        n = len < 16 ? len : 16;
        memcpy(chip.rx, data, n);
        chip.rx_count = (unsigned)n;
        if (timer)
            timer->fn(timer);
        else
            interrupt();
        assert_int_equal(chip.rx_count, 0);
    }
}

static size_t drain(char *to)
{
    size_t n = 0, got;

    while ((got = serial_line_read(to + n, 100)) > 0)
        n += got;
    return n;
}

static int setup(void **state)
{
    static char left[5000];

    (void)state;
    if (timer)
        memset(timer, 0, sizeof(*timer));
    timer = NULL;
    (void)drain(left);
    memset(&chip, 0, sizeof(chip));
    fake_mmio_read = read_reg;
    fake_mmio_write = write_reg;
    at.irq = 4;
    assert_int_equal(serial_line_init(&at, true), 0);
    assert_true(serial_line_start(wake));
    wakes = 0;
    return 0;
}

static void test_speed(void **state)
{
    (void)state;
    assert_int_equal(chip.divisor[0] | chip.divisor[1] << 8, 3); /* 1843200 / 16 / 38400 */
    assert_int_equal(chip.lcr, 3);
    assert_int_equal(chip.ier, 1);
    memset(&chip, 0, sizeof(chip));
    at.clock_hz = 0; /* not told: as the firmware left it */
    assert_int_equal(serial_line_init(&at, true), 0);
    assert_int_equal(chip.divisor[0], 0);
    at.clock_hz = 1843200;
    assert_int_equal(serial_line_init(&at, false), 0);
    assert_int_equal(chip.divisor[0], 0);
    at.kind = UART_NONE;
    assert_true(serial_line_init(&at, true) < 0);
    assert_false(serial_line_start(wake));
    at.kind = UART_NS16550;
}

static void test_input(void **state)
{
    static char text[5000], got[6000];
    uint64_t lost = serial_line_lost();

    (void)state;
    receive("{\"execute\": 1}\n", 15);
    assert_int_equal(wakes, 1);
    assert_int_equal(serial_line_read(got, 4), 4);
    assert_int_equal(drain(got + 4), 11);
    assert_memory_equal(got, "{\"execute\": 1}\n", 15);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    receive(text, sizeof(text)); /* more than is kept: the first 4 KiB are */
    assert_int_equal(drain(got), 4096);
    assert_memory_equal(got, text, 4096);
    assert_int_equal(serial_line_lost() - lost, sizeof(text) - 4096);
    receive(text, 4000);
    assert_int_equal(drain(got), 4000);
    assert_memory_equal(got, text, 4000);
}

static void test_output(void **state)
{
    static char text[6000];
    size_t done;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 11);
    assert_int_equal(serial_line_write(text, 10), 10);
    assert_int_equal(chip.sent_len, 10);
    assert_int_equal(chip.ier, 1); /* all is with the chip: it need not say when it is empty */
    done = 10 + serial_line_write(text + 10, sizeof(text) - 10);
    assert_int_equal(done, 10 + 4096);
    assert_int_equal(chip.ier, 3);
    assert_int_equal(serial_line_write(text, 1), 0);
    assert_int_equal(wakes, 0);
    for (unsigned i = 0; chip.sent_len < sizeof(text); i++) {
        assert_true(i < 1000);
        interrupt();
        if (i == 0)
            assert_int_equal(wakes, 1); /* there is room again */
        done += serial_line_write(text + done, sizeof(text) - done);
    }
    assert_memory_equal(chip.sent, text, sizeof(text));
    interrupt();
    assert_int_equal(chip.ier, 1);
}

static void test_polled(void **state)
{
    char got[20];

    (void)state;
    at.irq = 0;
    assert_int_equal(serial_line_init(&at, true), 0);
    assert_true(serial_line_start(wake));
    assert_non_null(timer);
    assert_int_equal(chip.ier, 0);
    receive("hello", 5);
    assert_int_equal(wakes, 1);
    assert_int_equal(drain(got), 5);
    assert_int_equal(serial_line_write("0123456789abcdefghij", 20), 20);
    assert_int_equal(chip.sent_len, 16);
    chip.tx_count = 0;
    timer->fn(timer);
    assert_int_equal(chip.sent_len, 20);
    assert_memory_equal(chip.sent, "0123456789abcdefghij", 20);
    assert_int_equal(chip.ier, 0);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(speed), TEST(input), TEST(output), TEST(polled)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
