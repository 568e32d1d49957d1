// SPDX-License-Identifier: BSD-2-Clause
#include "drv/uart.h"

#include "base/arch.h"
#include "base/log.h"
#include "drv/host_console.h"
#include "mem/hostmap.h"

enum {
    RBR = 0,
    THR = 0,
    DLL = 0,
    IER = 1,
    DLM = 1,
    IIR = 2,
    FCR = 2,
    LCR = 3,
    MCR = 4,
    LSR = 5,
    DW_USR = 31
};
enum {
    IER_RX = 0x01,
    IER_TX = 0x02,
    IER_UNIT = 0x40, /* XScale: the unit is on; elsewhere reads 0 */
    IIR_ID = 0x0F,
    IIR_BUSY = 0x07, /* dw-apb: LCR was written while characters moved */
    IIR_FIFO = 0xC0,
    FCR_ENABLE = 0x01,
    LCR_8N1 = 0x03,
    LCR_DLAB = 0x80,
    MCR_DTR_RTS_OUT2 = 0x0B, /* OUT2 gates the interrupt on many boards */
    LSR_DATA = 0x01,
    LSR_THR_EMPTY = 0x20,
};
enum { WAIT_READS = 1000000 }; /* a register read takes some 100 ns: more than 16 slow characters */

static uint8_t get(const struct uart *u, unsigned reg)
{
    volatile char *p = u->base + (reg << u->shift);
    return u->width == 4 ? (uint8_t)mmio_read32(p) : mmio_read8(p);
}

static void put(const struct uart *u, unsigned reg, uint8_t v)
{
    volatile char *p = u->base + (reg << u->shift);
    if (u->width == 4)
        mmio_write32(p, v);
    else
        mmio_write8(p, v);
}

static bool wait_empty(const struct uart *u)
{
    for (unsigned i = 0; i < WAIT_READS; i++)
        if (get(u, LSR) & LSR_THR_EMPTY)
            return true;
    return false;
}

size_t uart_give(struct uart *u, const char *data, size_t len)
{
    size_t n = 0;

    if (!(get(u, LSR) & LSR_THR_EMPTY))
        return 0;
    while (n < u->fifo && n < len)
        put(u, THR, (uint8_t)data[n++]);
    return n;
}

/* The controller asks for this interrupt until its cause is gone, so causes other than input are
 * cleared here as well. */
static void clear_other_causes(struct uart *u)
{
    uint8_t id = get(u, IIR) & IIR_ID;
    if (id == IIR_BUSY && u->dw_apb)
        (void)get(u, DW_USR);
}

size_t uart_take(struct uart *u, char *to, size_t max)
{
    size_t n = 0;
    while (n < max && get(u, LSR) & LSR_DATA)
        to[n++] = (char)get(u, RBR);
    if (n == 0)
        clear_other_causes(u);
    return n;
}

bool uart_start(struct uart *u, void (*fn)(void *arg), void *arg)
{
    if (u->irq == 0 || host_irq_register(u->irq, fn, arg))
        return false;
    put(u, MCR, MCR_DTR_RTS_OUT2);
    put(u, IER, (uint8_t)((get(u, IER) & IER_UNIT) | IER_RX));
    return true;
}

void uart_want_room(struct uart *u, bool want)
{
    uint8_t ier = get(u, IER), wanted = (uint8_t)(want ? ier | IER_TX : ier & ~IER_TX);

    if (ier != wanted)
        put(u, IER, wanted);
}

static void set_speed_of(struct uart *u, const struct platform_uart *at)
{
    uint64_t divisor = at->baud ? (at->clock_hz + 8ul * at->baud) / (16ul * at->baud) : 0;

    if (!divisor || divisor > UINT16_MAX)
        return;
    put(u, LCR, LCR_DLAB | LCR_8N1);
    put(u, DLL, (uint8_t)divisor);
    put(u, DLM, (uint8_t)(divisor >> 8));
    put(u, LCR, LCR_8N1);
}

bool uart_open(struct uart *u, const struct platform_uart *at, bool set_speed)
{
    u->base = NULL;
    if (at->kind != UART_NS16550)
        return false;
    u->base = hostmap_device(pa(at->regs.base), min_u64(at->regs.size, PAGE_SIZE));
    if (!u->base)
        return false;
    u->shift = at->reg_shift;
    u->width = at->reg_io_width;
    u->irq = at->irq;
    /* The quirk's register lies behind the 16550's own: only where the window is that large. */
    u->dw_apb = at->dw_apb && at->regs.size >= (uint64_t)(DW_USR + 1) << u->shift;

    put(u, IER, get(u, IER) & IER_UNIT);
    wait_empty(u); /* dw-apb refuses LCR while it sends */
    if (set_speed)
        set_speed_of(u, at);
    if ((get(u, LCR) & (LCR_DLAB | LCR_8N1)) != LCR_8N1)
        put(u, LCR, LCR_8N1);
    put(u, FCR, FCR_ENABLE);
    u->fifo = (get(u, IIR) & IIR_FIFO) == IIR_FIFO ? 16 : 1;
    return true;
}

/* ---- the terminal ---- */

static struct uart terminal;

static void terminal_write(const char *data, size_t len)
{
    while (len > 0) {
        size_t n;

        if (!wait_empty(&terminal))
            return;
        n = uart_give(&terminal, data, len);
        data += n;
        len -= n;
    }
}

static size_t terminal_read(char *to, size_t max) { return uart_take(&terminal, to, max); }

static bool terminal_start(void (*input)(void *arg)) { return uart_start(&terminal, input, NULL); }

static const struct host_console_ops terminal_ops = {
    .name = "ns16550",
    .write = terminal_write,
    .read = terminal_read,
    .start = terminal_start,
};

const struct host_console_ops *uart_init(const struct platform *p)
{
    return uart_open(&terminal, &p->uart, false) ? &terminal_ops : NULL;
}
