// SPDX-License-Identifier: BSD-2-Clause
// A hart's timer hardware, for the scheduler and the interrupt entry only.
#pragma once
#include "sched/hart.h"
#include "sched/timer.h"

extern bool timer_sstc;          /* the host has Sstc: stimecmp instead of SBI calls */
void timer_arm(struct hart *h);
void timer_run(struct hart *h);  /* the timer interrupt: due timers, end of the slice */
