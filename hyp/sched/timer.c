// SPDX-License-Identifier: BSD-2-Clause
#include "sched/timer.h"

#include "sched/timer_hart.h"

#define SBI_EXT_TIME_ 0x54494D45

uint64_t timer_hz = 10000000;
bool timer_sstc;

/* How far "never" is. QEMU with -icount sleep=off goes to the next timer at once when all harts wait: with none but one at
 * the end of time, while a disk works, its clock ends there, and nothing runs any more. */
enum { FAR_SECONDS = 10 };

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    list_init(&t->node);
    t->fn = fn;
    t->queued = false;
}

void timer_program(struct hart *h, uint64_t when)
{
    h->timer_armed = when;
    if (when == UINT64_MAX)
        when = arch_time() + FAR_SECONDS * timer_hz;
    if (timer_sstc)
        csr_write(CSR_STIMECMP, when);
    else
        arch_sbi(SBI_EXT_TIME_, 0, when, 0, 0, 0, 0, 0);
}

void timer_set(struct timer *t, uint64_t when)
{
    struct hart *h = this_hart();
    struct list *at;

    timer_cancel(t);
    spin_lock(&h->timer_lock);
    t->when = when;
    t->hart = h->index;
    t->queued = true;
    for (at = h->timers.next; at != &h->timers; at = at->next)
        if (CONTAINER_OF(at, struct timer, node)->when > when)
            break;
    list_insert_before(at, &t->node);
    spin_unlock(&h->timer_lock);
    timer_arm(h);
}

void timer_cancel(struct timer *t)
{
    struct hart *h;

    if (!t->queued)
        return;
    h = harts[t->hart];
    spin_lock(&h->timer_lock);
    if (t->queued) {
        list_remove(&t->node);
        t->queued = false;
    }
    spin_unlock(&h->timer_lock);
}

void timer_cancel_wait(struct timer *t)
{
    struct hart *h = harts[t->hart];

    spin_lock(&h->timer_lock);
    if (t->queued) {
        list_remove(&t->node);
        t->queued = false;
    }
    spin_unlock(&h->timer_lock);
    while (h != this_hart() && atomic_load(&h->timer_running) == t)
        arch_pause();
}

void timer_run(struct hart *h)
{
    uint64_t now = arch_time();

    for (;;) {
        struct timer *t = 0;

        spin_lock(&h->timer_lock);
        if (!list_empty(&h->timers)) {
            t = CONTAINER_OF(h->timers.next, struct timer, node);
            if (t->when > now) {
                t = 0;
            } else {
                list_remove(&t->node);
                t->queued = false;
            }
        }
        atomic_store_explicit(&h->timer_running, t, memory_order_release);
        spin_unlock(&h->timer_lock);
        if (!t)
            break;
        t->fn(t);
    }
    if (h->slice_end <= now) {
        h->slice_end = UINT64_MAX;
        h->slice_over = h->resched = true;
    }
    h->timer_armed = 0; /* it has fired: program again in any case */
    timer_arm(h);
}
