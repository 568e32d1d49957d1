// SPDX-License-Identifier: BSD-2-Clause
// Making a guest that hangs say where: what the shell's and the protocol's commands share.
// Lock rank: none. Callers: commands.
#pragma once
#include "ctl/inspect.h"

struct console;

enum { KICK_TEXT = 200 };

/* An NMI, or what comes nearest (vcpu/kick.h): 0, -EAGAIN, -EINVAL; text says what came of it. */
int kick_inspected(struct inspect *in, bool now, char text[KICK_TEXT]) MUST_CHECK;
/* False: what was typed before is still not read after a second. */
bool kick_sysrq(struct console *c, char key) MUST_CHECK;
