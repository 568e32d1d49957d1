// SPDX-License-Identifier: BSD-2-Clause
// The host's terminal: chooses its driver, keeps the lines of several harts apart, and brings input by
// interrupt or, where there is none, by a timer on the boot hart.
#include <stdatomic.h>

#include "base/arch.h"
#include "base/log.h"
#include "drv/host_console.h"
#include "sched/timer.h"

enum { CHUNK = 64, POLL_US = 10000, LOCK_TRIES = 50000000 };

static const struct host_console_ops *ops = &sbi_console;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static void (*receive)(const char *data, size_t len);
static bool polled;
static struct timer poll_timer;

void host_console_init(const struct platform *p)
{
    const struct host_console_ops *uart = uart_init(p);
    if (uart)
        ops = uart;
    else
        sbi_console_init();
}

/* A hart that died while it wrote must not silence the panic of another: the lock is for looks. */
void host_console_write(const char *data, size_t len)
{
    bool mine = false;
    for (unsigned i = 0; i < LOCK_TRIES && !mine; i++) {
        mine = !atomic_flag_test_and_set_explicit(&busy, memory_order_acquire);
        if (!mine)
            arch_pause();
    }
    ops->write(data, len);
    if (mine)
        atomic_flag_clear_explicit(&busy, memory_order_release);
}

void host_console_poll(void)
{
    char buffer[CHUNK];
    size_t n;
    /* Bounded: a device that always has input must not keep the hart. */
    for (unsigned i = 0; receive && i < 64 && (n = ops->read(buffer, sizeof(buffer))) > 0; i++)
        receive(buffer, n);
}

static void on_interrupt(void *arg)
{
    (void)arg;
    host_console_poll();
}

static void on_timer(struct timer *t)
{
    host_console_poll();
    timer_set(t, arch_time() + timer_us(POLL_US));
}

void host_console_start(void (*rx)(const char *data, size_t len))
{
    receive = rx;
    polled = !ops->start || !ops->start(on_interrupt);
    if (polled) {
        log_info("console: input is polled");
        timer_init(&poll_timer, on_timer);
        timer_set(&poll_timer, arch_time() + timer_us(POLL_US));
    }
}

bool host_console_needs_poll(void) { return polled; }
