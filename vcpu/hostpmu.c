// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/hostpmu.h"

#include <string.h>

#include "vcpu/pmu_abi.h"
#include "vcpu/sbi/sbi.h"

#define COUNTERS 32
#define FIRST 3 /* 0 to 2 are cycle, time, instret */
enum { BASE_PROBE = 3 };

static struct {
    uint64_t all;             /* bit N: hpmcounterN */
    uint8_t index[COUNTERS];  /* the firmware's number of it */
    uint8_t width[COUNTERS];  /* bits, less one */
    bool filters;             /* by mode: Sscofpmf */
} host;

/* Each hart's own. owner is compared, never followed: it may have been destroyed. */
static struct {
    const struct vcpu *owner;
    uint64_t configured;
} mine[HART_MAX];

static struct sbi_ret firmware(unsigned long fid, uint64_t set, uint64_t flags, uint64_t arg,
                               uint64_t data)
{
    uint64_t mask = 0;

    for (; set; set &= set - 1)
        mask |= BIT(host.index[__builtin_ctzl(set)]);
    return arch_sbi(SBI_EXT_PMU, fid, 0, mask, flags, arg, data, 0);
}

/* --- boot --- */

/* Overflow comes to us, and goes on to the guest through hvip, which takes the interrupt only with hvien (Ssaia). */
static bool can_inject(void)
{
    uint64_t back;
    bool works = arch_csr_probe(CSR_SCOUNTOVF, &back) &&
                 arch_csr_probe_write(CSR_HVIEN, HVIP_LCOFIP, &back) && back & HVIP_LCOFIP;

    if (!works)
        return false;
    csr_set(CSR_HVIP, HVIP_LCOFIP);
    works = csr_read(CSR_HVIP) & HVIP_LCOFIP;
    csr_write(CSR_HVIP, 0);
    (void)arch_csr_probe_write(CSR_HVIEN, 0, &back);
    return works;
}

static void add(unsigned index)
{
    struct sbi_ret r = arch_sbi(SBI_EXT_PMU, PMU_GET_INFO, index, 0, 0, 0, 0, 0);
    uint64_t info = (uint64_t)r.value, value;
    uint64_t i = (info & INFO_CSR) - CSR_CYCLE;

    if (r.error || info & INFO_FIRMWARE || i < FIRST || i >= COUNTERS)
        return;
    if (!arch_csr_probe((unsigned)(info & INFO_CSR), &value))
        return;
    host.all |= BIT(i);
    host.index[i] = (uint8_t)index;
    host.width[i] = info >> INFO_WIDTH_SHIFT & INFO_WIDTH;
}

bool hostpmu_probe(bool sscofpmf)
{
    struct sbi_ret r = arch_sbi(SBI_EXT_BASE, BASE_PROBE, SBI_EXT_PMU, 0, 0, 0, 0, 0);

    host.all = 0;
    memset(mine, 0, sizeof(mine));
    host.filters = sscofpmf;
    if (r.error || !r.value)
        return false;
    r = arch_sbi(SBI_EXT_PMU, PMU_NUM_COUNTERS, 0, 0, 0, 0, 0, 0);
    for (unsigned i = 0; !r.error && i < 64 && i < (uint64_t)r.value; i++)
        add(i);
    return sscofpmf && host.all && can_inject();
}

uint64_t hostpmu_counters(void) { return host.all; }
unsigned hostpmu_width(unsigned i) { return host.width[i]; }

/* --- a hart's counters --- */

static bool owns(const struct vcpu *v)
{
    return mine[hart_index()].owner == v && v->pmu.hart == hart_index() + 1;
}

/* The event to one counter of the set, or -1. The guest's S- and U-mode are VS and VU. */
static int configure(uint64_t set, uint32_t event, uint64_t data, uint32_t filter)
{
    uint64_t flags = 0;
    struct sbi_ret r;

    if (host.filters)
        flags = CONFIG_SET_MINH | CONFIG_SET_SINH | CONFIG_SET_UINH |
                (filter & CONFIG_SET_UINH ? CONFIG_SET_VUINH : 0) |
                (filter & CONFIG_SET_SINH ? CONFIG_SET_VSINH : 0);
    r = firmware(PMU_CONFIG_MATCHING, set, flags, event, data);
    if (r.error)
        return -1;
    /* Firmware may have settled for cycle or instret, which are none of the set. */
    for (; set; set &= set - 1) {
        int i = __builtin_ctzl(set);

        if (host.index[i] == r.value) {
            mine[hart_index()].configured |= BIT(i);
            return i;
        }
    }
    return -1;
}

static void start_in_hart(const struct vcpu *v, unsigned i)
{
    firmware(PMU_START, BIT(i), START_SET_INIT_VALUE, v->pmu.value[i], 0);
}

/* A counter that was configured is started once: it holds what another guest has counted, which this one could read (not
 * all firmware clears it when asked to), and firmware may mark all that it configures as overflown until they are started.
 * Marks that the guest has yet to find stay: firmware leaves them alone while LCOFI is pending. */
static void settle(const struct vcpu *v, unsigned i)
{
    bool over = v->pmu.overflowed & BIT(i);

    if (over)
        csr_set(CSR_SIP, BIT(IRQ_LCOFI));
    start_in_hart(v, i);
    firmware(PMU_STOP, BIT(i), 0, 0, 0);
    if (over)
        csr_clear(CSR_SIP, BIT(IRQ_LCOFI));
}

void hostpmu_set(const struct vcpu *v, unsigned i)
{
    if (hostpmu_readable(v) & BIT(i))
        settle(v, i);
}

/* A counter in a hart that did not have it. */
static void restore(const struct vcpu *v, unsigned i)
{
    const struct vcpu_pmu *p = &v->pmu;

    if (configure(BIT(i), p->event[i], p->data[i], p->filter[i]) >= 0) /* else not on this hart */
        settle(v, i);
}

/* This hart's counters become the vCPU's. */
static void take(struct vcpu *v)
{
    unsigned hart = hart_index();

    if (owns(v))
        return;
    if (mine[hart].configured)
        firmware(PMU_STOP, mine[hart].configured, STOP_RESET, 0, 0);
    mine[hart].configured = 0;
    mine[hart].owner = v;
    v->pmu.hart = (uint16_t)(hart + 1);
    for (uint64_t set = v->pmu.used & host.all; set; set &= set - 1)
        restore(v, (unsigned)__builtin_ctzl(set));
}

int hostpmu_configure(struct vcpu *v, uint64_t set, uint32_t event, uint64_t data, uint32_t filter)
{
    int i;

    set &= host.all;
    if (!set)
        return -1;
    take(v);
    i = configure(set, event, data, filter);
    if (i >= 0) {
        v->pmu.overflowed &= ~BIT(i);
        settle(v, (unsigned)i);
    }
    return i;
}

void hostpmu_release(struct vcpu *v, uint64_t set)
{
    set &= host.all;
    v->pmu.overflowed &= ~set;
    if (!owns(v))
        return;
    set &= mine[hart_index()].configured;
    if (set)
        firmware(PMU_STOP, set, STOP_RESET, 0, 0);
    mine[hart_index()].configured &= ~set;
    if (vcpu_features.sscofpmf && !mine[hart_index()].configured) {
        csr_clear(CSR_SIE, BIT(IRQ_LCOFI));
        csr_clear(CSR_SIP, BIT(IRQ_LCOFI)); /* or the hart's next owner would be told */
    }
}

void hostpmu_start(struct vcpu *v, unsigned i)
{
    v->pmu.overflowed &= ~BIT(i);
    if (hostpmu_readable(v) & BIT(i))
        start_in_hart(v, i);
    if (vcpu_features.sscofpmf)
        csr_set(CSR_SIE, BIT(IRQ_LCOFI));
}

static uint64_t read_csr(const struct vcpu *v, unsigned i)
{
    uint64_t value;

    return arch_csr_probe(CSR_CYCLE + i, &value) ? value : v->pmu.value[i];
}

/* QEMU looks for overflow by a timer, and does not find it once the counter is stopped: it has happened all the same. */
static void wrapped(struct vcpu *v, unsigned i)
{
    if (!vcpu_features.sscofpmf || v->pmu.overflowed & BIT(i))
        return;
    v->pmu.overflowed |= BIT(i);
    csr_set(CSR_HVIP, HVIP_LCOFIP);
}

void hostpmu_stop(struct vcpu *v, uint64_t set)
{
    set &= hostpmu_readable(v);
    if (!set)
        return;
    firmware(PMU_STOP, set, 0, 0, 0);
    if (vcpu_features.sscofpmf)
        v->pmu.overflowed |= csr_read(CSR_SCOUNTOVF) & set;
    for (; set; set &= set - 1) {
        unsigned i = (unsigned)__builtin_ctzl(set);
        uint64_t value = read_csr(v, i);

        if (value < (v->pmu.value[i] & ~0ul >> (63 - host.width[i])))
            wrapped(v, i);
        v->pmu.value[i] = value;
    }
}

/* The guest has yet to find them in scountovf: firmware marks there what it configures, and leaves marks alone while LCOFI
 * is pending. The hart has no mark yet where only `wrapped` has noticed. */
static void start_overflowed(const struct vcpu *v, uint64_t over)
{
    uint64_t unmarked = over & ~csr_read(CSR_SCOUNTOVF);

    csr_set(CSR_SIP, BIT(IRQ_LCOFI));
    for (uint64_t set = unmarked; set; set &= set - 1) {
        unsigned i = (unsigned)__builtin_ctzl(set);

        firmware(PMU_STOP, BIT(i), STOP_RESET, 0, 0);
        mine[hart_index()].configured &= ~BIT(i);
        (void)configure(BIT(i), v->pmu.event[i], v->pmu.data[i], v->pmu.filter[i]);
    }
    for (over &= mine[hart_index()].configured; over; over &= over - 1)
        start_in_hart(v, (unsigned)__builtin_ctzl(over));
    csr_clear(CSR_SIP, BIT(IRQ_LCOFI));
}

void hostpmu_load(struct vcpu *v)
{
    uint64_t set, over;

    if (!(v->pmu.used & host.all))
        return;
    take(v);
    set = v->pmu.running & hostpmu_readable(v);
    over = set & v->pmu.overflowed;
    for (set &= ~over; set; set &= set - 1)
        start_in_hart(v, (unsigned)__builtin_ctzl(set));
    if (over)
        start_overflowed(v, over);
    if (vcpu_features.sscofpmf)
        csr_set(CSR_SIE, BIT(IRQ_LCOFI));
}

uint64_t hostpmu_overflowed(const struct vcpu *v)
{
    return v->pmu.overflowed | (csr_read(CSR_SCOUNTOVF) & v->pmu.running & hostpmu_readable(v));
}

void hostpmu_overflow(struct vcpu *v)
{
    v->pmu.overflowed = hostpmu_overflowed(v);
    csr_clear(CSR_SIP, BIT(IRQ_LCOFI));
    csr_set(CSR_HVIP, HVIP_LCOFIP);
}

void hostpmu_unload(struct vcpu *v)
{
    if (!(v->pmu.used & host.all))
        return;
    hostpmu_stop(v, v->pmu.running);
    if (!vcpu_features.sscofpmf)
        return;
    csr_clear(CSR_SIE, BIT(IRQ_LCOFI));
    if (csr_read(CSR_SIP) & BIT(IRQ_LCOFI))
        hostpmu_overflow(v);
}

uint64_t hostpmu_readable(const struct vcpu *v)
{
    return v->pmu.used & host.all && owns(v) ? v->pmu.used & mine[hart_index()].configured : 0;
}

uint64_t hostpmu_value(const struct vcpu *v, unsigned i)
{
    return hostpmu_readable(v) & v->pmu.running & BIT(i) ? read_csr(v, i) : v->pmu.value[i];
}
