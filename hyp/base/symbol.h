// SPDX-License-Identifier: BSD-2-Clause
// Names of the hypervisor's own functions, for reports: the table is made from the image itself (boot/symbols.awk).
// Lock rank: none, constant. Callers: everyone.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* "name+0x12" of a text address, "?" of any other; in buf, or constant. */
const char *symbol_at(uint64_t address, char *buf, unsigned size);
/* Whether the address lies in the hypervisor's text. */
bool symbol_is_text(uint64_t address);
