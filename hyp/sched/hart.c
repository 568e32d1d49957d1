// SPDX-License-Identifier: BSD-2-Clause
#include "sched/hart.h"

#include "sched/hart_offsets.h"

_Static_assert(offsetof(struct hart, resched) == HART_RESCHED, "assembly");
_Static_assert(offsetof(struct hart, vcpu) == HART_VCPU, "assembly");
_Static_assert(offsetof(struct hart, fault_frame) == HART_FAULT_FRAME, "assembly");
_Static_assert(offsetof(struct hart, fault_stack) == HART_FAULT_STACK, "assembly");
_Static_assert(offsetof(struct hart, scratch) == HART_SCRATCH, "assembly");

struct hart *harts[HART_MAX];
unsigned hart_count;
atomic_bool hart_halt;
uint64_t hart_spin_limit;
void (*hart_spins_too_long)(void);
atomic_uint hart_stuck_reports;

#define SBI_EXT_IPI_ 0x735049

void hart_request(unsigned index, unsigned long bits)
{
    struct hart *h = harts[index];
    unsigned long before = atomic_fetch_or(&h->requests, bits);

    /* Bits that were set already have an IPI on its way. */
    if (h != this_hart() && (before & bits) != bits)
        arch_sbi(SBI_EXT_IPI_, 0, 1, h->hartid, 0, 0, 0, 0);
}
