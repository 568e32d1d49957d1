// SPDX-License-Identifier: BSD-2-Clause
// Where another hart is, in the hypervisor: asked for, or taken from it by the firmware (SBI SSE: SBI 3.0,
// "Supervisor Software Events Extension"; the local software event, which nothing else here uses).
// Lock rank: none taken; any may be held. Callers: boot/watchdog.c, main.c.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct where {
    uint64_t pc, ra, sp;
};

enum where_how { WHERE_NOWHERE, WHERE_ANSWERED, WHERE_INTERRUPTED };

/* On each hart, once. */
void where_hart_init(void);
/* Before the machine is powered off, from a thread, no locks held: OpenSBI has a line for events that are enabled still. */
void where_end(void);
/* Whether the firmware can interrupt harts. */
bool where_has_sse(void);
/* Waits some tens of milliseconds for the hart; one at a time asks. Of this hart itself: its caller. */
enum where_how where_ask(unsigned index, struct where *at);
