// SPDX-License-Identifier: BSD-2-Clause
// A machine for tests of hyp/sched: harts with idle threads and queues, on the fake clock. Switches of stacks do nothing
// but take time; there is one stack for all threads.
#pragma once
#include "sched/fair_turn.h"
#include "sched/hart.h"
#include "sched/thread.h"

#define FAKE_HZ 10000000ul
#define US (FAKE_HZ / 1000000)
#define MS (FAKE_HZ / 1000)
enum { FAKE_SCHED_HARTS = 4 };

extern struct hart fake_sched_hart[FAKE_SCHED_HARTS];
extern struct thread fake_sched_idle[FAKE_SCHED_HARTS];
extern uint64_t fake_switch_ticks; /* that a switch takes */
extern unsigned fake_ipis; /* asked of the firmware */

/* Everything anew: so many harts, all online and idle. Test code is hart 0. */
void fake_sched_start(unsigned harts);
/* A thread that never ran, blocked; its memory is zero. */
void fake_sched_thread(struct thread *t, struct fair_group *g);
