// SPDX-License-Identifier: BSD-2-Clause
// Harts that stop, start and resume.
#include "rt/paging.h"
#include "sbi/spec.h"

volatile struct arrival arrival;

long suspend_to_resumed(uint64_t type, uint64_t address, uint64_t opaque, uint64_t fid,
                        uint64_t ext);
void spec_resumed(void);

long spec_suspend(uint64_t ext, uint64_t fid, uint64_t type, uint64_t opaque)
{
    arrival.there = 0;
    return suspend_to_resumed(type, (uint64_t)spec_resumed, opaque, fid, ext);
}

void check_arrival(uint64_t id, uint64_t opaque)
{
    check(arrival.a0 == id, "a0 is %lx, not hart %lx", arrival.a0, id);
    check(arrival.a1 == opaque, "a1 is %lx, not the opaque %lx", arrival.a1, opaque);
    check(arrival.satp == 0, "satp is %lx", arrival.satp);
    check(!(arrival.sstatus & SSTATUS_SIE), "sstatus is %lx: SIE", arrival.sstatus);
}

uint64_t hart_status(unsigned n) { return sbi_call(SBI_HSM, 2, harts[n].id, 0, 0, 0, 0).value; }

bool hart_status_becomes(unsigned n, uint64_t status)
{
    uint64_t end = rt_patience();

    while (hart_status(n) != status)
        if (rdtime() > end)
            return false;
    return true;
}

/* What a started hart must not find: translation, and interrupts on. */
static void stop_self(void *arg)
{
    (void)arg;
    paging_on();
    __atomic_store_n(&hart_self()->run, NULL, __ATOMIC_RELEASE);
    csr_set(sstatus, SSTATUS_SIE);
    sbi_call(SBI_HSM, 1, 0, 0, 0, 0, 0);
    printf("FAIL hart_stop returned\n");
}

bool hart_stopped(unsigned n)
{
    return hart_status(n) == 1 || (hart_run(n, stop_self, NULL) && hart_status_becomes(n, 1));
}

void others_stop(void)
{
    for (unsigned i = 1; i < rt_hart_count; i++)
        if (!hart_stopped(i))
            printf("FAIL hart %u does not stop\n", i);
}
