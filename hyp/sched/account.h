// SPDX-License-Identifier: BSD-2-Clause
// Whose a hart's time is: so that no thread pays for what another one causes, by however many wake-ups, blocks and
// interrupts.
//
//   a thread that runs            its own, all of its VM's exits included
//   a switch, blocking, yielding  that of the thread that gives the hart up, until the next one runs
//   a switch, preempting          that of the thread that is switched to, from the interrupt on
//   an interrupt that wakes       that of the woken thread, from the interrupt on; what comes after the last wake-up of an
//                                 interrupt, up to where the guest goes on, is put on the next thread that is woken so
//   a device of the host          nobody's, but for the wake-ups that it causes
//
// What a thread has to pay while it does not run is owed (fair_entity.owed), and charged with its next turn.
// Lock rank: none. Callers: sched/ (thread.c, irq.c), vcpu/exit.c; all for the hart that runs them.
#pragma once
#include "sched/fair_turn.h"
#include "sched/thread.h"

/* From one account of a thread's time to the next; the ticks between. */
static inline uint64_t account_thread(struct thread *t, enum thread_time kind, uint64_t now)
{
    uint64_t passed = now > t->since ? now - t->since : 0;

    t->time[kind] += passed;
    t->since = now;
    return passed;
}

/* A guest has been interrupted. */
static inline void account_interrupt(struct hart *h) { h->interrupted_at = arch_time(); }
/* It goes on: no other thread is to run. */
static inline void account_resume(struct hart *h)
{
    if (h->woke) {
        uint64_t tail = arch_time() - h->interrupted_at;

        h->wake_tail += tail;
        h->interrupt_time += tail;
        h->woke = false;
    }
    h->interrupted_at = 0;
}

/* A device of the host took the time since then. */
void account_device(struct hart *h, uint64_t since);
/* t, that slept, is made ready: what of an interrupt that took, if it is one. Before others may run t. */
void account_wake(struct hart *h, struct thread *t, uint64_t now);
/* The current thread leaves the hart or comes before the choice: charges it. The time up to which it was. */
static inline uint64_t account_charge(struct hart *h)
{
    struct thread *t = h->current;
    uint64_t now = h->interrupted_at ? h->interrupted_at : arch_time(), ran;

    t->since += min_u64(h->interrupt_time, now > t->since ? now - t->since : 0);
    h->interrupted_at = h->interrupt_time = 0;
    ran = account_thread(t, THREAD_RAN, now);
    if (t != h->idle)
        fair_charge(&h->runq, &t->fair, ran, now);
    return now;
}

/* It was chosen again, charged being what that returned. */
void account_stays(struct hart *h, uint64_t charged);

/* The switch is over: the previous thread, charged up to its beginning, pays for it. */
static inline void account_gave_up(struct hart *h, struct thread *previous, uint64_t now)
{
    previous->fair.owed += account_thread(previous, THREAD_RAN, now);
    fair_run_from(&h->runq, now);
    account_thread(h->current, THREAD_WAITED, now);
}

/* On the new thread's stack, before others may run the previous one: the switch, begun at h->switch_began, is over. */
static inline void account_switched(struct hart *h, struct thread *previous)
{
    h->woke = false;
    if (h->previous_pays && previous != h->idle)
        account_gave_up(h, previous, arch_time());
    else
        account_thread(h->current, THREAD_WAITED, h->switch_began);
}
/* See struct thread, take_over: from now on the previous thread may run elsewhere. */
static inline void thread_taken_over(struct hart *h)
{
    struct thread *previous = h->switched_from;

    account_gave_up(h, previous, arch_time());
    atomic_store_explicit(&previous->on_hart, false, memory_order_release);
}
