// SPDX-License-Identifier: BSD-2-Clause
// Output, as much as goes.
#include "hostile/hostile.h"

void attack_console(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        switch (random_below(w, 64)) {
        case 0:
            sbi_call(SBI_DBCN, 0, random_below(w, one_in(w, 4) ? 1ul << 32 : 256), arena, 0, 0, 0);
            break;
        case 1:
            sbi_call(SBI_DBCN, 2, '.', 0, 0, 0, 0);
            break;
        case 2:
            sbi_call(1, 0, '\n', 0, 0, 0, 0);
            break;
        default: /* escape sequences and control characters too */
            *(volatile uint8_t *)(UART + 3) = 3; /* no divisor latch */
            *(volatile uint8_t *)(UART + 4) = 0;
            *(volatile uint8_t *)UART = (uint8_t)(one_in(w, 64) ? random_below(w, 32) : '#');
        }
        w->done++;
    }
}
