// SPDX-License-Identifier: BSD-2-Clause
// The machine protocol on the ports of the host's virtio serial device: one session for each client that connects to
// one, and to all of them what happens to VMs. docs/control.md is for those who write clients.
// Lock rank: none held. Callers: ctl.c, from the control thread.
#pragma once
#include "base/util.h"

/* wake: control_step has something to do. */
void control_start(void (*wake)(void));
/* True: there is more to do at once. */
bool control_step(void);
