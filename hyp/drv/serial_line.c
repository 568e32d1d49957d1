// SPDX-License-Identifier: BSD-2-Clause
#include "drv/serial_line.h"

#include <errno.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "drv/uart.h"
#include "sched/timer.h"

enum { RING = 4096, CHUNK = 64, POLL_US = 1000 };

struct ring {
    char data[RING];
    uint32_t head, count;
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_BACKEND);
static struct uart uart;
static struct ring in, out; /* the lock guards them, and the UART */
static uint64_t lost;
static void (*wake)(void);
static struct timer poll_timer;

static size_t ring_put(struct ring *r, const char *data, size_t len)
{
    size_t n = min_u64(len, RING - r->count);

    for (size_t i = 0; i < n; i++)
        r->data[(r->head + r->count++) % RING] = data[i];
    return n;
}

/* What lies in one piece at the front. */
static size_t ring_front(const struct ring *r, const char **data)
{
    *data = r->data + r->head;
    return min_u64(r->count, RING - r->head);
}

static void ring_drop(struct ring *r, size_t n)
{
    r->head = (uint32_t)((r->head + n) % RING);
    r->count -= (uint32_t)n;
}

static bool take_input(void)
{
    char piece[CHUNK];
    bool any = false;

    /* Bounded: a line that never rests must not keep the hart. */
    for (unsigned i = 0; i < RING / CHUNK; i++) {
        size_t n = uart_take(&uart, piece, sizeof(piece));

        if (!n)
            break;
        lost += n - ring_put(&in, piece, n);
        any = true;
    }
    return any;
}

/* Whether there is new room. */
static bool give_output(void)
{
    bool was_full = out.count == RING;
    const char *data;
    size_t n, given;

    do {
        n = ring_front(&out, &data);
        given = n ? uart_give(&uart, data, n) : 0;
        ring_drop(&out, given);
    } while (given);
    return was_full && out.count < RING;
}

static void service(void)
{
    bool news;

    spin_lock(&lock);
    news = take_input();
    news |= give_output();
    if (!poll_timer.fn)
        uart_want_room(&uart, out.count > 0);
    spin_unlock(&lock);
    if (news)
        wake();
}

static void on_interrupt(void *arg)
{
    (void)arg;
    service();
}

static void on_timer(struct timer *t)
{
    service();
    timer_set(t, arch_time() + timer_us(POLL_US));
}

int serial_line_init(const struct platform_uart *at, bool set_speed)
{
    return uart_open(&uart, at, set_speed) ? 0 : -ENODEV;
}

bool serial_line_start(void (*fn)(void))
{
    if (!uart.base)
        return false;
    wake = fn;
    if (!uart_start(&uart, on_interrupt, NULL)) {
        log_info("control line: it has no interrupt, and is polled");
        timer_init(&poll_timer, on_timer);
        timer_set(&poll_timer, arch_time() + timer_us(POLL_US));
    }
    return true;
}

size_t serial_line_read(char *to, size_t max)
{
    size_t done = 0, n;
    const char *data;

    spin_lock(&lock);
    while (done < max && (n = min_u64(ring_front(&in, &data), max - done)) > 0) {
        for (size_t i = 0; i < n; i++)
            to[done + i] = data[i];
        ring_drop(&in, n);
        done += n;
    }
    spin_unlock(&lock);
    return done;
}

size_t serial_line_write(const char *data, size_t len)
{
    size_t n;

    spin_lock(&lock);
    n = ring_put(&out, data, len);
    (void)give_output();
    if (!poll_timer.fn)
        uart_want_room(&uart, out.count > 0);
    spin_unlock(&lock);
    return n;
}

uint64_t serial_line_lost(void) { return lost; }
