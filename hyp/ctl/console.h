// SPDX-License-Identifier: BSD-2-Clause
// The console multiplexer: every VM has a console (a scroll-back ring and an input queue); one of them, or the
// hypervisor's shell, has the host's terminal. The escape key Ctrl-] cycles.
// Lock rank: LOCK_BACKEND. Callers: vm (attaches devices), ctl, the host's UART driver (input).
#pragma once
#include "vdev/backend.h"

struct console;
struct console *console_create(const char *name);
void console_destroy(struct console *c);
/* The backend for the VM's console device number n (0: virtio, 1: UART); both share one console. */
struct chr_backend *console_backend(struct console *c, unsigned n);
/* For SBI DBCN. */
size_t console_write(struct console *c, const char *data, size_t len);
size_t console_read(struct console *c, char *to, size_t max);
/* Drops the devices (at VM stop); the scroll-back stays. */
void console_detach(struct console *c);
/* Bytes from the host's terminal. */
void console_host_input(const char *data, size_t len);
/* The host's terminal: set by the UART driver or the SBI console. Must not block for long. */
void console_set_host(void (*write)(const char *data, size_t len));
