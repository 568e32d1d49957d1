// SPDX-License-Identifier: BSD-2-Clause
#include "boot/delegation.h"

#include "base/arch.h"
#include "base/log.h"
#include "mem/frame.h"
#include "stage2/stage2.h"
#include "vcpu/vcpu.h"

/* Measured in QEMU: 1.5 times a breakpoint where they are delegated, 3.4 times where not (by instructions: 5.5). */
enum { TRIES = 32, TAKEN_FIRST = 2 };

/* instret of a load that faults; *cause: as what. */
static uint64_t load_cost(uint64_t *cause)
{
    struct arch_fault fault = {0};
    uint64_t value, before = csr_read(CSR_INSTRET);
    bool loaded = arch_guest_load(PAGE_SIZE, &value, sizeof(value), &fault);
    uint64_t cost = csr_read(CSR_INSTRET) - before;

    *cause = loaded ? UINT64_MAX : fault.cause;
    return cost;
}

/* Delegated by all firmware that there is: what a trap costs without it. */
static uint64_t breakpoint_cost(void)
{
    uint64_t before = csr_read(CSR_INSTRET);

    arch_breakpoint_probe();
    return csr_read(CSR_INSTRET) - before;
}

/* root: 16 KiB of zeroes, which as a table map nothing, in either stage. */
static void measure(struct delegation *d, pa_t root)
{
    uint64_t mode = (uint64_t)__builtin_ctz(stage2_modes) << HGATP_MODE_SHIFT;

    *d = (struct delegation){UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 0};
    for (unsigned i = 0; i < TRIES; i++) {
        d->breakpoint = min_u64(d->breakpoint, breakpoint_cost());
        csr_write(CSR_VSATP, SATP_SV39 | root.v >> PAGE_SHIFT);
        d->page_fault = min_u64(d->page_fault, load_cost(&d->page_fault_cause));
        csr_write(CSR_VSATP, 0);
        (void)arch_hgatp_write_read(mode | root.v >> PAGE_SHIFT);
        d->guest_page_fault = min_u64(d->guest_page_fault, load_cost(&d->guest_page_fault_cause));
        (void)arch_hgatp_write_read(0);
    }
    arch_hfence_gvma_all();
    arch_hfence_vvma_all();
}

bool delegation_measure(struct delegation *d)
{
    pa_t root;

    if (!vcpu_features.instret || frame_alloc(FRAME_ORDER_16K, FRAME_HYP, OWNER_HYP, &root))
        return false;
    arch_zero_page_run(pa_to_hva(root), 4 * PAGE_SIZE);
    measure(d, root);
    frame_put_range(root, 4 * PAGE_SIZE);
    return true;
}

static void tell(const char *what, uint64_t cause, uint64_t expected, uint64_t cost, uint64_t least)
{
    if (cause != expected)
        log_warn("%s arrive as cause %ld: no guest can run on this firmware", what, (long)cause);
    else if (cost > TAKEN_FIRST * least)
        log_warn("the firmware takes %s first (its medeleg): each costs %lu instructions, not %lu",
                 what, (unsigned long)cost, (unsigned long)least);
}

void delegation_tell(const struct delegation *d)
{
    tell("guest page faults", d->guest_page_fault_cause, CAUSE_LOAD_GUEST_PAGE_FAULT,
         d->guest_page_fault, d->breakpoint);
    tell("guests' page faults", d->page_fault_cause, CAUSE_LOAD_PAGE_FAULT, d->page_fault,
         d->breakpoint);
}
