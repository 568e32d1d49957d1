// SPDX-License-Identifier: BSD-2-Clause
// Offsets into struct hart that assembly uses; sched/hart.c checks them.
#pragma once
#define HART_RESCHED 4
#define HART_VCPU 8
#define HART_FAULT_FRAME 16
#define HART_FAULT_STACK 24
#define HART_SCRATCH 32
