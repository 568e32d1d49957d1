// SPDX-License-Identifier: BSD-2-Clause
// A 16550 or a relative of it (Synopsys dw-apb, XScale). The console's stays at the speed that the firmware left; others
// are set to theirs, where the tree tells their clock.
// Lock rank: none: whoever owns a UART sees to it that one at a time uses it. Callers: host_console.c, serial_line.c.
#pragma once
#include "boot/platform.h"

struct uart {
    volatile char *base; /* NULL: not open */
    uint32_t shift, width, irq;
    unsigned fifo; /* characters that it takes at once when it is empty */
    bool dw_apb;
};

/* Maps and sets it up, without interrupts. set_speed: as the tree says, if it tells the clock. False: no such device, or
 * its registers cannot be mapped. Boot only. */
bool uart_open(struct uart *u, const struct platform_uart *at, bool set_speed) MUST_CHECK;
/* What waits, without waiting. */
size_t uart_take(struct uart *u, char *to, size_t max);
/* How many characters it takes now, without waiting. */
size_t uart_give(struct uart *u, const char *data, size_t len);
/* Interrupts for input from now on; whether there are any. */
bool uart_start(struct uart *u, void (*fn)(void *arg), void *arg);
/* Interrupts also (or no more) when it has sent all that it had. */
void uart_want_room(struct uart *u, bool want);
