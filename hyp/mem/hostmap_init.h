// SPDX-License-Identifier: BSD-2-Clause
// Making and switching on the hypervisor's own page tables, on each hart.
// Lock rank: none: before other harts run. Callers: boot.
#pragma once
#include "base/addr.h"

struct hostmap_bank {
    uint64_t base, size;
};

/* Builds the tables from the banks of RAM and the image's physical address, and switches this hart to them. 0 or -ENOMEM. */
int hostmap_init(const struct hostmap_bank *bank, unsigned banks, uint64_t image) MUST_CHECK;
uint64_t hostmap_satp(void); /* for the other harts */
