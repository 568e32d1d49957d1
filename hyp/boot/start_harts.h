// SPDX-License-Identifier: BSD-2-Clause
// Starting the other harts by SBI HSM, each with its own struct hart, idle thread and stacks.
// Lock rank: none. Callers: main.c.
#pragma once
#include "boot/platform.h"
#include "sched/thread.h"

/* The boot hart's own data: tp points at it from entry.S on. */
extern struct hart boot_hart_data;
/* Where the image lies: its link address minus this is the distance. */
extern uint64_t image_pa;
/* A page for a hart's emergency stack and fault frame. */
void start_hart_faults(struct hart *h, char *page);
/* What every hart sets for itself once it runs on the final page tables. */
void start_hart_local(void);
/* Starts all usable harts but this one. Those that fail are named in the log, and left out. */
void start_other_harts(const struct platform *p);
