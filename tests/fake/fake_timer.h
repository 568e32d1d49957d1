// SPDX-License-Identifier: BSD-2-Clause
// Timers for unit tests of what has one of its own: it runs when the test says so. Link: tests/fake/fake_timer.c.
#pragma once
#include "sched/timer.h"

extern struct timer *fake_timer; /* the one that was set last and has not run; NULL: none */
/* Runs it if it is due by fake_time. */
void fake_timer_run(void);
