// SPDX-License-Identifier: BSD-2-Clause
// A controller of the host's interrupts, as host_irq.c drives it. One is there at most; all interrupts of devices go to
// the boot hart, at one priority.
// Invariants: an interrupt is a number of the tree's, with PLATFORM_IRQ_TYPE; claim() and complete() have the bare number.
// Lock rank: none of its own. Callers: host_irq.c, which calls enable() under its lock, the others on the boot hart.
#pragma once
#include "drv/drv.h"

struct irqchip {
    const char *name;
    /* 0; -EINVAL: no such source, or it cannot be given to us. */
    int (*enable)(uint32_t irq);
    uint32_t (*claim)(void); /* 0: no more */
    void (*complete)(uint32_t number);
};

/* NULL: there is none, or none that reaches the boot hart, on which these are called. */
const struct irqchip *plic_probe(const struct platform *p);
const struct irqchip *aplic_probe(const struct platform *p);
/* The place that the boot hart has for a controller (struct platform_hart), or UINT32_MAX. */
uint32_t host_irq_boot_context(const struct platform *p);
