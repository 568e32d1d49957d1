// SPDX-License-Identifier: BSD-2-Clause
// What is said when the hypervisor is broken: straight to the host's terminal, past the log and its lock, which may
// be held by whoever is broken.
// Lock rank: none taken; any may be held. Callers: boot/stop.c, boot/watchdog.c.
#pragma once
#include "base/util.h"
#include "sched/thread.h"

enum { LOUD_LINE = 384 };

/* Up to LOUD_LINE - 1 characters; ends lines with \r\n itself where fmt says so. */
void loud_print(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Every word from sp up to the end of its stack that points into the text, newest first: there are no frame
 * pointers, so some are left-overs of earlier calls. t: whose stack sp is thought to lie on. */
void loud_backtrace(const struct thread *t, uint64_t sp);
