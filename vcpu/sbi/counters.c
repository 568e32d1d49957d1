// SPDX-License-Identifier: BSD-2-Clause
// The counters' state on and off a hart, and the firmware events that are counted.
#include "vcpu/exit.h"
#include "vcpu/sbi/counters.h"
#include "vcpu/sbi/sbi.h"

enum { TYPE_HARDWARE = 0, TYPE_FIRMWARE = 15 };
enum { HW_CPU_CYCLES = 1, HW_INSTRUCTIONS = 2 };
enum {
    FW_ACCESS_LOAD = 2,
    FW_ACCESS_STORE = 3,
    FW_ILLEGAL_INSN = 4,
    FW_SET_TIMER = 5,
    FW_IPI_SENT = 6,
    FW_FENCE_I_SENT = 8, /* each received event follows the sent one; the three fences in a row */
};

/* Misaligned accesses go to the guest itself, or to the firmware below: never ours to count. */
bool pmu_can_count(unsigned i, uint64_t event)
{
    uint64_t type = event >> 16, code = event & 0xFFFF;

    if (i == PMU_CYCLE)
        return type == TYPE_HARDWARE && code == HW_CPU_CYCLES;
    if (i == PMU_INSTRET)
        return type == TYPE_HARDWARE && code == HW_INSTRUCTIONS;
    return i >= PMU_FIRST_FIRMWARE && type == TYPE_FIRMWARE && code >= FW_ACCESS_LOAD &&
           code < PMU_EVENTS;
}

static void move_hardware(struct vcpu *v, bool off)
{
    struct vcpu_pmu *p = &v->pmu;

    if (p->running & BIT(PMU_CYCLE))
        p->value[PMU_CYCLE] += off ? csr_read(CSR_CYCLE) : -csr_read(CSR_CYCLE);
    if (p->running & BIT(PMU_INSTRET))
        p->value[PMU_INSTRET] += off ? csr_read(CSR_INSTRET) : -csr_read(CSR_INSTRET);
}

/* The bits of hcounteren are those of the counters' numbers. */
void pmu_load(struct vcpu *v)
{
    csr_write(CSR_HCOUNTEREN,
              (COUNTEREN_CY | COUNTEREN_TM | COUNTEREN_IR) & ~(v->pmu.used & PMU_HARDWARE));
    move_hardware(v, false);
}

void pmu_unload(struct vcpu *v) { move_hardware(v, true); }

void pmu_reset(struct vcpu *v)
{
    v->pmu = (struct vcpu_pmu){0};
    pmu_restored(v);
}

void pmu_restored(struct vcpu *v)
{
    v->pmu.used = 0;
    for (unsigned i = 0; i < PMU_COUNTERS; i++)
        v->pmu.used |= v->pmu.event[i] ? BIT(i) : 0;
    v->pmu.running &= v->pmu.used;
    if (v->pmu.used & PMU_FIRMWARE)
        atomic_fetch_or(&v->guest->pmu_counting, BIT(v->index));
    else
        atomic_fetch_and(&v->guest->pmu_counting, ~BIT(v->index));
}

bool pmu_read(struct vcpu *v, unsigned i, uint64_t *value)
{
    const struct vcpu_pmu *p = &v->pmu;

    if (!arch_csr_probe(i == PMU_CYCLE ? CSR_CYCLE : CSR_INSTRET, value))
        return false;
    if (p->used & BIT(i))
        *value = p->value[i] + (p->running & BIT(i) ? *value : 0);
    return true;
}

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
