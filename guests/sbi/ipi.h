// SPDX-License-Identifier: BSD-2-Clause
// Who gets an IPI, for IPI and legacy send_ipi.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct sender {
    void (*send)(uint64_t mask, uint64_t base); /* checks its own reply */
    bool bases; /* takes bases other than 0 */
};
void check_senders(const struct sender *s);
