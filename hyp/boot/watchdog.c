// SPDX-License-Identifier: BSD-2-Clause
#include "boot/watchdog.h"

#include "base/log.h"
#include "base/symbol.h"
#include "boot/loud.h"
#include "boot/where.h"
#include "sched/timer.h"
#include "vcpu/exit.h"

enum { TICKS = 5 }; /* without a beat make a stuck hart: seconds / TICKS apart */

/* One for each hart. */
struct watch {
    struct timer timer;
    atomic_uint beat; /* by the hart itself */
    atomic_uint stuck; /* reported: by the one that looked */
    unsigned stuck_beat;
    uint64_t stuck_at;
    /* Whom this hart looks at, and what it saw of it. */
    unsigned target, seen_beat, missed;
};

static struct watch watch[HART_MAX];
static uint64_t period; /* host time */
static unsigned limit;  /* seconds */
static bool use_sse;
static atomic_bool looking;

static bool has_vcpu_exit(const struct hart *h, const struct vcpu **v)
{
    *v = h->vcpu;
    return *v && (*v)->guest;
}

static void say_vcpu(const struct hart *h)
{
    const struct vcpu *v;

    if (!has_vcpu_exit(h, &v))
        return;
    loud_print("vCPU %u of %s; its last slow exit: %s (stval %lx, htval %lx) at guest pc %lx\r\n",
               v->index, v->guest->name,
               exit_cause_name((unsigned)(v->exit.cause & 31) | (v->exit.cause >> 63 ? 32 : 0)),
               v->exit.tval, v->exit.htval, v->pc);
}

/* Who has the lock that it spins for; the last one of its own list may be the one that it waits for. */
static void say_holder(const struct spinlock *wanted)
{
    char place[80];

    for (unsigned i = 0; i < hart_count; i++) {
        const struct hart *h = harts[i];

        for (unsigned n = 0; n < h->lock_depth && n < HART_LOCKS_MAX; n++)
            if (h->held[n].lock == wanted && atomic_load(&h->wanted) != wanted)
                loud_print("  held by hart %lu (thread %s), taken by %s\r\n", h->hartid,
                           h->current->name,
                           symbol_at((uint64_t)h->held[n].taken_at, place, sizeof(place)));
    }
}

static void say_locks(const struct hart *h)
{
    const struct spinlock *wanted = atomic_load(&h->wanted);
    char place[80];

    for (unsigned n = 0; n < h->lock_depth && n < HART_LOCKS_MAX; n++) {
        const struct held_lock *held = &h->held[n];

        loud_print("%s the %s lock at %p, by %s\r\n", held->lock == wanted ? "waits for" : "holds",
                   spin_rank_name(held->lock->rank), (const void *)held->lock,
                   symbol_at((uint64_t)held->taken_at, place, sizeof(place)));
        if (held->lock == wanted)
            say_holder(wanted);
    }
}

static void say_where(const struct hart *h)
{
    struct where at;
    char place[80];

    switch (where_ask(h->index, &at)) {
    case WHERE_NOWHERE:
        loud_print("it does not answer, and the firmware %s\r\n",
                   where_has_sse() ? "cannot interrupt it: it is in the firmware, or dead"
                   : use_sse       ? "has no SSE to interrupt it by"
                                   : "was not to interrupt it (nosse)");
        return;
    case WHERE_ANSWERED:
        loud_print("it spins, and answers from there\r\n");
        break;
    case WHERE_INTERRUPTED:
        loud_print("interrupted by the firmware (SSE)\r\n");
        break;
    }
    loud_print("pc %016lx %s\r\n", at.pc, symbol_at(at.pc, place, sizeof(place)));
    loud_print("ra %016lx %s\r\n", at.ra, symbol_at(at.ra, place, sizeof(place)));
    loud_backtrace(h->current, at.sp);
}

static void report(const struct hart *h)
{
    loud_print("\r\nWATCHDOG: hart %lu is stuck in the hypervisor, for more than %u s\r\n",
               h->hartid, limit);
    loud_print("thread %s\r\n", h->current->name);
    say_vcpu(h);
    say_locks(h);
    say_where(h);
    atomic_fetch_add(&hart_stuck_reports, 1);
}

static void mark_stuck(unsigned i, unsigned beat)
{
    struct watch *w = &watch[i];

    /* Whoever finds it first; its own report, of spinning, may come from itself at the same time. */
    w->stuck_beat = beat;
    w->stuck_at = arch_time();
    if (!atomic_exchange(&w->stuck, true))
        report(harts[i]);
}

/* A hart that was stuck and is not. */
static void check_recovery(unsigned i)
{
    struct watch *w = &watch[i];
    unsigned yes = true;

    if (atomic_load(&w->beat) != w->stuck_beat &&
        atomic_compare_exchange_strong(&w->stuck, &yes, 0))
        log_warn("watchdog: hart %lu goes on, %lu ms after it was reported", harts[i]->hartid,
                 (arch_time() - w->stuck_at) / (timer_hz / 1000));
}

/* The next hart that is not known to be stuck already; own index: there is none. */
static unsigned next_target(unsigned me)
{
    unsigned i = me;

    do {
        i = (i + 1) % hart_count;
        if (i != me && atomic_load(&watch[i].stuck))
            check_recovery(i);
    } while (i != me && (atomic_load(&watch[i].stuck) || !watch[i].timer.fn));
    return i;
}

static void look(unsigned me)
{
    struct watch *w = &watch[me];
    unsigned target = next_target(me), beat = atomic_load(&watch[target].beat);

    if (target == me)
        return;
    if (target != w->target || beat != w->seen_beat) {
        w->target = target;
        w->seen_beat = beat;
        w->missed = 0;
    } else if (!atomic_load(&looking)) {
        w->missed = 0;
    } else if (++w->missed == TICKS) {
        mark_stuck(target, beat);
    }
}

static void tick(struct timer *t)
{
    unsigned me = hart_index();

    atomic_fetch_add(&watch[me].beat, 1);
    timer_set(t, arch_time() + period);
    look(me);
}

/* From the loop of a spinlock. */
static void spins_too_long(void)
{
    mark_stuck(hart_index(), atomic_load(&watch[hart_index()].beat));
}

void watchdog_init(unsigned seconds, bool sse)
{
    limit = seconds;
    use_sse = sse;
    period = timer_us(seconds * 1000000ul / TICKS);
    if (!seconds)
        return;
    hart_spin_limit = seconds * timer_hz;
    hart_spins_too_long = spins_too_long;
}

void watchdog_hart_start(void)
{
    struct watch *w = &watch[hart_index()];

    /* The boot hart is the last to come here: if it is alone, there is nobody to look at it. */
    if (!period || (hart_count == 1 && hart_index() == 0))
        return;
    if (use_sse)
        where_hart_init();
    timer_init(&w->timer, tick);
    timer_set(&w->timer, arch_time() + period);
}

void watchdog_look(bool on) { atomic_store(&looking, on); }
