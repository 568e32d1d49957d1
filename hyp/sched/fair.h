// SPDX-License-Identifier: BSD-2-Clause
// Who runs next on a hart, as pure code: start-time fair queueing (P. Goyal, H. M. Vin, H. Cheng,
// "Start-time Fair Queueing", SIGCOMM 1996; as a processor scheduler: P. Goyal, X. Guo, H. M. Vin, "A
// Hierarchical CPU Scheduler for Multimedia Operating Systems", OSDI 1996).
//
// Each thread has a start tag, the virtual time up to which it has had its share. Running for a tick
// of the host's clock moves the tag by 1 / (its weight); the ready thread with the least tag runs. Chosen
// because it is fair when the work and the speed of the server vary, as they do here (a guest's exits,
// the emulator below), needs no knowledge of how long a thread will run, and lets what sleeps much run
// at once: its tag has stayed behind.
//
// Two levels: a group (a VM, or the hypervisor's own threads) has the weight, and each of its threads that
// run or want to counts with the weight divided by how many these are.
// Waking: a tag is brought up to FAIR_CREDIT before the queue's virtual time, never back: a sleeper keeps
// the claim to so much of what it left to others, no more. Also to FAIR_CREDIT before its group's own tag, which
// moves with all that the group's threads run: many threads that take turns at sleeping have no more than
// one that does not sleep. So no storm of wake-ups gets beyond its share.
// Cap: percent of one hart, over periods of FAIR_CAP_PERIOD; what was used beyond it (a hart is not
// stopped mid-instruction) is taken off the next periods, so it holds in the long run exactly.
//
// Invariants: tags are compared by their signed difference (they wrap). A thread is in one queue at most,
// its ready or its held list; the running one in none.
// Lock rank: the caller holds the lock of the hart whose queue it is; LOCK_SCHED_GROUP is taken inside.
// What other harts look at without the lock is atomic, and may be old. Callers: sched/ only; groups are
// made and set by vcpu and vm.
#pragma once
#include <stdatomic.h>

#include "base/list.h"
#include "base/spinlock.h"

enum { FAIR_WEIGHT_DEFAULT = 100, FAIR_WEIGHT_MAX = 10000 };
#define FAIR_ALL_HARTS (~0ul)
#define FAIR_SLICE_US 4000 /* a turn, when others wait */
#define FAIR_CREDIT_US 4000 /* at the default weight */
#define FAIR_PREEMPT_US 500 /* the same: so much earlier than what runs, to take its turn away */
#define FAIR_CAP_PERIOD_US 50000

struct fair_group {
    atomic_uint weight; /* 1..FAIR_WEIGHT_MAX, FAIR_WEIGHT_DEFAULT for what is not said */
    atomic_uint cap; /* percent of one hart; 0: none */
    _Atomic uint64_t affinity; /* bit n: may run on logical hart n */
    atomic_uint runnable; /* threads that run or want to */
    _Atomic uint64_t tick; /* virtual time of a tick for a group with one such thread */
    /* Moved by all of its threads, each tick counting with the whole weight. */
    _Atomic uint64_t tag;
    _Atomic uint64_t held_until; /* host time: the cap's budget is used up until then */
    struct spinlock lock; /* guards what follows */
    uint64_t period; /* host time at which the current period of the cap began */
    uint64_t used; /* ticks, of this period and beyond */
    bool lifted; /* the cap holds nothing for now, but counts; set by one thread at a time */
};

struct fair_queue;
struct fair_entity {
    struct list node;
    struct fair_group *group;
    struct fair_queue *queue; /* in which it is, or NULL; under that queue's lock */
    uint64_t tag;
    uint64_t owed; /* ticks that it has caused while it did not run: charged with its next turn */
    bool held; /* in the held list */
};

struct fair_queue {
    struct list ready; /* by tag */
    struct list held; /* their group's cap is used up */
    atomic_uint length; /* of ready */
    _Atomic uint64_t first; /* tag of the first ready one; of no meaning when length is 0 */
    /* Virtual time: least tag of all that run or are ready; never goes back. */
    _Atomic uint64_t vtime;
    /* What runs: its tag when it began, when that was, virtual time for each tick since (0: nothing). */
    _Atomic uint64_t run_tag, run_since, run_tick;
};

static inline bool fair_before(uint64_t a, uint64_t b) { return (int64_t)(a - b) < 0; }
/* Virtual time of so many microseconds at the default weight. */
uint64_t fair_us(uint64_t us);
/* What depends on the timebase, once that is known. */
extern struct fair_clock {
    uint64_t slice, forget; /* ticks */
    uint64_t preempt; /* virtual time */
} fair_clock;
void fair_set_clock(void);

/* What every switch goes through is inline, in fair_turn.h: charging, choosing, inserting, removing. */

void fair_group_init(struct fair_group *g);
void fair_set_weight(struct fair_group *g, unsigned weight);
void fair_set_cap(struct fair_group *g, unsigned percent);
/* For as long as it is lifted the cap holds none of its threads; what they use is taken off later periods. */
void fair_lift_cap(struct fair_group *g, bool lifted);
/* The ticks that a thread of it may run before the cap holds it; UINT64_MAX: no cap. */
uint64_t fair_cap_left(struct fair_group *g, uint64_t now);
/* The cap's part of fair_charge. */
void fair_cap_charge(struct fair_group *g, uint64_t ticks, uint64_t now);

void fair_queue_init(struct fair_queue *q);
/* The queue's virtual time now. Without the lock it may be a little wrong. */
uint64_t fair_vtime(const struct fair_queue *q, uint64_t now);
/* The least tag of all that run or are ready: before the virtual time, when one that slept is there. The same. */
uint64_t fair_least(const struct fair_queue *q, uint64_t now);
/* One more of the group's threads wants to run, one fewer. */
static inline void fair_group_enter(struct fair_group *g)
{
    atomic_fetch_add_explicit(&g->runnable, 1, memory_order_relaxed);
}
static inline void fair_group_leave(struct fair_group *g)
{
    atomic_fetch_sub_explicit(&g->runnable, 1, memory_order_relaxed);
}
/* The tag of a thread that comes to this queue: woken, after sleeping for so many ticks; or moved here
 * from another hart's queue, with what it has had too much or too little of. */
void fair_place_woken(struct fair_queue *q, struct fair_entity *e, uint64_t now, uint64_t slept);
void fair_place_moved(struct fair_queue *q, struct fair_entity *e, uint64_t now);
/* Whether e, just woken, should run at once rather than what runs now: not when it is only a little earlier, or many
 * that sleep and wake by turns would cost more in switches than they run. */
bool fair_preempts(const struct fair_queue *q, const struct fair_entity *e, uint64_t now);
/* Before all that run or are ready here, so that it preempts. What it has had too much until now is forgotten. */
void fair_hurry(struct fair_queue *q, struct fair_entity *e, uint64_t now);
/* When the first of the held ones may go on; UINT64_MAX: none is held. */
uint64_t fair_release_time(const struct fair_queue *q);
/* Moves all tags of a queue: what it lags behind the other harts is forgotten. Not that of what runs. */
void fair_shift(struct fair_queue *q, uint64_t by);
