// SPDX-License-Identifier: BSD-2-Clause
// The host's terminal: chooses its driver, keeps the lines of several harts apart, and brings input by
// interrupt or, where there is none, by a timer on the boot hart.
#include <stdatomic.h>

#include "base/arch.h"
#include "base/log.h"
#include "drv/host_console.h"
#include "sched/timer.h"

/* Polled often while somebody types, and seldom while nobody does: each look may be a call of the firmware. */
enum {
    CHUNK = 64,
    POLL_US = 10000,
    POLL_IDLE_US = 100000,
    TYPING_US = 10000000,
    LOCK_TRIES = 50000000
};

static const struct host_console_ops *ops = &sbi_console;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static void (*receive)(const char *data, size_t len);
static struct timer poll_timer;
static uint64_t typing_until; /* host time */

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

/* Whether there was any. */
static bool take_input(void)
{
    char buffer[CHUNK];
    bool any = false;
    size_t n;
    /* Bounded: a device that always has input must not keep the hart. */
    for (unsigned i = 0; receive && i < 64 && (n = ops->read(buffer, sizeof(buffer))) > 0; i++) {
        receive(buffer, n);
        any = true;
    }
    return any;
}

static void on_interrupt(void *arg)
{
    (void)arg;
    (void)take_input();
}

static void on_timer(struct timer *t)
{
    uint64_t now = arch_time();

    if (take_input())
        typing_until = now + timer_us(TYPING_US);
    timer_set(t, now + timer_us(now < typing_until ? POLL_US : POLL_IDLE_US));
}

void host_console_start(void (*rx)(const char *data, size_t len))
{
    receive = rx;
    if (!ops->start || !ops->start(on_interrupt)) {
        log_info("console: input is polled");
        timer_init(&poll_timer, on_timer);
        typing_until = 0;
        timer_set(&poll_timer, arch_time() + timer_us(POLL_US));
    }
}
