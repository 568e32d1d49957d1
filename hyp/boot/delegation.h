// SPDX-License-Identifier: BSD-2-Clause
// Whether page faults and guest page faults come to Trapline at once, or to the firmware, which hands them on. medeleg
// cannot be read here; but a fault of each kind costs a multiple where the firmware takes it first. OpenSBI delegates
// guest page faults wherever there is H (lib/sbi/sbi_hart.c, delegate_traps); page faults only on platforms that say so,
// which that of the HiFive Premier P550 did not at first. What it does not delegate it hands on rightly, so all works
// and each of a guest's own page faults costs some 300 instructions. Firmware that does not hand on would stop here with
// a line of its own, as it would at the first instruction of the first guest.
// Lock rank: none. Callers: boot/main.c, once, on the boot hart, when there are frames and features.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct delegation {
    uint64_t breakpoint, page_fault, guest_page_fault; /* instructions, each the least of some */
    uint64_t page_fault_cause, guest_page_fault_cause; /* as they came; UINT64_MAX: no trap */
};
/* False: nothing could be measured (no frames, no instret). */
bool delegation_measure(struct delegation *d);
/* Says in the log what is not as it should be. */
void delegation_tell(const struct delegation *d);
