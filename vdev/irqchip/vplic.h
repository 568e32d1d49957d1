// SPDX-License-Identifier: BSD-2-Clause
// The virtual PLIC: RISC-V Platform-Level Interrupt Controller specification 1.0.0, one S-mode context a vCPU
// (context n belongs to vCPU n). Sources 1..VPLIC_SOURCES, level triggered; edges latch.
// Only this folder may touch vCPU interrupt state; it does so through one callback.
// Lock rank: LOCK_IRQCHIP. Callers: devices through irq_line, the bus, hyp/vm.
#pragma once
#include "vdev/dev.h"

enum { VPLIC_SOURCES = 63, VPLIC_MAX_CONTEXTS = 64, VPLIC_SIZE = 0x4000000 };

/* set_external(owner, context, level): the context's interrupt output changed. */
struct vdev *vplic_create(unsigned contexts,
                          void (*set_external)(void *owner, unsigned context, bool level),
                          void *owner);
struct irq_line vplic_line(struct vdev *plic, uint32_t source);
