// SPDX-License-Identifier: BSD-2-Clause
// All threads, whatever they do: for people's lists and for reports.
// Lock rank: LOCK_RUNQUEUE (internal). Callers: sched, ctl.
#pragma once
#include "sched/thread.h"

void thread_list_add(struct thread *t); /* once, when it has its stack */
void thread_list_remove(struct thread *t);

/* The next one after info->id (0: the first) goes to *info; false: there is none. */
struct thread_info {
    uint64_t id; /* in order of creation, never used again */
    char name[24];
    unsigned state, hart;
    uint64_t run_time; /* host time units, up to now */
    unsigned deepest;  /* bytes of its stack that were ever in use */
};
bool thread_list_next(struct thread_info *info);

/* Calls fn for each, oldest first, with the list locked: fn takes no lock but what comes after LOCK_RUNQUEUE. */
void thread_list_each(void (*fn)(void *ctx, const struct thread *t), void *ctx);
