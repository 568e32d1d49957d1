// SPDX-License-Identifier: BSD-2-Clause
// Control: what boot starts of hyp/ctl. Lock rank: none. Callers: boot/main.c.
#pragma once
#include "boot/platform.h"

/* The lines of the banner, for `info`: set by boot before ctl_start (boot/banner.h), or NULL. */
extern void (*ctl_banner)(const struct platform *p, void (*emit)(void *ctx, const char *line),
                          void *ctx);

/* False: the console's UART is the machine protocol's (ctl/control.h), nothing else is written there but a panic. Set by
 * boot before ctl_start. */
extern bool ctl_has_terminal;

/* The shell's thread, the log on the multiplexed terminal, and the focus: the console of the first
 * VM that starts by itself, else the shell. Call it when the VMs are created, before they are
 * started. 0 or -ENOMEM. From a thread or at boot, no lock held. */
int ctl_start(void) MUST_CHECK;
