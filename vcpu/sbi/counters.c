// SPDX-License-Identifier: BSD-2-Clause
// The counters' state on and off a hart, and the firmware events that are counted.
#include "vcpu/sbi/counters.h"

#include "vcpu/hostpmu.h"
#include "vcpu/pmu_abi.h"
#include "vcpu/sbi/sbi.h"

enum {
    FW_ACCESS_LOAD = 2,
    FW_ACCESS_STORE = 3,
    FW_ILLEGAL_INSN = 4,
    FW_SET_TIMER = 5,
    FW_IPI_SENT = 6,
    FW_FENCE_I_SENT = 8, /* each received event follows the sent one; the three fences in a row */
};

uint64_t pmu_counters(void)
{
    return PMU_FIRMWARE | hostpmu_counters() | (vcpu_features.cycle ? BIT(PMU_CYCLE) : 0) |
           (vcpu_features.instret ? BIT(PMU_INSTRET) : 0);
}

bool pmu_can_count(unsigned i, uint64_t event)
{
    if (i == PMU_CYCLE)
        return event == EVENT_CYCLES;
    if (i == PMU_INSTRET)
        return event == EVENT_INSTRUCTIONS;
    if (i < PMU_FIRST_FIRMWARE)
        return hostpmu_counters() & BIT(i) && event && EVENT_TYPE(event) <= EVENT_RAW_V2;
    /* Misaligned accesses go to the guest itself, or to the firmware below: never ours to count. */
    return EVENT_TYPE(event) == EVENT_FIRMWARE && EVENT_CODE(event) >= FW_ACCESS_LOAD &&
           EVENT_CODE(event) < PMU_EVENTS;
}

/* --- on and off a hart --- */

static void move_fixed(struct vcpu *v, bool off)
{
    struct vcpu_pmu *p = &v->pmu;

    if (p->running & BIT(PMU_CYCLE))
        p->value[PMU_CYCLE] += off ? csr_read(CSR_CYCLE) : -csr_read(CSR_CYCLE);
    if (p->running & BIT(PMU_INSTRET))
        p->value[PMU_INSTRET] += off ? csr_read(CSR_INSTRET) : -csr_read(CSR_INSTRET);
}

/* The bits of hcounteren are those of the counters' numbers. */
void pmu_let_read(const struct vcpu *v)
{
    csr_write(CSR_HCOUNTEREN, (COUNTEREN_OPEN & ~v->pmu.used) | hostpmu_readable(v));
    this_hart()->counters_closed = v->pmu.used;
}

void pmu_load_used(struct vcpu *v)
{
    hostpmu_load(v);
    pmu_let_read(v);
    move_fixed(v, false);
}

void pmu_unload_used(struct vcpu *v)
{
    hostpmu_unload(v);
    move_fixed(v, true);
}

static uint64_t used_of(const struct vcpu_pmu *p)
{
    uint64_t used = 0;

    for (unsigned i = 0; i < PMU_COUNTERS; i++)
        used |= p->event[i] ? BIT(i) : 0;
    return used;
}

bool pmu_used_changed(struct vcpu *v)
{
    uint64_t me = BIT(v->index);

    v->pmu.used = used_of(&v->pmu);
    v->pmu.running &= v->pmu.used;
    if (v->pmu.used)
        atomic_fetch_or(&v->guest->pmu_users, me);
    else
        atomic_fetch_and(&v->guest->pmu_users, ~me);
    if (v->pmu.used & PMU_FIRMWARE)
        return atomic_fetch_or(&v->guest->pmu_counting, me) == 0;
    return atomic_fetch_and(&v->guest->pmu_counting, ~me) == me;
}

bool pmu_reset(struct vcpu *v)
{
    v->pmu = (struct vcpu_pmu){0};
    return pmu_used_changed(v);
}

bool pmu_read(struct vcpu *v, unsigned i, uint64_t *value)
{
    const struct vcpu_pmu *p = &v->pmu;

    if (i >= PMU_FIRST_HOST) { /* one that it does not count with stands still */
        *value = hostpmu_value(v, i);
        return true;
    }
    if (!arch_csr_probe(CSR_CYCLE + i, value))
        return false;
    if (p->used & BIT(i))
        *value = p->value[i] + (p->running & BIT(i) ? *value : 0);
    return true;
}

/* --- firmware events --- */

static void count(struct vcpu *v, unsigned event) { atomic_fetch_add(&v->pmu.events[event], 1); }

/* Sent to others: an IPI counts for each of them, as OpenSBI and KVM have it; a fence once. */
static void count_sent(struct vcpu *v, unsigned event, uint64_t vcpus)
{
    vcpus &= ~BIT(v->index);
    if (vcpus && event != FW_IPI_SENT)
        count(v, event);
    for (unsigned i = 0; vcpus >> i; i++) {
        if (!(vcpus & BIT(i)))
            continue;
        if (event == FW_IPI_SENT)
            count(v, event);
        count(v->guest->vcpu[i], event + 1);
    }
}

void pmu_count_call(struct vcpu *v)
{
    uint64_t ext = v->gpr[17], fid = v->gpr[16], vcpus;
    bool masks = (ext == SBI_EXT_IPI && fid == 0) || (ext == SBI_EXT_RFENCE && fid <= 2);

    if ((ext == SBI_EXT_TIME && fid == 0) || ext == 0)
        count(v, FW_SET_TIMER);
    else if (masks && sbi_hart_mask(v->guest, v->gpr[10], v->gpr[11], &vcpus) == SBI_OK)
        count_sent(v, ext == SBI_EXT_IPI ? FW_IPI_SENT : FW_FENCE_I_SENT + 2 * (unsigned)fid,
                   vcpus);
}

void pmu_count_trap(struct vcpu *v)
{
    switch (csr_read(CSR_VSCAUSE)) {
    case CAUSE_LOAD_ACCESS:
        count(v, FW_ACCESS_LOAD);
        break;
    case CAUSE_STORE_ACCESS:
        count(v, FW_ACCESS_STORE);
        break;
    case CAUSE_ILLEGAL:
        count(v, FW_ILLEGAL_INSN);
        break;
    }
}
