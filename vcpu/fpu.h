// SPDX-License-Identifier: BSD-2-Clause
// The floating-point registers, which the hypervisor itself never uses.
// Lock rank: none. Callers: load.c.
#pragma once
#include <stdint.h>

void fpu_load(const uint64_t fpr[32], uint32_t fcsr);
void fpu_save(uint64_t fpr[32]);
