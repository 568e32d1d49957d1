// SPDX-License-Identifier: BSD-2-Clause
// PMU (SBI 3.0, "Performance Monitoring Unit"): cycle, instret, and counters of firmware events.
#include "vcpu/sbi/counters.h"

#include "stage2/guest_mem.h"
#include "vcpu/sbi/extensions.h"

enum {
    PMU_NUM_COUNTERS,
    PMU_GET_INFO,
    PMU_CONFIG_MATCHING,
    PMU_START,
    PMU_STOP,
    PMU_FW_READ,
    PMU_FW_READ_HI,
    PMU_SET_SHMEM,
    PMU_EVENT_INFO
};
enum { CONFIG_SKIP_MATCH = 1, CONFIG_CLEAR_VALUE = 2, CONFIG_AUTO_START = 4, CONFIG_ALL = 0xFF };
enum { START_SET_INIT_VALUE = 1, START_INIT_SNAPSHOT = 2, START_ALL = 3 };
enum { STOP_RESET = 1, STOP_TAKE_SNAPSHOT = 2, STOP_ALL = 3 };
#define INFO_FIRMWARE (1ul << 63)
#define INFO_WIDTH_64 (63ul << 12)
#define ALL_ONES (~0ul)

/* The shared memory: a page; the bitmap of overflown counters, then the values. */
enum { SHMEM_VALUES = 8 };
/* Entries of one event_get_info, so that a guest cannot keep its hart from the others for long. */
enum { EVENT_INFO_MAX = 4096 };

static uint64_t there(void)
{
    return PMU_FIRMWARE | (vcpu_features.cycle ? BIT(PMU_CYCLE) : 0) |
           (vcpu_features.instret ? BIT(PMU_INSTRET) : 0);
}

/* The counters named by a0, a1; false when one of them is none. */
static bool counters_of(const struct vcpu *v, uint64_t *set)
{
    uint64_t base = v->gpr[10], mask = v->gpr[11], allowed = base < 64 ? there() >> base : 0;

    *set = mask << (base & 63);
    return !(mask & ~allowed);
}

/* --- one counter --- */

static uint64_t source(const struct vcpu *v, unsigned i)
{
    if (i == PMU_CYCLE)
        return csr_read(CSR_CYCLE);
    if (i == PMU_INSTRET)
        return csr_read(CSR_INSTRET);
    return pmu_can_count(i, v->pmu.event[i]) ? atomic_load(&v->pmu.events[v->pmu.event[i] & 0xFFFF])
                                             : 0;
}

static uint64_t value_of(const struct vcpu *v, unsigned i)
{
    return v->pmu.value[i] + (v->pmu.running & BIT(i) ? source(v, i) : 0);
}

static void start_one(struct vcpu *v, unsigned i)
{
    v->pmu.value[i] -= source(v, i);
    v->pmu.running |= BIT(i);
}

static void stop_one(struct vcpu *v, unsigned i)
{
    v->pmu.value[i] += source(v, i);
    v->pmu.running &= ~BIT(i);
}

/* Which counters have an event decides what exits, and through which vector. */
static void used_changed(struct vcpu *v)
{
    bool before = atomic_load(&v->guest->pmu_counting) != 0;

    pmu_restored(v);
    csr_write(CSR_HCOUNTEREN,
              (COUNTEREN_CY | COUNTEREN_TM | COUNTEREN_IR) & ~(v->pmu.used & PMU_HARDWARE));
    if (before != (atomic_load(&v->guest->pmu_counting) != 0))
        exit_choose_vectors(v->guest);
}

/* --- the functions --- */

static void get_info(const struct vcpu *v, struct sbi_reply *reply)
{
    uint64_t i = v->gpr[10];

    if (i >= PMU_COUNTERS || !(there() & BIT(i)))
        reply->error = SBI_ERR_INVALID_PARAM;
    else if (i == PMU_CYCLE || i == PMU_INSTRET)
        reply->value = INFO_WIDTH_64 | (CSR_CYCLE + i);
    else
        reply->value = INFO_FIRMWARE | INFO_WIDTH_64;
}

/* The first counter of the set that is free and can count the event, or -1. */
static int find_free(const struct vcpu *v, uint64_t set, uint64_t event)
{
    for (unsigned i = 0; i < PMU_COUNTERS; i++) {
        if (set & ~v->pmu.used & BIT(i) && pmu_can_count(i, event))
            return (int)i;
    }
    return -1;
}

static void config_matching(struct vcpu *v, struct sbi_reply *reply)
{
    uint64_t set, flags = v->gpr[12], event = v->gpr[13];
    int i;

    if (!counters_of(v, &set) || flags & ~(uint64_t)CONFIG_ALL) {
        reply->error = SBI_ERR_INVALID_PARAM;
        return;
    }
    if (flags & CONFIG_SKIP_MATCH)
        set &= -set; /* the first, whatever it counts */
    if (set & v->pmu.used && flags & CONFIG_SKIP_MATCH) {
        i = __builtin_ctzl(set); /* as it was configured before */
    } else {
        i = find_free(v, set, event);
        if (i < 0) {
            reply->error = SBI_ERR_NOT_SUPPORTED;
            return;
        }
        v->pmu.event[i] = (uint32_t)event;
        used_changed(v);
    }
    if (flags & CONFIG_CLEAR_VALUE)
        v->pmu.value[i] = v->pmu.running & BIT(i) ? -source(v, (unsigned)i) : 0;
    if (flags & CONFIG_AUTO_START && !(v->pmu.running & BIT(i)))
        start_one(v, (unsigned)i);
    reply->value = (unsigned long)i;
}

/* 0, or why the set cannot be started or stopped with these flags. */
static long check_set(const struct vcpu *v, uint64_t flags, uint64_t known, uint64_t with_shmem,
                      uint64_t *set)
{
    if (!counters_of(v, set) || flags & ~known)
        return SBI_ERR_INVALID_PARAM;
    return flags & with_shmem && !v->pmu.shmem ? SBI_ERR_NO_SHMEM : SBI_OK;
}

static long start(struct vcpu *v)
{
    uint64_t set, flags = v->gpr[12], values[64] = {0};
    long error = check_set(v, flags, START_ALL, START_INIT_SNAPSHOT, &set);

    if (flags == START_ALL || (!error && set & ~v->pmu.used)) /* exclusive; no event to count */
        error = SBI_ERR_INVALID_PARAM;
    if (!error && flags & START_INIT_SNAPSHOT &&
        guest_mem_read(&v->guest->s2, gpa(v->pmu.shmem + SHMEM_VALUES), values, sizeof(values)))
        error = SBI_ERR_FAILED;
    if (error)
        return error;
    for (unsigned i = 0; i < PMU_COUNTERS; i++) {
        if (!(set & BIT(i)))
            continue;
        if (v->pmu.running & BIT(i)) {
            error = SBI_ERR_ALREADY_STARTED; /* the others start all the same */
            continue;
        }
        if (flags & START_SET_INIT_VALUE)
            v->pmu.value[i] = v->gpr[13];
        else if (flags & START_INIT_SNAPSHOT)
            v->pmu.value[i] = values[i - v->gpr[10]];
        start_one(v, i);
    }
    return error;
}

/* Overflow is nothing that guests are told of: no Sscofpmf. */
static bool take_snapshot(struct vcpu *v, uint64_t set)
{
    uint64_t zero = 0;
    gpa_t at = gpa(v->pmu.shmem + SHMEM_VALUES);

    if (guest_mem_write(&v->guest->s2, gpa(v->pmu.shmem), &zero, sizeof(zero)))
        return false;
    for (unsigned i = 0; i < PMU_COUNTERS; i++) {
        if (set & BIT(i) && guest_mem_write(&v->guest->s2, gpa_add(at, 8 * (i - v->gpr[10])),
                                            &v->pmu.value[i], sizeof(v->pmu.value[i])))
            return false;
    }
    return true;
}

static long stop(struct vcpu *v)
{
    uint64_t set, flags = v->gpr[12];
    long error = check_set(v, flags, STOP_ALL, STOP_TAKE_SNAPSHOT, &set);

    if (error)
        return error;
    for (unsigned i = 0; i < PMU_COUNTERS; i++) {
        if (!(set & BIT(i)))
            continue;
        if (v->pmu.running & BIT(i))
            stop_one(v, i);
        else
            error = SBI_ERR_ALREADY_STOPPED; /* the others stop all the same */
    }
    if (flags & STOP_TAKE_SNAPSHOT && !take_snapshot(v, set))
        error = SBI_ERR_FAILED;
    if (flags & STOP_RESET) {
        for (unsigned i = 0; i < PMU_COUNTERS; i++) {
            if (set & BIT(i))
                v->pmu.event[i] = 0, v->pmu.value[i] = 0;
        }
        used_changed(v);
    }
    return error;
}

static void fw_read(const struct vcpu *v, bool high, struct sbi_reply *reply)
{
    uint64_t i = v->gpr[10];

    if (i >= PMU_COUNTERS || !(PMU_FIRMWARE & BIT(i)))
        reply->error = SBI_ERR_INVALID_PARAM;
    else
        reply->value = high ? 0 : value_of(v, (unsigned)i);
}

static long set_shmem(struct vcpu *v)
{
    uint64_t low = v->gpr[10], high = v->gpr[11];

    if (v->gpr[12])
        return SBI_ERR_INVALID_PARAM;
    if (low == ALL_ONES && high == ALL_ONES) {
        v->pmu.shmem = 0;
        return SBI_OK;
    }
    if (low & PAGE_MASK)
        return SBI_ERR_INVALID_PARAM;
    if (high || !guest_mem_is_ram(&v->guest->s2, gpa(low), PAGE_SIZE))
        return SBI_ERR_INVALID_ADDRESS;
    v->pmu.shmem = low;
    return SBI_OK;
}

struct event_info {
    uint32_t event, output;
    uint64_t data;
};

/* One pass over the entries; nothing is written before all of them have been looked at. */
static long event_info_pass(struct vcpu *v, uint64_t at, uint64_t n, bool write)
{
    for (uint64_t e = 0; e < n; e++, at += sizeof(struct event_info)) {
        struct event_info info;
        gpa_t output = gpa(at + offsetof(struct event_info, output));

        if (guest_mem_read(&v->guest->s2, gpa(at), &info, sizeof(info)))
            return SBI_ERR_FAILED;
        if (info.event >> 20)
            return SBI_ERR_INVALID_PARAM;
        info.output = 0;
        for (unsigned i = 0; i < PMU_COUNTERS; i++)
            info.output |= there() & BIT(i) && pmu_can_count(i, info.event);
        if (write && guest_mem_write(&v->guest->s2, output, &info.output, sizeof(info.output)))
            return SBI_ERR_FAILED;
    }
    return SBI_OK;
}

static long event_info(struct vcpu *v)
{
    uint64_t low = v->gpr[10], high = v->gpr[11], n = v->gpr[12];
    long error;

    if (v->gpr[13] || low % sizeof(struct event_info))
        return SBI_ERR_INVALID_PARAM;
    if (high || n > UINT64_MAX / sizeof(struct event_info) ||
        !guest_mem_is_ram(&v->guest->s2, gpa(low), n * sizeof(struct event_info)))
        return SBI_ERR_INVALID_ADDRESS;
    if (n > EVENT_INFO_MAX)
        return SBI_ERR_FAILED;
    error = event_info_pass(v, low, n, false);
    return error ? error : event_info_pass(v, low, n, true);
}

static enum exit_result sbi_pmu_call(struct vcpu *v, unsigned long fid, struct sbi_reply *reply)
{
    switch (fid) {
    case PMU_NUM_COUNTERS:
        reply->value = PMU_COUNTERS;
        break;
    case PMU_GET_INFO:
        get_info(v, reply);
        break;
    case PMU_CONFIG_MATCHING:
        config_matching(v, reply);
        break;
    case PMU_START:
        reply->error = start(v);
        break;
    case PMU_STOP:
        reply->error = stop(v);
        break;
    case PMU_FW_READ:
    case PMU_FW_READ_HI:
        fw_read(v, fid == PMU_FW_READ_HI, reply);
        break;
    case PMU_SET_SHMEM:
        reply->error = set_shmem(v);
        break;
    case PMU_EVENT_INFO:
        reply->error = event_info(v);
        break;
    default:
        reply->error = SBI_ERR_NOT_SUPPORTED;
    }
    return EXIT_ADVANCE;
}

const struct sbi_extension sbi_ext_pmu = {
    .name = "pmu",
    .first = SBI_EXT_PMU,
    .last = SBI_EXT_PMU,
    .call = sbi_pmu_call,
};
