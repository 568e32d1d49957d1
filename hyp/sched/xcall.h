// SPDX-License-Identifier: BSD-2-Clause
// Cross-hart calls: run a short function on a set of harts and wait. Used for TLB flushes.
// A hart that waits, idles, runs a guest (it takes the IPI) or spins for a lock answers.
// Lock rank: must not be called with LOCK_STAGE2 or any later lock held. Callers: sched, stage2, vcpu.
#pragma once
#include <stdint.h>

/* Runs fn(arg) on every hart in the mask (bit n: logical hart n; this one too when set). fn must
 * not take locks or block. */
void xcall_run(uint64_t harts, void (*fn)(void *arg), void *arg);
