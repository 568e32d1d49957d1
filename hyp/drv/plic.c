// SPDX-License-Identifier: BSD-2-Clause
// The host's PLIC (RISC-V PLIC specification 1.0): all external interrupts go to the boot hart, at one
// priority. Handlers are called with no lock held.
#include <errno.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "drv/drv.h"
#include "mem/hostmap.h"
#include "sched/hart.h"

enum {
    ENABLE = 0x2000,
    ENABLE_SIZE = 0x80,
    CONTEXT = 0x200000,
    CONTEXT_SIZE = 0x1000,
    CLAIM = 4,
    SOURCES_MAX = 1023,
    HANDLERS = 24,
    BATCH = 64, /* claims in one call: the rest pends, and comes with the next */
};

static volatile char *priority, *enable, *context; /* of the boot hart's S-mode */
static struct spinlock lock = SPINLOCK_INIT(LOCK_BACKEND);
static struct {
    uint32_t irq;
    void (*fn)(void *arg);
    void *arg;
} handler[HANDLERS];
static unsigned handlers;
static uint32_t sources;

static uint32_t boot_context(const struct platform *p)
{
    for (unsigned i = 0; i < p->hart_count; i++)
        if (p->hart[i].hartid == harts[0]->hartid)
            return p->hart[i].plic_context;
    return UINT32_MAX;
}

/* 0; -ENODEV: no PLIC, or none that reaches the boot hart; -ENOMEM. Called on the boot hart. */
int plic_init(const struct platform *p)
{
    uint64_t base = p->plic.regs.base, n = boot_context(p);
    if (p->plic.regs.size == 0 || n == UINT32_MAX ||
        !range_ok(CONTEXT + n * CONTEXT_SIZE, CONTEXT_SIZE, p->plic.regs.size))
        return -ENODEV;

    /* The window is up to 64 MiB: only what is used of it is mapped. */
    sources = (uint32_t)min_u64(p->plic.sources, SOURCES_MAX);
    priority = hostmap_device(pa(base), ENABLE / 2);
    enable = hostmap_device(pa(base + ENABLE + n * ENABLE_SIZE), ENABLE_SIZE);
    context = hostmap_device(pa(base + CONTEXT + n * CONTEXT_SIZE), CONTEXT_SIZE);
    if (!priority || !enable || !context) {
        context = NULL;
        return -ENOMEM;
    }
    for (unsigned i = 0; i <= sources / 32; i++)
        mmio_write32(enable + 4 * i, 0);
    mmio_write32(context, 0); /* threshold */
    return 0;
}

/* 0; -ENODEV: no PLIC; -EINVAL: it has no such source; -ENOSPC; -EEXIST. */
int plic_register(uint32_t irq, void (*fn)(void *arg), void *arg)
{
    int error = 0;
    if (!context)
        return -ENODEV;
    if (irq == 0 || irq > sources)
        return -EINVAL;

    spin_lock(&lock);
    for (unsigned i = 0; i < handlers; i++)
        if (handler[i].irq == irq)
            error = -EEXIST;
    if (!error && handlers == HANDLERS)
        error = -ENOSPC;
    if (!error) {
        handler[handlers].irq = irq;
        handler[handlers].fn = fn;
        handler[handlers].arg = arg;
        __atomic_store_n(&handlers, handlers + 1, __ATOMIC_RELEASE);
        mmio_write32(priority + 4 * irq, 1);
        volatile char *word = enable + 4 * (irq / 32);
        mmio_write32(word, mmio_read32(word) | 1u << irq % 32);
    }
    spin_unlock(&lock);
    return error;
}

/* Other harts have nothing enabled; their input is masked, so that what firmware left cannot keep them busy. */
void plic_hart_init(void)
{
    if (hart_index() == 0 && context)
        csr_set(CSR_SIE, BIT(IRQ_SEI));
    else
        csr_clear(CSR_SIE, BIT(IRQ_SEI));
}

static void dispatch(uint32_t irq)
{
    static struct log_limit limit;
    unsigned n = __atomic_load_n(&handlers, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < n; i++) {
        if (handler[i].irq == irq) {
            handler[i].fn(handler[i].arg);
            return;
        }
    }
    if (log_ratelimit(&limit))
        log_warn("PLIC: interrupt %u has no handler", irq);
}

void plic_handle(void)
{
    if (hart_index() != 0 || !context)
        return;
    for (unsigned i = 0; i < BATCH; i++) {
        uint32_t irq = mmio_read32(context + CLAIM);
        if (irq == 0)
            return;
        dispatch(irq);
        mmio_write32(context + CLAIM, irq);
    }
}
