// SPDX-License-Identifier: BSD-2-Clause
#include "sched/xcall.h"

#include "sched/hart.h"

struct xcall {
    void (*fn)(void *arg);
    void *arg;
    atomic_uint left; /* harts that have not done it yet */
};

void xcall_run(uint64_t mask, void (*fn)(void *arg), void *arg)
{
    struct hart *self = this_hart();
    struct xcall call = {.fn = fn, .arg = arg};
    uint64_t others = mask & ~BIT(self->index);
    bool me = mask & BIT(self->index);

    atomic_init(&call.left, (unsigned)__builtin_popcountl(others));
    for (uint64_t m = others; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctzl(m);

        atomic_store(&harts[i]->xcall[self->index], &call);
        hart_request(i, HART_REQ_XCALL);
    }
    if (me)
        fn(arg);
    while (atomic_load_explicit(&call.left, memory_order_acquire)) {
        arch_pause();
        hart_answer_xcalls();
    }
}

static void answer_where(struct hart *h, void *pc)
{
    atomic_fetch_and(&h->requests, ~(unsigned long)HART_REQ_WHERE);
    h->where_pc = (uint64_t)pc;
    h->where_sp = (uint64_t)__builtin_frame_address(0);
    atomic_store_explicit(&h->where_done, 1, memory_order_release);
}

void hart_answer_xcalls(void)
{
    struct hart *h = this_hart();
    unsigned long asked = atomic_load_explicit(&h->requests, memory_order_relaxed);

    if (!(asked & (HART_REQ_XCALL | HART_REQ_WHERE)))
        return;
    if (asked & HART_REQ_WHERE)
        answer_where(h, __builtin_return_address(0));
    if (!(asked & HART_REQ_XCALL))
        return;
    /* Cleared before the slots are read: a later caller sets it again, and sends another IPI. */
    atomic_fetch_and(&h->requests, ~(unsigned long)HART_REQ_XCALL);
    for (unsigned i = 0; i < hart_count; i++) {
        struct xcall *call = atomic_exchange(&h->xcall[i], 0);

        if (call) {
            call->fn(call->arg);
            atomic_fetch_sub_explicit(&call->left, 1, memory_order_release);
        }
    }
}
