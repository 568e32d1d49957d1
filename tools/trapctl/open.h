// SPDX-License-Identifier: BSD-2-Clause
// Opens what --connect names: a Unix socket, or a serial device. 0 or negative errno.
#pragma once
#include <stdbool.h>

/* A connection may be under way still (its greeting tells). -EAGAIN: the port's queue of clients is full. */
int open_socket(const char *path, int *fd);
/* Raw, 8 bits, no parity, without flow control, at speed (bits a second); nobody else may open it meanwhile (-EBUSY:
   somebody has it). -EINVAL: termios has no such speed. */
int open_serial(const char *path, unsigned speed, int *fd);
