// SPDX-License-Identifier: BSD-2-Clause
#include "sched/irq.h"

#include "sched/account.h"
#include "sched/timer_hart.h"

void (*irq_external)(void);

void irq_poll(void)
{
    struct hart *h = this_hart();
    uint64_t pending = csr_read(CSR_SIP) & csr_read(CSR_SIE);

    if (pending & BIT(IRQ_SSI)) {
        csr_clear(CSR_SIP, BIT(IRQ_SSI));
        hart_answer_xcalls();
        while (atomic_load(&hart_halt))
            arch_wfi();
        /* XCALL stays: one that came in since has sent another IPI. */
        if (atomic_fetch_and(&h->requests, (unsigned long)HART_REQ_XCALL) & HART_REQ_RESCHED)
            h->resched = true;
    }
    if (pending & BIT(IRQ_STI))
        timer_run(h);
    if (pending & BIT(IRQ_SEI) && irq_external) {
        uint64_t before = arch_time();

        irq_external();
        account_device(h, before);
    }
}
