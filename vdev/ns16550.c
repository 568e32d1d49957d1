// SPDX-License-Identifier: BSD-2-Clause
// A 16550A UART, for early consoles and small systems. (National Semiconductor PC16550D data sheet.)
//
// Each register access is an exit, so nothing here makes a driver wait or ask twice: a character is
// sent as soon as it is written (THRE and TEMT are always set), and input below the trigger level is
// reported as a timeout at once. Input stays in the backend until the FIFO has room: no overruns.
#include "vdev/dev.h"

#include <errno.h>
#include <string.h>

#include "mem/heap.h"
#include "vdev/virtio/virtio_dev.h"

enum { /* register offsets; DLAB changes the first two */
       REG_DATA = 0,
       REG_IER = 1,
       REG_IIR_FCR = 2,
       REG_LCR = 3,
       REG_MCR = 4,
       REG_LSR = 5,
       REG_MSR = 6,
       REG_SCR = 7,
       UART_SIZE = 0x100
};
enum { IER_RX = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8, IER_ALL = 15 };
enum {
    IIR_MODEM = 0,
    IIR_NONE = 1,
    IIR_THRE = 2,
    IIR_RX = 4,
    IIR_LINE = 6,
    IIR_TIMEOUT = 12,
    IIR_FIFO = 0xc0
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_TRIGGER_SHIFT = 6 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16, MCR_ALL = 31 };
enum { LSR_DATA = 1, LSR_OVERRUN = 2, LSR_BREAK = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum {
    MSR_DELTAS = 0x0f,
    MSR_TERI = 4,
    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80
};
enum { FIFO_SIZE = 16 };

struct ns16550 {
    struct vdev vdev; /* first */
    struct chr_backend *chr;
    uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    union {
        struct {
            uint8_t lsr_errors; /* until LSR is read */
            /* A bit for each place in rx: a break is there, and LSR has not said so yet. */
            uint16_t breaks;
        };
        uint32_t oddities; /* both: 0 when LSR says nothing but what is usual */
    };
    bool thre_pending; /* the THRE interrupt, until IIR says so */
    bool line; /* the interrupt line as last set */
    uint8_t rx_head, rx_count;
    uint8_t rx[FIFO_SIZE];
};

static unsigned fifo_room(const struct ns16550 *u)
{
    return (u->fcr & FCR_ENABLE ? FIFO_SIZE : 1u) - u->rx_count;
}

static void clear_input(struct ns16550 *u)
{
    u->rx_head = u->rx_count = 0;
    u->breaks = 0;
}

/* A break is reported when its character, a 0, is the next to be read. */
static bool break_is_next(const struct ns16550 *u)
{
    return u->rx_count && u->breaks >> u->rx_head & 1;
}

static uint8_t interrupt_id(const struct ns16550 *u)
{
    static const uint8_t trigger[] = {1, 4, 8, 14};

    if ((u->ier & IER_LINE) && (u->lsr_errors || break_is_next(u)))
        return IIR_LINE;
    if ((u->ier & IER_RX) && u->rx_count)
        return !(u->fcr & FCR_ENABLE) || u->rx_count >= trigger[u->fcr >> FCR_TRIGGER_SHIFT]
                   ? IIR_RX
                   : IIR_TIMEOUT;
    if ((u->ier & IER_THRE) && u->thre_pending)
        return IIR_THRE;
    if ((u->ier & IER_MODEM) && (u->msr & MSR_DELTAS))
        return IIR_MODEM;
    return IIR_NONE;
}

static void uart_update(struct ns16550 *u)
{
    bool level = interrupt_id(u) != IIR_NONE;

    if (level == u->line)
        return;
    u->line = level;
    irq_line_set(&u->vdev.irq, level);
}

static void fifo_push(struct ns16550 *u, uint8_t ch)
{
    if (!fifo_room(u)) {
        u->lsr_errors |= LSR_OVERRUN;
        return;
    }
    u->rx[(u->rx_head + u->rx_count++) % FIFO_SIZE] = ch;
}

static void fifo_fill(struct ns16550 *u)
{
    char in[FIFO_SIZE];
    size_t n, room = fifo_room(u);

    if (!room || (u->mcr & MCR_LOOP))
        return;
    n = u->chr->read(u->chr->ctx, in, room);
    for (size_t i = 0; i < n && i < room; i++)
        fifo_push(u, (uint8_t)in[i]);
}

/* The modem lines: a terminal that is always there, or, in loopback, our own outputs. */
static void uart_set_modem(struct ns16550 *u)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD, old = u->msr & (uint8_t)~MSR_DELTAS, changed;

    if (u->mcr & MCR_LOOP)
        lines = (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                          (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
    changed = lines ^ old;
    if (lines & MSR_RI)
        changed &= (uint8_t)~MSR_RI; /* only the trailing edge of a ring counts */
    u->msr = lines | (u->msr & MSR_DELTAS) | (changed >> 4);
}

/* ---- reads ---- */

static uint8_t read_data(struct ns16550 *u)
{
    uint8_t ch = u->rx[u->rx_head];

    if (!u->rx_count)
        return 0;
    u->breaks &= (uint16_t)~(1u << u->rx_head);
    u->rx_head = (u->rx_head + 1) % FIFO_SIZE;
    u->rx_count--;
    vdev_moved(&u->vdev, VDEV_READ, 1);
    if (!u->rx_count)
        fifo_fill(u);
    uart_update(u);
    return ch;
}

static uint8_t read_iir(struct ns16550 *u)
{
    uint8_t id = interrupt_id(u);

    if (id == IIR_THRE) {
        u->thre_pending = false;
        uart_update(u);
    }
    return id | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct ns16550 *u)
{
    uint8_t lsr = (uint8_t)(LSR_THRE | LSR_TEMT | u->lsr_errors | (u->rx_count ? LSR_DATA : 0));

    if (break_is_next(u))
        lsr |= LSR_BREAK;
    if (lsr & (LSR_OVERRUN | LSR_BREAK)) {
        u->lsr_errors = 0;
        u->breaks &= (uint16_t)~(1u << u->rx_head);
        uart_update(u);
    }
    return lsr;
}

static uint8_t read_msr(struct ns16550 *u)
{
    uint8_t msr = u->msr;

    if (msr & MSR_DELTAS) {
        u->msr &= (uint8_t)~MSR_DELTAS;
        uart_update(u);
    }
    return msr;
}

static uint8_t uart_read(struct ns16550 *u, uint64_t reg)
{
    bool dlab = u->lcr & LCR_DLAB;

    switch (reg) {
    case REG_DATA:
        return dlab ? u->dll : read_data(u);
    case REG_IER:
        return dlab ? u->dlm : u->ier;
    case REG_IIR_FCR:
        return read_iir(u);
    case REG_LCR:
        return u->lcr;
    case REG_MCR:
        return u->mcr;
    case REG_LSR:
        return read_lsr(u);
    case REG_MSR:
        return read_msr(u);
    case REG_SCR:
        return u->scr;
    default:
        return 0;
    }
}

/* ---- writes ---- */

static enum mmio_result write_data(struct ns16550 *u, uint8_t ch)
{
    char c = (char)ch;

    if (u->mcr & MCR_LOOP)
        fifo_push(u, ch);
    else if (!u->chr->write(u->chr->ctx, &c, 1))
        return MMIO_RETRY;
    else
        vdev_moved(&u->vdev, VDEV_WRITE, 1);
    u->thre_pending = true; /* sent: the register is empty again */
    uart_update(u);
    return MMIO_OK;
}

static void write_ier(struct ns16550 *u, uint8_t v)
{
    /* Enabling THRE with an empty register interrupts, each time: drivers test for that. */
    if ((v & ~u->ier & IER_THRE))
        u->thre_pending = true;
    u->ier = v & IER_ALL;
    uart_update(u);
}

static void write_fcr(struct ns16550 *u, uint8_t v)
{
    bool toggled = (v ^ u->fcr) & FCR_ENABLE;

    if (toggled || (v & FCR_CLEAR_RX))
        clear_input(u);
    u->fcr = v & FCR_ENABLE ? v & (FCR_ENABLE | 0xc0) : 0;
    fifo_fill(u);
    uart_update(u);
}

static void write_mcr(struct ns16550 *u, uint8_t v)
{
    u->mcr = v & MCR_ALL;
    uart_set_modem(u);
    fifo_fill(u); /* input waited while in loopback */
    uart_update(u);
}

static enum mmio_result uart_write(struct ns16550 *u, uint64_t reg, uint8_t v)
{
    bool dlab = u->lcr & LCR_DLAB;

    switch (reg) {
    case REG_DATA:
        if (!dlab)
            return write_data(u, v);
        u->dll = v;
        break;
    case REG_IER:
        if (dlab)
            u->dlm = v;
        else
            write_ier(u, v);
        break;
    case REG_IIR_FCR:
        write_fcr(u, v);
        break;
    case REG_LCR:
        u->lcr = v;
        break;
    case REG_MCR:
        write_mcr(u, v);
        break;
    case REG_SCR:
        u->scr = v;
        break;
    default:
        break; /* LSR and MSR are for reading */
    }
    return MMIO_OK;
}

static enum mmio_result uart_access(struct vdev *dev, struct mmio_access *a)
{
    struct ns16550 *u = (struct ns16550 *)dev;

    /* Registers are one byte each. A wider access reaches the one at its address, as on a bus that
     * carries its low byte: some small systems store words. */
    if (a->write)
        return uart_write(u, a->offset, (uint8_t)a->value);
    a->value = uart_read(u, a->offset);
    return MMIO_OK;
}

/* LSR, which drivers poll for each character, when reading it clears nothing. */
static enum mmio_result uart_read_unlocked(struct vdev *dev, struct mmio_access *a)
{
    struct ns16550 *u = (struct ns16550 *)dev;

    if (a->offset != REG_LSR || __atomic_load_n(&u->oddities, __ATOMIC_RELAXED))
        return bus_access_locked(dev, a);
    a->value = LSR_THRE | LSR_TEMT;
    if (__atomic_load_n(&u->rx_count, __ATOMIC_RELAXED))
        a->value |= LSR_DATA;
    return MMIO_OK;
}

/* ---- the device ---- */

static void uart_ready(void *device)
{
    struct ns16550 *u = device;

    spin_lock(&u->vdev.lock);
    fifo_fill(u);
    uart_update(u);
    spin_unlock(&u->vdev.lock);
}

static bool uart_break(void *device)
{
    struct ns16550 *u = device;
    bool room;

    spin_lock(&u->vdev.lock);
    room = fifo_room(u) && !(u->mcr & MCR_LOOP);
    if (room) {
        u->breaks |= (uint16_t)(1u << (u->rx_head + u->rx_count) % FIFO_SIZE);
        fifo_push(u, 0);
        uart_update(u);
    }
    spin_unlock(&u->vdev.lock);
    return room;
}

static void power_on(struct ns16550 *u)
{
    u->ier = u->fcr = u->lcr = u->mcr = u->scr = 0;
    u->dll = 1; /* any divisor: nothing is slow here */
    u->dlm = 0;
    u->lsr_errors = 0;
    clear_input(u);
    u->thre_pending = false;
    u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    uart_update(u);
}

static void uart_reset(struct vdev *dev)
{
    spin_lock(&dev->lock);
    power_on((struct ns16550 *)dev);
    spin_unlock(&dev->lock);
}

static void uart_save(struct vdev *dev, struct state_writer *w)
{
    struct ns16550 *u = (struct ns16550 *)dev;

    spin_lock(&dev->lock);
    state_put_u8(w, u->ier);
    state_put_u8(w, u->fcr);
    state_put_u8(w, u->lcr);
    state_put_u8(w, u->mcr);
    state_put_u8(w, u->msr);
    state_put_u8(w, u->scr);
    state_put_u8(w, u->dll);
    state_put_u8(w, u->dlm);
    state_put_u8(w, u->lsr_errors);
    state_put_u8(w, u->thre_pending);
    state_put_u8(w, u->rx_count);
    for (unsigned i = 0; i < FIFO_SIZE; i++)
        state_put_u8(w, i < u->rx_count ? u->rx[(u->rx_head + i) % FIFO_SIZE] : 0);
    state_put_u16(w, (uint16_t)((u->breaks | (uint32_t)u->breaks << FIFO_SIZE) >> u->rx_head));
    spin_unlock(&dev->lock);
}

static int uart_load(struct vdev *dev, struct state_reader *r)
{
    struct ns16550 *u = (struct ns16550 *)dev;

    spin_lock(&dev->lock);
    u->ier = state_get_u8(r) & IER_ALL;
    u->fcr = state_get_u8(r) & (FCR_ENABLE | 0xc0);
    u->lcr = state_get_u8(r);
    u->mcr = state_get_u8(r) & MCR_ALL;
    u->msr = state_get_u8(r);
    u->scr = state_get_u8(r);
    u->dll = state_get_u8(r);
    u->dlm = state_get_u8(r);
    u->lsr_errors = state_get_u8(r) & LSR_OVERRUN;
    u->thre_pending = state_get_u8(r) & 1;
    u->rx_count = state_get_u8(r);
    u->rx_head = 0;
    state_get(r, u->rx, sizeof(u->rx));
    u->breaks = state_get_u16(r) & (uint16_t)((1u << min_u64(u->rx_count, FIFO_SIZE)) - 1);
    if (u->rx_count > (u->fcr & FCR_ENABLE ? FIFO_SIZE : 1))
        state_fail(r, -EINVAL);
    if (r->error)
        power_on(u);
    uart_update(u);
    spin_unlock(&dev->lock);
    return r->error;
}

static void uart_resume(struct vdev *dev) { uart_ready(dev); }

static void uart_destroy(struct vdev *dev)
{
    struct ns16550 *u = (struct ns16550 *)dev;

    u->chr->ready = NULL;
    u->chr->line_break = NULL;
    u->chr->device = NULL;
    heap_free(u);
}

static uint64_t uart_memory(struct vdev *dev)
{
    (void)dev;
    return heap_takes(sizeof(struct ns16550));
}

static const struct vdev_ops ns16550_ops = {
    .type = "ns16550a",
    .access = uart_access,
    .read = uart_read_unlocked,
    .reset = uart_reset,
    .save = uart_save,
    .load = uart_load,
    .destroy = uart_destroy,
    .memory = uart_memory,
    .resume = uart_resume,
};

struct vdev *ns16550_create(struct chr_backend *chr)
{
    struct ns16550 *u = heap_alloc(sizeof(*u));

    if (!u)
        return NULL;
    u->vdev.ops = &ns16550_ops;
    u->vdev.size = UART_SIZE;
    spin_init(&u->vdev.lock, LOCK_DEVICE);
    u->chr = chr;
    power_on(u);
    chr->device = u;
    chr->ready = uart_ready;
    chr->line_break = uart_break;
    return &u->vdev;
}
