// SPDX-License-Identifier: BSD-2-Clause
// Ranked spinlocks. A hart may only take a lock of a higher rank than all it holds, gives back only what it
// holds, and switches threads with none held: all builds check it, since it costs a few instructions (but spin_leaf.h); a broken
// rule is a panic that names the locks and where they were taken. The ranks are the design's order, outermost first.
// A hart that spins goes on answering cross-hart requests, so a flush can be waited for by a lock's holder.
// The hypervisor never takes interrupts in HS-mode, so no lock needs them disabled.
// Callers: everybody above base.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
    LOCK_VM = 1, /* VM lifecycle, VM list */
    LOCK_CTL, /* shell, console multiplexer sessions */
    LOCK_DEVICE, /* one virtual device */
    LOCK_PORT, /* what frames for a network card meet: its receive queue, interrupt, filters */
    LOCK_SWITCH, /* one virtual switch: its ports and addresses */
    LOCK_BACKEND, /* host drivers and backends below devices */
    LOCK_IRQCHIP,
    LOCK_STAGE2,
    LOCK_VMID,
    LOCK_FRAME,
    LOCK_RUNQUEUE,
    LOCK_SCHED_GROUP, /* what the cap of a VM has used up */
    LOCK_LOG,
    LOCK_TERMINAL, /* consoles and the host's terminal: log lines and guests' output end there */
};

struct spinlock {
    atomic_uint next, serving; /* a ticket lock: fair among harts */
    uint8_t rank;
};

#define SPINLOCK_INIT(r) {.rank = (r)}

static inline void spin_init(struct spinlock *l, enum lock_rank r)
{
    atomic_init(&l->next, 0);
    atomic_init(&l->serving, 0);
    l->rank = (uint8_t)r;
}
void spin_lock(struct spinlock *l);
void spin_wait(struct spinlock *l, unsigned ticket); /* until it is that ticket's turn */
void spin_unlock(struct spinlock *l);
bool spin_held(const struct spinlock *l); /* held by anyone: for checks only */
const char *spin_rank_name(unsigned rank); /* for people */
/* Panics when this hart holds any: before it waits or switches threads. what: that, for people. */
void spin_none_held(const char *what);
