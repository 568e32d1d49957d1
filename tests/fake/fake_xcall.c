// SPDX-License-Identifier: BSD-2-Clause
// The fake of hyp/sched/xcall.h: runs the function as each hart of the mask in turn.
#include "fake_xcall.h"

#include "base/arch.h"
#include "base/panic.h"
#include "base/spinlock.h"
#include "sched/xcall.h"

unsigned fake_xcalls;
uint64_t fake_xcall_harts;
void (*fake_xcall_hook)(void);
unsigned fake_highest_lock(void);

__attribute__((weak)) void xcall_run(uint64_t harts, void (*fn)(void *arg), void *arg)
{
    unsigned self = fake_hart;

    if (fake_highest_lock() >= LOCK_STAGE2)
        panic("xcall_run with lock rank %u held", fake_highest_lock());
    fake_xcalls++;
    fake_xcall_harts |= harts;
    for (unsigned i = 0; i < 64; i++) {
        if (harts >> i & 1) {
            fake_hart = i;
            fn(arg);
        }
    }
    fake_hart = self;
    if (fake_xcall_hook)
        fake_xcall_hook();
}
