// SPDX-License-Identifier: BSD-2-Clause
// Threads that really run, each a thread of this machine, for tests of what blocks and wakes. Each is a hart of its own.
// Link: tests/fake/fake_threads.c tests/fake/fake_base.c
#pragma once
#include "sched/thread.h"

/* Who calls this is t from now on. The test does so for itself, first. */
void fake_thread_enter(struct thread *t);
/* As if it had never run: its hart is free. By itself, at its end; of those that thread_create made thread_destroy does it. */
void fake_thread_leave(void);
