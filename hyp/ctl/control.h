// SPDX-License-Identifier: BSD-2-Clause
// The machine protocol on the ports of the host's virtio serial device: one session for each client that connects to
// one, and to all of them what happens to VMs. docs/control.md is for those who write clients.
// Lock rank: none held. Callers: ctl.c, from the control thread.
#pragma once
#include "boot/platform.h"

/* Boot only: makes the serial line of the boot option control=UART (uart1, or its address) ready. Whether it is
 * the console's own, which is for programs then: there is no terminal. */
bool control_init_line(const struct platform *p);
/* wake: control_step has something to do. */
void control_start(void (*wake)(void));
/* True: there is more to do at once. */
bool control_step(void);
