// SPDX-License-Identifier: BSD-2-Clause
// What drives the host's terminal: the UART of the tree, or the firmware's debug console.
// Lock rank: none: a line of the log comes here with LOCK_LOG held, so what lock there is, is a leaf of
// host_console.c's own. Callers: host_console.c.
#pragma once
#include "drv/drv.h"

struct host_console_ops {
    const char *name;
    void (*write)(const char *data,
                  size_t len); /* all of it; gives up on a device that stands still */
    size_t (*read)(char *to, size_t max); /* what waits, without waiting */
    /* Interrupts for input from now on; returns whether there are any. NULL: never. */
    bool (*start)(void (*input)(void *arg));
};

/* uart.c: NULL when there is no UART or its registers cannot be mapped. */
const struct host_console_ops *uart_init(const struct platform *p);
/* sbi_console.c: always there. Before sbi_console_init it writes byte by byte. */
extern const struct host_console_ops sbi_console;
void sbi_console_init(void);
