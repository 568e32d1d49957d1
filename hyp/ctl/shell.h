// SPDX-License-Identifier: BSD-2-Clause
// The human front end of the command table: prompt, line editing, output to the shell's console.
// Lock rank: none. Callers: ctl.c (start); tests drive shell_step by hand.
#pragma once
#include "base/util.h"

/* The state of the shell; no thread yet. wake: see console_shell_start. 0 or -ENOMEM. */
int shell_init(void (*wake)(void)) MUST_CHECK;
/* Handles all input that is there, and what consoles want delivered. From the control thread. */
void shell_step(void);
