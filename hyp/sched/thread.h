// SPDX-License-Identifier: BSD-2-Clause
// Threads: each vCPU and each housekeeping job (shell, VM manager) is one, with its own stack.
// One scheduler per hart: the ready thread with the least virtual run time runs, for a slice, when
// others wait; a woken thread gets at most a slice of credit. Cooperative in the hypervisor:
// a switch happens only in thread_block, thread_yield, sched_point; guests are preempted by exits.
// Invariants: no spinlock is held at a switch. A vCPU's thread blocks only at the exit boundary.
// Lock rank: LOCK_RUNQUEUE (internal). Callers: vcpu, vm, ctl, drv.
#pragma once
#include "sched/hart.h"

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD };

struct thread {
    struct list node;              /* in a run queue */
    _Atomic unsigned state;        /* enum thread_state */
    atomic_uint
        wake; /* a wake-up came: block returns at once. No bool: its exchange needs libatomic */
    atomic_bool on_hart; /* its stack is in use by a hart */
    unsigned hart; /* logical: where it runs or ran last */
    uint64_t vruntime, run_time, started; /* host time units */
    uint64_t sp; /* saved stack pointer when not running */
    void *stack; /* lowest usable byte */
    void (*fn)(void *arg);
    void *arg;
    /* Called on the hart, around the time it runs this thread; NULL: nothing to do. */
    void (*switch_in)(struct thread *t);
    void (*switch_out)(struct thread *t);
    char name[24];
};

#define THREAD_STACK_SIZE 8192

/* NULL when out of memory. The thread starts when thread_wake is first called. Waits for the other
 * harts: no LOCK_STAGE2 or later lock held. */
struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg) MUST_CHECK;
/* The same in memory of the caller's, zeroed by it. 0 or -ENOMEM (stack). */
int thread_init(struct thread *t, const char *name, void (*fn)(void *arg), void *arg) MUST_CHECK;
/* Frees the stack of a thread that is blocked or was never woken, from another thread. It must not
 * be reachable by anybody who may wake it. */
void thread_destroy(struct thread *t);
void thread_wake(struct thread *t); /* from anywhere, any lock below LOCK_RUNQUEUE held */
void thread_block(void); /* until thread_wake; a wake-up since the last block counts */
void thread_yield(void);
/* For long housekeeping work: answers interrupts, lets others run when they should. */
void sched_point(void);
static inline struct thread *thread_current(void) { return this_hart()->current; }
