// SPDX-License-Identifier: BSD-2-Clause
// PMU (SBI 3.0, "Performance Monitoring Unit"): the functions; what counters are is in counters.h.
#include <errno.h>

#include "stage2/guest_mem.h"
#include "vcpu/exit.h"
#include "vcpu/hostpmu.h"
#include "vcpu/pmu_abi.h"
#include "vcpu/sbi/counters.h"
#include "vcpu/sbi/extensions.h"

#define ALL_ONES (~0ul)

/* The shared memory: a page; the bitmap of overflown counters, then the values. */
enum { SHMEM_VALUES = 8 };
/* Entries of one event_get_info, so that a guest cannot keep its hart from the others for long. */
enum { EVENT_INFO_MAX = 512 };

/* The counters named by a0, a1; false when one of them is none. */
static bool counters_of(const struct vcpu *v, uint64_t *set)
{
    uint64_t base = v->gpr[10], mask = v->gpr[11], allowed = base < 64 ? pmu_counters() >> base : 0;

    *set = mask << (base & 63);
    return !(mask & ~allowed);
}

/* --- one counter --- */

static bool is_host(unsigned i) { return hostpmu_counters() & BIT(i); }

/* What a counter that is not the host's counts on from. */
static uint64_t source(const struct vcpu *v, unsigned i)
{
    if (i == PMU_CYCLE)
        return csr_read(CSR_CYCLE);
    if (i == PMU_INSTRET)
        return csr_read(CSR_INSTRET);
    return pmu_can_count(i, v->pmu.event[i])
               ? atomic_load(&v->pmu.events[EVENT_CODE(v->pmu.event[i])])
               : 0;
}

static void start_one(struct vcpu *v, unsigned i)
{
    if (is_host(i))
        hostpmu_start(v, i);
    else
        v->pmu.value[i] -= source(v, i);
    v->pmu.running |= BIT(i);
}

/* Those that run, the host's all at once. */
static void stop_set(struct vcpu *v, uint64_t set)
{
    set &= v->pmu.running;
    hostpmu_stop(v, set);
    v->pmu.running &= ~set;
    for (set &= ~hostpmu_counters(); set; set &= set - 1) {
        unsigned i = (unsigned)__builtin_ctzl(set);

        v->pmu.value[i] += source(v, i);
    }
}

static void clear(struct vcpu *v, unsigned i)
{
    bool runs = v->pmu.running & BIT(i);

    stop_set(v, BIT(i));
    v->pmu.value[i] = 0;
    if (runs)
        start_one(v, i);
    else if (is_host(i))
        hostpmu_set(v, i);
}

/* Which counters have an event decides what exits, and through which vector. */
static void used_changed(struct vcpu *v)
{
    bool changed = pmu_used_changed(v);

    pmu_let_read(v);
    if (changed)
        exit_choose_vectors(v->guest);
}

/* --- the functions --- */

static void get_info(const struct vcpu *v, struct sbi_reply *reply)
{
    uint64_t i = v->gpr[10];
    uint64_t width = 63;

    if (i >= PMU_COUNTERS || !(pmu_counters() & BIT(i))) {
        reply->error = SBI_ERR_INVALID_PARAM;
        return;
    }
    if (is_host((unsigned)i))
        width = hostpmu_width((unsigned)i);
    reply->value =
        width << INFO_WIDTH_SHIFT | (i < PMU_FIRST_FIRMWARE ? CSR_CYCLE + i : INFO_FIRMWARE);
}

/* The first of ours that can count the event, or -1. */
static int find_own(uint64_t set, uint64_t event)
{
    for (set &= ~hostpmu_counters(); set; set &= set - 1) {
        if (pmu_can_count((unsigned)__builtin_ctzl(set), event))
            return __builtin_ctzl(set);
    }
    return -1;
}

static int find_host(struct vcpu *v, uint64_t set, uint64_t event, uint64_t data, uint8_t filter)
{
    if (!event || EVENT_TYPE(event) > EVENT_RAW_V2)
        return -1;
    return hostpmu_configure(v, set, (uint32_t)event, data, filter);
}

/* A counter of the set that has no event, for this one: stopped; or -1. cycle and instret are last where the
 * host's can overflow and choose by mode, else first, as others are scarce. */
static int find_free(struct vcpu *v, uint64_t set, uint64_t event, uint64_t data, uint8_t filter)
{
    int i = -1;

    set &= ~v->pmu.used;
    if (!vcpu_features.sscofpmf)
        i = find_own(set, event);
    if (i < 0)
        i = find_host(v, set, event, data, filter);
    if (i < 0)
        i = find_own(set, event);
    if (i < 0)
        return -1;
    v->pmu.event[i] = (uint32_t)event;
    if (i < PMU_HARDWARE_COUNTERS) {
        v->pmu.data[i] = data;
        v->pmu.filter[i] = filter;
    }
    used_changed(v);
    return i;
}

static void config_matching(struct vcpu *v, struct sbi_reply *reply)
{
    uint64_t set, flags = v->gpr[12];
    int i;

    if (!counters_of(v, &set) || flags & ~(uint64_t)CONFIG_ALL) {
        reply->error = SBI_ERR_INVALID_PARAM;
        return;
    }
    if (flags & CONFIG_SKIP_MATCH)
        set &= -set; /* the first, whatever it counts */
    if (set & v->pmu.used && flags & CONFIG_SKIP_MATCH)
        i = __builtin_ctzl(set); /* as it was configured before */
    else
        i = find_free(v, set, v->gpr[13], v->gpr[14], flags & (CONFIG_SET_UINH | CONFIG_SET_SINH));
    if (i < 0) {
        reply->error = SBI_ERR_NOT_SUPPORTED;
        return;
    }
    if (flags & CONFIG_CLEAR_VALUE)
        clear(v, (unsigned)i);
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

/* Linux (seen: 6.12, pmu_sbi_start_ovf_ctrs_snapshot) starts its counters again after an overflow with 64 times a loop
 * variable that has come to 64 as the base of its first 64 counters. Nobody has a counter 4096: it can only mean 0. */
enum { LINUX_SNAPSHOT_BASE = 4096 };

static long start(struct vcpu *v)
{
    uint64_t set, flags = v->gpr[12], values[64] = {0};
    long error;

    if (flags == START_INIT_SNAPSHOT && v->gpr[10] == LINUX_SNAPSHOT_BASE)
        v->gpr[10] = 0;
    error = check_set(v, flags, START_ALL, START_INIT_SNAPSHOT, &set);
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

static bool take_snapshot(struct vcpu *v, uint64_t set)
{
    uint64_t overflowed = set ? v->pmu.overflowed >> v->gpr[10] : 0;
    gpa_t at = gpa(v->pmu.shmem + SHMEM_VALUES);

    if (guest_mem_write(&v->guest->s2, gpa(v->pmu.shmem), &overflowed, sizeof(overflowed)))
        return false;
    for (; set; set &= set - 1) {
        unsigned i = (unsigned)__builtin_ctzl(set);

        if (guest_mem_write(&v->guest->s2, gpa_add(at, 8 * (i - v->gpr[10])), &v->pmu.value[i],
                            sizeof(v->pmu.value[i])))
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
    if (set & ~v->pmu.running)
        error = SBI_ERR_ALREADY_STOPPED; /* the others stop all the same */
    stop_set(v, set);
    if (flags & STOP_TAKE_SNAPSHOT && !take_snapshot(v, set))
        error = SBI_ERR_FAILED;
    if (flags & STOP_RESET) {
        hostpmu_release(v, set);
        for (; set; set &= set - 1) {
            unsigned i = (unsigned)__builtin_ctzl(set);

            v->pmu.event[i] = 0;
            v->pmu.value[i] = 0;
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
        reply->value =
            high ? 0 : v->pmu.value[i] + (v->pmu.running & BIT(i) ? source(v, (unsigned)i) : 0);
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

/* Of the host's, the firmware is asked by configuring a counter that has no event; when all have, by these. */
static bool is_supported(struct vcpu *v, uint32_t event, uint64_t data)
{
    int i;

    if (find_own(pmu_counters(), event) >= 0)
        return true;
    i = find_host(v, ~v->pmu.used, event, data, 0);
    if (i >= 0)
        hostpmu_release(v, BIT(i));
    for (uint64_t set = v->pmu.used & hostpmu_counters(); i < 0 && set; set &= set - 1) {
        unsigned used = (unsigned)__builtin_ctzl(set);

        if (v->pmu.event[used] == event && v->pmu.data[used] == data)
            i = (int)used;
    }
    return i >= 0;
}

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
        if (!write)
            continue;
        info.output = is_supported(v, info.event, info.data);
        if (guest_mem_write(&v->guest->s2, output, &info.output, sizeof(info.output)))
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
