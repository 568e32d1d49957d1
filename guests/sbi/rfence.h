// SPDX-License-Identifier: BSD-2-Clause
// That fences fence, for RFENCE and its legacy forms.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct fencer {
    bool code; /* FENCE.I, else SFENCE.VMA */
    /* Fences hart id for [start, start + size); checks its own reply. */
    void (*fence)(uint64_t id, uint64_t start, uint64_t size);
};
/* On this hart and on every other one. */
void check_fencer(const struct fencer *f);
