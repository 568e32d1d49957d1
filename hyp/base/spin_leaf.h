// SPDX-License-Identifier: BSD-2-Clause
// Locks as spinlock.h's, without a call and, but in debug builds, without its checks and records: for the few
// instructions of a switch between vCPUs. Inside, no other lock is taken, nobody waits, nothing is called that might.
// Lock rank: the lock's own. Callers: sched/thread.c. (tests/fake/base/spin_leaf.h: the same with all checks.)
#pragma once
#include "base/relaxed.h"
#include "base/spinlock.h"
#include "base/util.h"

static inline void spin_lock_leaf(struct spinlock *l)
{
    unsigned ticket;

    if (HYP_DEBUG) {
        spin_lock(l);
        return;
    }
    ticket = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
    if (atomic_load_explicit(&l->serving, memory_order_acquire) != ticket)
        spin_wait(l, ticket);
}

/* false: it is not free now. */
static inline bool spin_trylock_leaf(struct spinlock *l)
{
    unsigned ticket = relaxed_load32(&l->serving);

    if (HYP_DEBUG) {
        if (spin_held(l))
            return false;
        spin_lock(l);
        return true;
    }
    return atomic_compare_exchange_strong_explicit(&l->next, &ticket, ticket + 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline void spin_unlock_leaf(struct spinlock *l)
{
    if (HYP_DEBUG) {
        spin_unlock(l);
        return;
    }
    atomic_thread_fence(memory_order_release);
    relaxed_store32(&l->serving, relaxed_load32(&l->serving) + 1);
}
