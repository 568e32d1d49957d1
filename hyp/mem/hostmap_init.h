// SPDX-License-Identifier: BSD-2-Clause
// Making and switching on the hypervisor's own page tables, on each hart. Callers: boot, the
// hypervisor's trap handler.
#pragma once
#include <stdbool.h>

#include "base/addr.h"

struct hostmap_bank {
    uint64_t base, size;
};

/* Builds the tables from the banks of RAM and the image's physical address, and switches to them. */
int hostmap_init(const struct hostmap_bank *bank, unsigned banks, uint64_t image) MUST_CHECK;
uint64_t hostmap_satp(void);
void hostmap_activate(void);
/* Whether a fault at va is only this hart's stale view of a mapping that is there now. */
bool hostmap_spurious(uint64_t va);
