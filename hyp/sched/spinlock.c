// SPDX-License-Identifier: BSD-2-Clause
// Ticket locks with rank checking: a few instructions, so always on. Here and not in base, since a
// hart that spins answers the others.
#include "base/spinlock.h"

#include "base/panic.h"
#include "sched/hart.h"

void spin_lock(struct spinlock *l)
{
    struct hart *h = this_hart();
    unsigned ticket = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);

    if (h->lock_depth && h->lock_ranks[h->lock_depth - 1] >= l->rank)
        panic("lock of rank %u taken while holding rank %u", l->rank,
              h->lock_ranks[h->lock_depth - 1]);
    if (h->lock_depth == sizeof(h->lock_ranks))
        panic("too many locks held");
    h->lock_ranks[h->lock_depth++] = l->rank;
    while (atomic_load_explicit(&l->serving, memory_order_acquire) != ticket) {
        arch_pause();
        hart_answer_xcalls();
    }
}

void spin_unlock(struct spinlock *l)
{
    struct hart *h = this_hart();
    unsigned i = --h->lock_depth;

    /* Mostly the last one taken; else close the gap. */
    if (h->lock_ranks[i] != l->rank) {
        uint8_t above = h->lock_ranks[i];

        while (i-- && h->lock_ranks[i] != l->rank) {
            uint8_t rank = h->lock_ranks[i];

            h->lock_ranks[i] = above;
            above = rank;
        }
        h->lock_ranks[i] = above;
    }
    atomic_store_explicit(&l->serving, atomic_load_explicit(&l->serving, memory_order_relaxed) + 1,
                          memory_order_release);
}

bool spin_held(const struct spinlock *l)
{
    return atomic_load(&l->next) != atomic_load(&l->serving);
}
