// SPDX-License-Identifier: BSD-2-Clause
// Harts: what this machine's processors are, and each one's own data (tp points at it).
// Invariants: hart 0 (logical) is the boot hart; logical indices are dense, hart ids may be sparse.
// Lock rank: none; the fields say who writes them. Callers: everybody above base.
#pragma once
#include <stdatomic.h>

#include "base/arch.h"
#include "base/list.h"
#include "base/spinlock.h"
#include "sched/fair.h"

#define HART_MAX 64

struct thread;
struct vcpu;
struct timer;

enum { HART_LOCKS_MAX = 16 };
struct held_lock {
    const struct spinlock *lock;
    const void *taken_at; /* the instruction after the call */
};

struct hart {
    /* The first fields are known to assembly: sched/hart_offsets.h checks them. */
    uint32_t index; /* offset 0: hart_index() */
    bool resched; /* offset 4: look at the run queue before going on */
    struct vcpu *vcpu; /* offset 8: whose CSR state is loaded and may run, or NULL */
    uint64_t *fault_frame; /* offset 16: registers of a trap in the hypervisor */
    uint64_t fault_stack; /* offset 24: top of its emergency stack */
    uint64_t scratch[2]; /* offset 32 */

    uint64_t hartid;
    atomic_bool online;
    struct thread *current;
    struct thread *idle;
    struct thread *switched_from; /* during a switch: whose stack is being left */

    struct spinlock runq_lock; /* guards runq */
    struct fair_queue runq;
    atomic_bool ticks; /* the slice has an end: the hart looks at its queue by itself */
    uint64_t balanced_at; /* host time */
    /* Host time: a thread that its cap holds here may go on; UINT64_MAX: none. */
    uint64_t release_at;
    struct thread *stray; /* during a switch: leaves this hart, for one where it may run */
    struct thread *yield_to; /* at the next look at the queue: this one first */

    /* Whose time it is: sched/account.h. */
    /* Host time from which on the interrupt of a guest has no payer yet; 0: no interrupt. */
    uint64_t interrupted_at;
    uint64_t interrupt_time; /* ticks since current's last account that are not its own */
    uint64_t wake_tail; /* ticks that whoever is woken next by an interrupt pays */
    bool woke; /* the interrupt under way woke a thread */
    bool previous_pays; /* during a switch: that of the thread that is left */
    uint64_t switch_began; /* during a switch: host time up to which the left one is charged */

    struct spinlock timer_lock; /* guards timers */
    struct list timers; /* set on this hart, by time */
    _Atomic(struct timer *) timer_running; /* whose function runs now */
    uint64_t slice_end; /* host time, UINT64_MAX: none */
    bool slice_over; /* it has come */
    uint64_t timer_armed; /* host time programmed, UINT64_MAX: none */

    atomic_ulong requests; /* HART_REQ_*, set by others, then an IPI */
    _Atomic(struct xcall *) xcall[HART_MAX]; /* one slot for each calling hart */

    struct vcpu *fp_owner; /* whose FP registers are in the hart */
    bool fp_zero; /* these are as after a reset, whosever they are */
    bool counters_closed; /* hcounteren gives the guest not just what it gives to all */
    bool counts_exits; /* the trap vector is the one that counts firmware events */
    bool delegates_misaligned; /* its firmware gives misaligned accesses of guests to them */
    struct vcpu *vector_owner; /* the same for the vector registers */
    bool vector_zero; /* these are as after a reset, whosever they are */

    unsigned lock_depth;
    /* The first lock_depth, as taken; the last may be waited for. */
    struct held_lock held[HART_LOCKS_MAX];
    /* What it spins for, or NULL; for other harts' reports. */
    const struct spinlock *_Atomic wanted;
    uint64_t where_pc, where_sp; /* answers to HART_REQ_WHERE */
    atomic_uint where_done;
};

enum {
    HART_REQ_RESCHED = 1,
    HART_REQ_XCALL = 2,
    HART_REQ_KICK = 4,
    HART_REQ_HALT = 8,
    HART_REQ_WHERE = 16, /* say where you are: where_pc, where_sp */
};

extern struct hart *harts[HART_MAX];
extern unsigned hart_count;
extern atomic_bool hart_halt; /* the hypervisor is broken: every hart stops at its next interrupt */

static inline struct hart *this_hart(void) { return arch_hart_data(); }

/* The watchdog's (boot/watchdog.h). A hart that spins for a lock for hart_spin_limit (host time; 0: ever) calls
 * hart_spins_too_long, from there, and goes on. */
extern uint64_t hart_spin_limit;
extern void (*hart_spins_too_long)(void);
extern atomic_uint hart_stuck_reports; /* since boot */

/* Sets request bits on a hart and interrupts it when it is another one. */
void hart_request(unsigned index, unsigned long bits);
/* Answers what others asked of this hart; called with any locks held (spin_relax), so it runs
 * only xcalls; the rest is left for the exit boundary and the idle loop. */
void hart_answer_xcalls(void);
