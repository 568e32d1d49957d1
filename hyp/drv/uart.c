// SPDX-License-Identifier: BSD-2-Clause
// The host's 16550 and its relatives (Synopsys dw-apb, XScale). Speed and format stay as the firmware
// left them: its output came through, and a divisor needs a clock that trees often do not tell.
#include "base/arch.h"
#include "base/log.h"
#include "drv/host_console.h"
#include "mem/hostmap.h"

enum { RBR = 0, THR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, DW_USR = 31 };
enum {
    IER_RX = 0x01,
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

static volatile char *base;
static uint32_t shift, width, irq;
static unsigned fifo;
static bool dw_apb;

static uint8_t get(unsigned reg)
{
    volatile char *p = base + (reg << shift);
    return width == 4 ? (uint8_t)mmio_read32(p) : mmio_read8(p);
}

static void put(unsigned reg, uint8_t v)
{
    volatile char *p = base + (reg << shift);
    if (width == 4)
        mmio_write32(p, v);
    else
        mmio_write8(p, v);
}

static bool wait_empty(void)
{
    for (unsigned i = 0; i < WAIT_READS; i++)
        if (get(LSR) & LSR_THR_EMPTY)
            return true;
    return false;
}

static void uart_write(const char *data, size_t len)
{
    while (len > 0) {
        if (!wait_empty())
            return;
        for (unsigned i = 0; i < fifo && len > 0; i++, len--)
            put(THR, (uint8_t)*data++);
    }
}

/* The controller asks for this interrupt until its cause is gone, so causes other than input are
 * cleared here as well. */
static void clear_other_causes(void)
{
    uint8_t id = get(IIR) & IIR_ID;
    if (id == IIR_BUSY && dw_apb)
        (void)get(DW_USR);
}

static size_t uart_read(char *to, size_t max)
{
    size_t n = 0;
    while (n < max && get(LSR) & LSR_DATA)
        to[n++] = (char)get(RBR);
    if (n == 0)
        clear_other_causes();
    return n;
}

static bool uart_start(void (*input)(void *arg))
{
    if (irq == 0 || host_irq_register(irq, input, NULL))
        return false;
    put(MCR, MCR_DTR_RTS_OUT2);
    put(IER, (uint8_t)((get(IER) & IER_UNIT) | IER_RX));
    return true;
}

static const struct host_console_ops uart_ops = {
    .name = "ns16550",
    .write = uart_write,
    .read = uart_read,
    .start = uart_start,
};

const struct host_console_ops *uart_init(const struct platform *p)
{
    if (p->uart.kind != UART_NS16550)
        return NULL;
    base = hostmap_device(pa(p->uart.regs.base), min_u64(p->uart.regs.size, PAGE_SIZE));
    if (!base)
        return NULL;
    shift = p->uart.reg_shift;
    width = p->uart.reg_io_width;
    irq = p->uart.irq;
    /* The quirk's register lies behind the 16550's own: only where the window is that large. */
    dw_apb = p->uart.dw_apb && p->uart.regs.size >= (uint64_t)(DW_USR + 1) << shift;

    put(IER, get(IER) & IER_UNIT);
    wait_empty(); /* dw-apb refuses LCR while it sends */
    if ((get(LCR) & (LCR_DLAB | LCR_8N1)) != LCR_8N1)
        put(LCR, LCR_8N1);
    put(FCR, FCR_ENABLE);
    fifo = (get(IIR) & IIR_FIFO) == IIR_FIFO ? 16 : 1;
    return &uart_ops;
}
