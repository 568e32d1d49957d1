// SPDX-License-Identifier: BSD-2-Clause
// The watchdog: finds harts that are stuck in the hypervisor, and says where, on the host's terminal. Nothing is
// stopped: VMs on other harts go on, and so does the hart if it can.
//
// Each hart has a timer that stamps a beat, in a guest, in idle and wherever the hypervisor polls; a hart
// that does none of these has no beat. The timer also looks at the next hart's beat (round the ring, past those that
// are stuck). A hart that spins for a lock for so long says so itself, so that two harts that wait for each other are
// seen even when there is no third. No path of a guest's pays for it: a timer interrupt every few seconds is all.
//
// Where a stuck hart is: it is asked, and answers when it spins or waits for other harts. Else the firmware interrupts
// it with a supervisor software event (SBI SSE, OpenSBI 1.5 and later), which reaches it wherever it loops.
// What cannot be seen: a hart that loops on a machine with one hart, and a hart that is stuck in the firmware.
// Lock rank: none held; takes LOCK_RUNQUEUE. Callers: boot.
#pragma once
#include <stdbool.h>

/* seconds: how long is too long; 0: no watchdog. sse: let the firmware interrupt stuck harts, which makes every
 * trap that it takes itself some 56 instructions longer (OpenSBI 1.6). Boot hart, before the others. */
void watchdog_init(unsigned seconds, bool sse);
/* On each hart, before it goes idle for the first time. */
void watchdog_hart_start(void);
/* Whether harts look at each other: not while VMs are made at boot, when checking a big bundle may take long. */
void watchdog_look(bool on);
