// SPDX-License-Identifier: BSD-2-Clause
// Threads: each vCPU and each housekeeping job (shell, VM manager) is one, with its own stack.
// Each hart has a queue (sched/fair.h says who is next) and evens it out with the others' (sched/balance.h).
// A woken thread that should run well before the one that runs preempts it at once. Cooperative in the
// hypervisor: a switch happens only in thread_block, thread_yield, sched_point; guests are preempted by exits.
// Time is charged to the thread that causes it: sched/account.h.
// Invariants: no spinlock is held at a switch. A vCPU's thread blocks only at the exit boundary.
// Lock rank: LOCK_RUNQUEUE (internal). Callers: vcpu, vm, ctl, drv.
#pragma once
#include "sched/hart.h"

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD };
/* Where a thread's time goes. */
enum thread_time {
    THREAD_RAN,
    THREAD_WAITED, /* ready, another one had the hart */
    THREAD_CAPPED, /* ready, its group's cap was used up */
    THREAD_IDLED, /* blocked */
    THREAD_OFF, /* blocked: a vCPU that is paused or stopped */
    THREAD_TIMES
};

/* Why a thread lets the scheduler choose. */
enum thread_leave {
    LEAVE_READY, /* its time is over, or another one's has come */
    LEAVE_YIELDING,
    LEAVE_BLOCKED
};

struct thread {
    struct fair_entity fair; /* place in a queue, and the group */
    _Atomic unsigned state; /* enum thread_state */
    /* A wake-up came: block returns at once. No bool: its exchange needs libatomic. */
    atomic_uint wake;
    atomic_bool on_hart; /* its stack is in use by a hart */
    unsigned hart; /* logical: where it runs or ran last */
    uint64_t since; /* host time of its last change of state */
    uint64_t time[THREAD_TIMES]; /* up to then, in ticks of the host */
    enum thread_time blocked_as; /* THREAD_IDLED or THREAD_OFF */
    uint64_t sp; /* saved stack pointer when not running; 0: it begins, by fn, on its empty stack */
    void *stack; /* lowest usable byte */
    void (*fn)(void *arg);
    void *arg;
    /* As fn, of a thread that leaves by thread_leave; but the hart's state is that of the thread that it comes after
     * (h->switched_from), which has this function too: does what switch_out of that and switch_in of this would do,
     * then calls thread_taken_over. NULL: fn. */
    void (*take_over)(void *arg);
    /* Called on the hart, around the time it runs this thread; NULL: nothing to do. */
    void (*switch_in)(struct thread *t);
    void (*switch_out)(struct thread *t);
    struct list all; /* sched/thread_list.h */
    uint64_t id;
    char name[24];
};

#define THREAD_STACK_SIZE 8192

/* The group of the hypervisor's own threads; thread_init puts every thread there. */
extern struct fair_group thread_hypervisor;

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
/* As thread_block (LEAVE_BLOCKED) and thread_yield, and never returns: what the thread's stack holds is lost, and it goes
 * on by its fn when it has a hart again, at once if it need not wait. For who has nothing on its stack, and answers
 * interrupts soon: a vCPU at its exit boundary. No locks held. */
void thread_leave(enum thread_leave why);
/* At this hart's next look at its queue, t runs in the current thread's place, which takes t's: both are of one
 * group. false, and nothing is done, when t is not ready on this hart. */
bool thread_yield_to(struct thread *t);
/* Puts a thread that never ran into a group. */
static inline void thread_join(struct thread *t, struct fair_group *g) { t->fair.group = g; }
/* t's next turn, where it is ready, is the next on its hart: for what others wait for, that must not take the longer the
 * less its weight is. From anywhere, no locks held; again when t is not ready yet. */
void thread_hurry(struct thread *t);
/* The times of a thread until now, its state under way included. From anywhere: may be a little old. */
void thread_times(const struct thread *t, uint64_t times[THREAD_TIMES]);
/* A group's weight, cap or affinity was changed: every hart looks again. */
void thread_group_changed(void);
/* For long housekeeping work: answers interrupts, lets others run when they should. */
void sched_point(void);
static inline struct thread *thread_current(void) { return this_hart()->current; }
