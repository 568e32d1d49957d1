// SPDX-License-Identifier: BSD-2-Clause
// Starts of harts that stop themselves at once, from several harts at a time.
#include "hostile/hostile.h"

void hsm_stop_at_once(void); /* hsm_entry.S */

static void start_all(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        unsigned n = (unsigned)random_below(w, rt_hart_count);

        if (n == 0)
            continue;
        sbi_call(SBI_HSM, 0, harts[n].id, (uint64_t)hsm_stop_at_once, nasty(w), 0, 0);
        if (one_in(w, 4))
            sbi_call(SBI_HSM, 2, harts[n].id, 0, 0, 0, 0);
        if (one_in(w, 8))
            sbi_call(one_in(w, 2) ? SBI_IPI : SBI_RFENCE, 0, 0, ~0ul, 0, 0, 0);
        w->done++;
    }
}

static void start_others(void *arg) { start_all(arg); }

/* Leaves the runtime's loop for good: until hart_run starts this hart again. */
static void stop(void *arg)
{
    (void)arg;
    hart_self()->run = NULL;
    sbi_call(SBI_HSM, 1, 0, 0, 0, 0, 0);
}

/* Hart 1 takes part in it: it must not start itself, which is refused. */
void attack_hsm(struct worker *w)
{
    uint64_t end = rdtime() + usec(10000000);

    for (unsigned i = 2; i < rt_hart_count; i++)
        if (!hart_run(i, stop, NULL) || !hart_wait(i))
            return;
    if (rt_hart_count < 2 || !hart_run(1, start_others, &workers[1]))
        return;
    start_all(w);
    while (!hart_wait(1) && rdtime() < end)
        ;
    for (unsigned i = 2; i < rt_hart_count; i++) /* hart_run looks at it, too */
        while (sbi_call(SBI_HSM, 2, harts[i].id, 0, 0, 0, 0).value != 1 && rdtime() < end)
            ;
}
