// SPDX-License-Identifier: BSD-2-Clause
// A serial line for programs: a UART of the host as a byte stream. Input is taken from the UART as it comes and kept (up to
// 4 KiB: beyond that it is lost, as on any line without flow control); output goes as fast as the line.
// Nothing waits: reading and writing take what there is. There is one line.
// Lock rank: LOCK_BACKEND inside. Callers: boot (init), the control thread.
#pragma once
#include "boot/platform.h"

/* Boot only, before other harts: 0; -ENODEV: its registers cannot be mapped. set_speed: drv/uart.h. */
int serial_line_init(const struct platform_uart *at, bool set_speed) MUST_CHECK;
/* wake, from the interrupt path or a timer: there is input, or room. False: there is no line. */
bool serial_line_start(void (*wake)(void));
size_t serial_line_read(char *to, size_t max);
size_t serial_line_write(const char *data, size_t len);
uint64_t serial_line_lost(void); /* bytes of input, ever */
