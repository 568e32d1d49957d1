// SPDX-License-Identifier: BSD-2-Clause
#include "fake_timer.h"

#include <stddef.h>

#include "base/arch.h"

struct timer *fake_timer;

void timer_init(struct timer *t, void (*fn)(struct timer *t)) { *t = (struct timer){.fn = fn}; }

void timer_set(struct timer *t, uint64_t when)
{
    t->when = when;
    fake_timer = t;
}

void timer_cancel_wait(struct timer *t)
{
    if (fake_timer == t)
        fake_timer = NULL;
}

void fake_timer_run(void)
{
    struct timer *t = fake_timer;

    if (!t || arch_time() < t->when)
        return;
    fake_timer = NULL;
    t->fn(t);
}
