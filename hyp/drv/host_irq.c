// SPDX-License-Identifier: BSD-2-Clause
// Interrupts of the host's devices: who handles which, whatever controller there is. Handlers are called on the boot hart,
// with no lock held.
#include <errno.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "drv/irqchip.h"
#include "sched/hart.h"

enum {
    HANDLERS = 24,
    BATCH = 64, /* claims in one call: the rest pends, and comes with the next */
};

static const struct irqchip *chip;
static struct spinlock lock = SPINLOCK_INIT(LOCK_BACKEND);
static struct {
    uint32_t number;
    void (*fn)(void *arg);
    void *arg;
} handler[HANDLERS];
static unsigned handlers;

uint32_t host_irq_boot_context(const struct platform *p)
{
    for (unsigned i = 0; i < p->hart_count; i++)
        if (p->hart[i].hartid == harts[0]->hartid)
            return p->hart[i].irq_context;
    return UINT32_MAX;
}

int host_irq_init(const struct platform *p)
{
    chip = plic_probe(p);
    if (!chip)
        chip = aplic_probe(p);
    return chip ? 0 : -ENODEV;
}

const char *host_irq_name(void) { return chip ? chip->name : "none"; }

static int add_handler(uint32_t irq, void (*fn)(void *arg), void *arg)
{
    uint32_t number = irq & PLATFORM_IRQ_NUMBER;
    int error;

    for (unsigned i = 0; i < handlers; i++)
        if (handler[i].number == number)
            return -EEXIST;
    if (handlers == HANDLERS)
        return -ENOSPC;
    handler[handlers].number = number;
    handler[handlers].fn = fn;
    handler[handlers].arg = arg;
    /* Before it is enabled: it may come at once. */
    __atomic_store_n(&handlers, handlers + 1, __ATOMIC_RELEASE);
    error = chip->enable(irq);
    if (error)
        __atomic_store_n(&handlers, handlers - 1, __ATOMIC_RELEASE);
    return error;
}

int host_irq_register(uint32_t irq, void (*fn)(void *arg), void *arg)
{
    int error;

    if (!chip)
        return -ENODEV;
    spin_lock(&lock);
    error = add_handler(irq, fn, arg);
    spin_unlock(&lock);
    return error;
}

/* Other harts have nothing enabled; their input is masked, so that what firmware left cannot keep them busy. */
void host_irq_hart_init(void)
{
    if (hart_index() == 0 && chip)
        csr_set(CSR_SIE, BIT(IRQ_SEI));
    else
        csr_clear(CSR_SIE, BIT(IRQ_SEI));
}

static void dispatch(uint32_t number)
{
    static struct log_limit limit;
    unsigned n = __atomic_load_n(&handlers, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++) {
        if (handler[i].number == number) {
            handler[i].fn(handler[i].arg);
            return;
        }
    }
    if (log_ratelimit(&limit))
        log_warn("%s: interrupt %u has no handler", chip->name, number);
}

void host_irq_handle(void)
{
    if (hart_index() != 0 || !chip)
        return;
    for (unsigned i = 0; i < BATCH; i++) {
        uint32_t number = chip->claim();

        if (number == 0)
            return;
        dispatch(number);
        chip->complete(number);
    }
}
