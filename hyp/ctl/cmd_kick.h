// SPDX-License-Identifier: BSD-2-Clause
// Making a guest that hangs say where: what the shell's and the protocol's commands share.
// Lock rank: none. Callers: commands.
#pragma once
#include "ctl/inspect.h"

struct console;

enum { KICK_TEXT = 256 };

/* Waits until the guest has let its devices alone for a moment, or for a second: due before it is inspected, for a
 * report that is whole. A kernel that is kicked in the middle of a driver holds the driver's locks, and if it is
 * the console's, Linux's report ends where it waits for them. One that hangs asks nothing of its devices. */
void kick_wait(struct vm *vm);
/* An NMI, or what comes nearest (vcpu/kick.h): 0, -EAGAIN, -EINVAL; text says what came of it. */
int kick_inspected(struct inspect *in, bool now, char text[KICK_TEXT]) MUST_CHECK;
/* False: what was typed before is still not read after a second. */
bool kick_sysrq(struct console *c, char key) MUST_CHECK;
