// SPDX-License-Identifier: BSD-2-Clause
// Ticket locks with rank checking: a few instructions, so always on. Here and not in base, since a
// hart that spins answers the others.
#include "base/spinlock.h"

#include "base/log.h"
#include "base/panic.h"
#include "base/symbol.h"
#include "sched/hart.h"

enum { LOCK_TEXT = 128, LOOK_AT_CLOCK = 4096 }; /* rounds of a spin */

const char *spin_rank_name(unsigned rank)
{
    static const char *const names[] = {
        [LOCK_VM] = "VM",           [LOCK_CTL] = "shell",          [LOCK_DEVICE] = "device",
        [LOCK_PORT] = "port",       [LOCK_SWITCH] = "switch",      [LOCK_BACKEND] = "backend",
        [LOCK_IRQCHIP] = "irqchip", [LOCK_STAGE2] = "stage-2",     [LOCK_VMID] = "VMID",
        [LOCK_FRAME] = "frame",     [LOCK_RUNQUEUE] = "run-queue", [LOCK_SCHED_GROUP] = "cap",
        [LOCK_LOG] = "log",         [LOCK_TERMINAL] = "terminal",
    };

    return rank < ARRAY_LEN(names) && names[rank] ? names[rank] : "unranked";
}

static const char *describe(char to[LOCK_TEXT], const struct spinlock *l, const void *taken_at)
{
    char place[64];

    fmt_snprintf(to, LOCK_TEXT, "the %s lock at %p (rank %u, by %s)", spin_rank_name(l->rank),
                 (const void *)l, l->rank, symbol_at((uint64_t)taken_at, place, sizeof(place)));
    return to;
}

/* Out of line, so that the good way stays short. */
static NORETURN void refuse(const char *what, const struct spinlock *l, const void *at)
    __attribute__((noinline, cold));
static NORETURN void refuse(const char *what, const struct spinlock *l, const void *at)
{
    const struct hart *h = this_hart();
    const struct held_lock *top = h->lock_depth ? &h->held[h->lock_depth - 1] : 0;
    char mine[LOCK_TEXT], held[LOCK_TEXT];

    panic("%s: %s, while holding %s%s", what, describe(mine, l, at),
          top ? describe(held, top->lock, top->taken_at) : "none",
          h->lock_depth > 1 ? " and others" : "");
}

/* Has spun for a while, since then (0: this is the first look); the new since. */
static uint64_t check_clock(uint64_t since)
{
    uint64_t now = arch_time();

    if (!since || !hart_spin_limit || now - since < hart_spin_limit)
        return since ? since : now;
    hart_spins_too_long();
    return now;
}

void spin_wait(struct spinlock *l, unsigned ticket)
{
    struct hart *h = this_hart();
    const struct spinlock *outer = atomic_load_explicit(&h->wanted, memory_order_relaxed);
    uint64_t since = 0;

    atomic_store_explicit(&h->wanted, l, memory_order_relaxed);
    for (unsigned round = 1; atomic_load_explicit(&l->serving, memory_order_acquire) != ticket;
         round++) {
        arch_pause();
        hart_answer_xcalls(); /* may itself wait for a lock */
        if (round % LOOK_AT_CLOCK == 0)
            since = check_clock(since);
    }
    atomic_store_explicit(&h->wanted, outer, memory_order_relaxed);
}

void spin_lock(struct spinlock *l)
{
    const void *at = __builtin_return_address(0);
    struct hart *h = this_hart();
    unsigned depth = h->lock_depth, ticket;

    if (depth >= HART_LOCKS_MAX)
        refuse("too many locks", l, at);
    if (depth && h->held[depth - 1].lock->rank >= l->rank)
        refuse("lock out of rank", l, at);
    h->held[depth] = (struct held_lock){l, at};
    h->lock_depth = depth + 1;
    ticket = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
    if (atomic_load_explicit(&l->serving, memory_order_acquire) != ticket)
        spin_wait(l, ticket);
}

void spin_unlock(struct spinlock *l)
{
    struct hart *h = this_hart();
    unsigned i = h->lock_depth;

    do
        if (!i--)
            refuse("unlock of what this hart does not hold", l, __builtin_return_address(0));
    while (h->held[i].lock != l);
    h->lock_depth--;
    for (; i < h->lock_depth; i++) /* mostly none: it was the last one taken */
        h->held[i] = h->held[i + 1];
    atomic_store_explicit(&l->serving, atomic_load_explicit(&l->serving, memory_order_relaxed) + 1,
                          memory_order_release);
}

bool spin_held(const struct spinlock *l)
{
    return atomic_load(&l->next) != atomic_load(&l->serving);
}

static NORETURN __attribute__((noinline, cold)) void refuse_wait(const char *what)
{
    const struct hart *h = this_hart();
    const struct held_lock *top = &h->held[h->lock_depth - 1];
    char held[LOCK_TEXT];

    panic("%s with a lock held: %s", what, describe(held, top->lock, top->taken_at));
}

void spin_none_held(const char *what)
{
    if (this_hart()->lock_depth)
        refuse_wait(what);
}
