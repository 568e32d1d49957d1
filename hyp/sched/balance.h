// SPDX-License-Identifier: BSD-2-Clause
// Evens out the harts' queues, so that shares hold over all harts: in the manner of distributed weighted
// round-robin (T. Li, D. Baumberger, S. Hahn, "Efficient and Scalable Multiprocessor Fair Scheduling Using
// Distributed Weighted Round-Robin", PPoPP 2009), with tags in place of rounds: a hart does not go on to
// later virtual times while threads that could run on it wait elsewhere with tags more than BALANCE_US
// earlier. So tags are comparable between harts, and no two threads' shares drift apart by more than that
// and a slice each; a hart with nothing to do takes what waits anywhere.
// Where nothing can be moved (a thread of more weight than a hart has room for; affinities), virtual times
// do drift apart; a queue that lags far is moved up, so that it finds the others when things change.
// Lock rank: takes run queue locks, one at a time: none held on entry. Callers: thread.c.
#pragma once
#include "sched/fair_turn.h"
#include "sched/thread.h"

/* Before a hart chooses, tag being the least of what it could run (has: there is any): takes over a thread
 * that should run before that. */
void balance_pull(struct hart *me, bool has, uint64_t tag, uint64_t now);
/* After it has chosen: other harts that should take what waits here are asked to look. */
void balance_offer(struct hart *me, uint64_t now);
/* The virtual time of a hart that was idle follows the others'. Its lock is held. */
void balance_join(struct hart *h, uint64_t now);
static inline bool balance_allows(const struct hart *h, const struct fair_entity *e)
{
    return atomic_load_explicit(&e->group->affinity, memory_order_relaxed) & BIT(h->index);
}
