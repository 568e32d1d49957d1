// SPDX-License-Identifier: BSD-2-Clause
// The fake side of hyp/base/spin_leaf.h: locks with all their checks.
#pragma once
#include "base/spinlock.h"

static inline void spin_lock_leaf(struct spinlock *l) { spin_lock(l); }
static inline void spin_unlock_leaf(struct spinlock *l) { spin_unlock(l); }
