// SPDX-License-Identifier: BSD-2-Clause
// The fake side of hyp/base/spin_leaf.h: locks with all their checks.
#pragma once
#include "base/spinlock.h"

static inline void spin_lock_leaf(struct spinlock *l) { spin_lock(l); }
static inline bool spin_trylock_leaf(struct spinlock *l)
{
    bool is_free = !spin_held(l);

    if (is_free)
        spin_lock(l);
    return is_free;
}
static inline void spin_unlock_leaf(struct spinlock *l) { spin_unlock(l); }
