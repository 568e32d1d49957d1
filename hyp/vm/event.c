// SPDX-License-Identifier: BSD-2-Clause
#include "vm/event.h"

#include "base/log.h"
#include "base/spinlock.h"
#include "sched/timer.h"

enum { EVENTS = 32 };

static struct spinlock lock = SPINLOCK_INIT(LOCK_VM);
static struct vm_event ring[EVENTS];
static uint64_t written; /* ever */
static void (*watcher)(void);

void vm_event(const struct vm *vm, enum vm_event_kind kind, bool by_guest)
{
    struct vm_event *e;

    spin_lock(&lock);
    e = &ring[written++ % EVENTS];
    e->kind = kind;
    e->by_guest = by_guest;
    e->time = arch_time();
    fmt_snprintf(e->vm, sizeof(e->vm), "%s", vm->config.name);
    fmt_snprintf(e->reason, sizeof(e->reason), "%s", vm->end_reason);
    spin_unlock(&lock);
    if (watcher)
        watcher();
}

bool vm_event_next(uint64_t *at, struct vm_event *e, uint64_t *missed)
{
    bool found;

    spin_lock(&lock);
    *missed = written - *at > EVENTS ? written - *at - EVENTS : 0;
    *at += *missed;
    found = *at < written;
    if (found)
        *e = ring[(*at)++ % EVENTS];
    spin_unlock(&lock);
    return found;
}

void vm_event_watch(void (*wake)(void)) { watcher = wake; }
