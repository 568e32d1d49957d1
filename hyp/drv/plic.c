// SPDX-License-Identifier: BSD-2-Clause
// The host's PLIC (RISC-V PLIC specification 1.0).
#include <errno.h>

#include "base/arch.h"
#include "drv/irqchip.h"
#include "mem/hostmap.h"

enum {
    ENABLE = 0x2000,
    ENABLE_SIZE = 0x80,
    CONTEXT = 0x200000,
    CONTEXT_SIZE = 0x1000,
    CLAIM = 4,
    SOURCES_MAX = 1023,
};

static volatile char *priority, *enable, *context; /* of the boot hart's S-mode */
static uint32_t sources;

static int plic_enable(uint32_t irq)
{
    if (irq == 0 || irq > sources)
        return -EINVAL;
    volatile char *word = enable + 4 * (irq / 32);
    mmio_write32(priority + 4 * irq, 1);
    mmio_write32(word, mmio_read32(word) | 1u << irq % 32);
    return 0;
}

static uint32_t plic_claim(void) { return mmio_read32(context + CLAIM); }

static void plic_complete(uint32_t number) { mmio_write32(context + CLAIM, number); }

static const struct irqchip plic = {
    .name = "PLIC",
    .enable = plic_enable,
    .claim = plic_claim,
    .complete = plic_complete,
};

const struct irqchip *plic_probe(const struct platform *p)
{
    uint64_t base = p->plic.regs.base, n = host_irq_boot_context(p);

    if (p->plic.regs.size == 0 || n == UINT32_MAX ||
        !range_ok(CONTEXT + n * CONTEXT_SIZE, CONTEXT_SIZE, p->plic.regs.size))
        return NULL;
    /* The window is up to 64 MiB: only what is used of it is mapped. */
    sources = (uint32_t)min_u64(p->plic.sources, SOURCES_MAX);
    priority = hostmap_device(pa(base), ENABLE / 2);
    enable = hostmap_device(pa(base + ENABLE + n * ENABLE_SIZE), ENABLE_SIZE);
    context = hostmap_device(pa(base + CONTEXT + n * CONTEXT_SIZE), CONTEXT_SIZE);
    if (!priority || !enable || !context)
        return NULL;
    for (unsigned i = 0; i <= sources / 32; i++)
        mmio_write32(enable + 4 * i, 0);
    mmio_write32(context, 0); /* threshold */
    return &plic;
}
