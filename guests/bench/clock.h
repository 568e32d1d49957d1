// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* Exits by the clock; see clock.c. */
void measure_clock(void);
