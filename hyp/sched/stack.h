// SPDX-License-Identifier: BSD-2-Clause
// How deep stacks are used. Each is painted when it is made, so what was ever written on it shows. An overflow
// faults in the guard page below (mem/hostmap.h); this is to know beforehand how near one is to that.
// Lock rank: LOCK_RUNQUEUE (internal). Callers: sched, ctl.
#pragma once
#include "sched/thread.h"

/* So many bytes of each stack should never have been used. A debug build panics at the next switch of threads
 * when they were; `stacks` says so in any build. */
enum { STACK_MARGIN = 1024 };

/* Bytes that were ever in use, of THREAD_STACK_SIZE. */
unsigned stack_deepest(const void *stack);
/* Panics when the margin of t's stack was used. */
void stack_check(const struct thread *t);
/* Paints what lies below the caller's frame, for a stack that hostmap_stack did not make. */
void stack_paint_rest(void *stack);

/* Threads do the same work, and so need as much stack, when they are of one kind: all vCPUs, all harts' idle
 * threads; the others one by one, by their names. Threads that are gone count. */
struct stack_kind {
    char name[24];
    unsigned threads; /* that there are now */
    unsigned deepest; /* bytes */
};
enum { STACK_KINDS = 16 };
/* Fills kinds; their number. Those beyond STACK_KINDS are left out. */
unsigned stack_kinds(struct stack_kind kinds[STACK_KINDS]);
/* t is about to lose its stack: what it used is kept for its kind. */
void stack_note_end(const struct thread *t);
