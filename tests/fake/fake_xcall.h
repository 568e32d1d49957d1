// SPDX-License-Identifier: BSD-2-Clause
// What a test may see of, and do in, the fake of sched/xcall.h.
#pragma once
#include <stdint.h>

extern unsigned fake_xcalls;          /* calls so far */
extern uint64_t fake_xcall_harts;     /* all masks so far, together */
extern void (*fake_xcall_hook)(
    void); /* at the end of each call: what another hart does meanwhile */
