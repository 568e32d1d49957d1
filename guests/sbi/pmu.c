// SPDX-License-Identifier: BSD-2-Clause
// PMU (chapter 11): counters by their numbers, sets, flags, events, memory. Which hardware events a
// machine has is its own; the firmware event SET_TIMER is what counting is looked at with.
#include "sbi/spec.h"

enum { NUM, INFO, CONFIG, START, STOP, FW_READ, FW_READ_HI, SET_SHMEM, EVENT_INFO };
enum { SKIP_MATCH = 1, CLEAR_VALUE = 2, AUTO_START = 4, CONFIG_FLAGS = 8 };
enum { SET_INIT = 1, INIT_SNAPSHOT = 2, STOP_RESET = 1, TAKE_SNAPSHOT = 2 };
enum { CYCLES = 1, EVENT_SET_TIMER = 0xf0005 };
#define ALL (~0ul)

static uint64_t count(void) { return CALL(EXT_PMU, NUM).value; }

static bool is_firmware(uint64_t i) { return (CALL(EXT_PMU, INFO, i).value >> 63) & 1; }

static bool exists(uint64_t i) { return CALL(EXT_PMU, INFO, i).error == SBI_OK; }

/* The first counters; numbers need not be without gaps. */
static uint64_t all_of_them(void)
{
    uint64_t mask = 0;

    for (uint64_t i = 0; i < count() && i < 64; i++)
        mask |= (uint64_t)exists(i) << i;
    return mask;
}

static struct sbi_ret config(uint64_t base, uint64_t mask, uint64_t flags, uint64_t event,
                             uint64_t data)
{
    return CALL(EXT_PMU, CONFIG, base, mask, flags, event, data);
}

/* A counter that counts SET_TIMER, stopped; ALL when there is none. */
static uint64_t take_counter(void)
{
    struct sbi_ret r = config(0, all_of_them(), CLEAR_VALUE, EVENT_SET_TIMER, 0);

    check(r.error == SBI_OK, "no counter for SET_TIMER: error %ld", r.error);
    return r.error ? ALL : r.value;
}

static void give_back(uint64_t i) { CALL(EXT_PMU, STOP, i, 1, STOP_RESET); }

SPEC_CHECK(EXT_PMU, NUM, pmu_num)
{
    check(CALL(EXT_PMU, NUM).error == SBI_OK, "error");
    check(count() > 0, "no counters");
}

SPEC_CHECK(EXT_PMU, INFO, pmu_info)
{
    uint64_t n = count(), none[] = {n, n + 1, n + 64, 1ul << 31, 1ul << 32, 1ul << 63, ALL};

    for (uint64_t i = 0; i < n; i++) {
        struct sbi_ret r = CALL(EXT_PMU, INFO, i);

        check_errors(r, ERR(SBI_OK) | ERR(SBI_INVALID_PARAM), "counter %lu", i); /* gaps */
        if (r.error || r.value >> 63)
            continue;
        check(!(r.value >> 18), "counter %lu: reserved bits, %lx", i, r.value);
        check((r.value & 0xfff) >= 0xC00 && (r.value & 0xfff) < 0xC20, "counter %lu: CSR %lx", i,
              r.value & 0xfff);
    }
    for (unsigned i = 0; i < ARRAY_LEN(none); i++)
        if (rt_trapline || !(none[i] >> 32)) /* OpenSBI looks at 32 bits */
            check_error(CALL(EXT_PMU, INFO, none[i]), SBI_INVALID_PARAM, "counter %lx", none[i]);
}

/* Sets with a counter that is none, and counters that do not exist whatever the mask. */
static void check_sets(uint64_t fid)
{
    uint64_t n = count();
    const uint64_t sets[][2] = {
        {n, 1},      {n - 1, 2},     {0, ALL},       {1, 1ul << 63}, {n + 64, 1},
        {4096, ALL}, {1ul << 32, 1}, {1ul << 63, 1}, {ALL, 1},       {ALL - 1, 3},
    };

    for (unsigned i = 0; i < ARRAY_LEN(sets); i++)
        check_error(CALL(EXT_PMU, fid, sets[i][0], sets[i][1], 0, EVENT_SET_TIMER, 0),
                    SBI_INVALID_PARAM, "base %lx, mask %lx", sets[i][0], sets[i][1]);
}

static void check_events(void)
{
    /* reserved codes and types, and more than 20 bits */
    static const uint64_t none[] = {0,
                                    11,
                                    0xffff,
                                    0x10007 << 3,
                                    0x40000,
                                    0xe0000,
                                    0xf0016,
                                    0xf00ff,
                                    1 << 20,
                                    1ul << 32 | CYCLES,
                                    1ul << 63 | CYCLES,
                                    ALL};

    for (unsigned i = 0; i < ARRAY_LEN(none); i++)
        check_errors(config(0, all_of_them(), 0, none[i], 0),
                     ERR(SBI_NOT_SUPPORTED) | ERR(SBI_INVALID_PARAM), "event %lx", none[i]);
}

SPEC_CHECK(EXT_PMU, CONFIG, pmu_config)
{
    uint64_t i;

    check_sets(CONFIG);
    check_events();
    for (unsigned bit = 8; bit < 64 && rt_trapline; bit++)
        check_error(config(0, all_of_them(), 1ul << bit, EVENT_SET_TIMER, 0), SBI_INVALID_PARAM,
                    "flag bit %u", bit);
    for (unsigned flags = 0; flags < 0x100; flags += CONFIG_FLAGS) { /* hints about modes */
        struct sbi_ret r = config(0, all_of_them(), flags, EVENT_SET_TIMER, 0);

        check(r.error == SBI_OK && is_firmware(r.value), "flags %x: error %ld", flags, r.error);
        if (!r.error)
            give_back(r.value);
    }
    i = take_counter();
    if (i == ALL)
        return;
    check_value(config(i, 1, SKIP_MATCH | CLEAR_VALUE, EVENT_SET_TIMER, 0), i, "skip match");
    if (!rt_trapline) { /* OpenSBI does not take a counter back that was never started */
        CALL(EXT_PMU, START, i, 1, 0, 0);
        give_back(i);
        return;
    }
    check_error(config(i, 1, 0, EVENT_SET_TIMER, 0), SBI_NOT_SUPPORTED, "a counter that is taken");
    give_back(i);
    check_value(config(i, 1, AUTO_START, EVENT_SET_TIMER, 0), i, "auto start");
    check_error(CALL(EXT_PMU, START, i, 1, 0, 0), SBI_ALREADY_STARTED, "auto-started, start");
    give_back(i);
}

static void check_flags(uint64_t fid, uint64_t i)
{
    for (unsigned bit = 2; bit < 64; bit++)
        check_errors(CALL(EXT_PMU, fid, i, 1, 1ul << bit, 0),
                     ERR(SBI_INVALID_PARAM) | natively(~0u), "flag bit %u", bit);
}

static uint64_t value(uint64_t i)
{
    struct sbi_ret r = CALL(EXT_PMU, FW_READ, i);

    check(r.error == SBI_OK, "fw_read of %lu: error %ld", i, r.error);
    return r.value;
}

SPEC_CHECK(EXT_PMU, START, pmu_start)
{
    uint64_t i = take_counter();

    check_sets(START);
    if (i == ALL)
        return;
    if (rt_trapline)
        check_flags(START, i);
    CALL(EXT_PMU, SET_SHMEM, ALL, ALL, 0);
    check_error(CALL(EXT_PMU, START, i, 1, INIT_SNAPSHOT, 0), SBI_NO_SHMEM, "no shared memory");
    check_error(CALL(EXT_PMU, START, i, 1, SET_INIT, 1000), SBI_OK, "start at 1000");
    sbi_call(SBI_TIME, 0, ALL, 0, 0, 0, 0);
    check(value(i) == 1001, "1000 and one event: %lu", value(i));
    if (rt_trapline) { /* OpenSBI does not notice for firmware counters */
        check_error(CALL(EXT_PMU, START, i, 1, SET_INIT, 5), SBI_ALREADY_STARTED, "start again");
        check(value(i) == 1001, "a failed start has set %lu", value(i));
    }
    CALL(EXT_PMU, STOP, i, 1, 0);
    check_error(CALL(EXT_PMU, START, i, 1, 0, 77), SBI_OK, "start with no flag");
    check(value(i) == 1001, "a start without a value has set %lu", value(i));
    CALL(EXT_PMU, STOP, i, 1, 0);
    check_error(CALL(EXT_PMU, START, i, 1, SET_INIT, ALL), SBI_OK, "start at all-ones");
    sbi_call(SBI_TIME, 0, ALL, 0, 0, 0, 0);
    check(value(i) == 0, "all-ones and one event: %lx", value(i));
    give_back(i);
}

SPEC_CHECK(EXT_PMU, STOP, pmu_stop)
{
    uint64_t i = take_counter();

    check_sets(STOP);
    if (i == ALL)
        return;
    if (rt_trapline)
        check_flags(STOP, i);
    check_errors(CALL(EXT_PMU, STOP, i, 1, 0), ERR(SBI_ALREADY_STOPPED) | natively(ERR(SBI_OK)),
                 "never started");
    CALL(EXT_PMU, START, i, 1, SET_INIT, 5);
    CALL(EXT_PMU, SET_SHMEM, ALL, ALL, 0);
    check_error(CALL(EXT_PMU, STOP, i, 1, TAKE_SNAPSHOT), SBI_NO_SHMEM, "no shared memory");
    check_errors(CALL(EXT_PMU, STOP, i, 1, 0), ERR(SBI_OK) | natively(~0u), "stop");
    sbi_call(SBI_TIME, 0, ALL, 0, 0, 0, 0);
    check(value(i) == 5, "counted while stopped: %lu", value(i));
    check_errors(CALL(EXT_PMU, STOP, i, 1, 0), ERR(SBI_ALREADY_STOPPED) | natively(ERR(SBI_OK)),
                 "stop again");
    give_back(i);
}

static void check_fw_read(uint64_t fid)
{
    uint64_t n = count(), none[] = {n, n + 1, 1ul << 32, 1ul << 63, ALL};

    if (!rt_trapline && fid == FW_READ_HI) /* OpenSBI: 0 for whatever number */
        return;
    for (uint64_t i = 0; i < n; i++)
        if (!is_firmware(i))
            check_error(CALL(EXT_PMU, fid, i), SBI_INVALID_PARAM, "counter %lu is hardware's", i);
    for (unsigned i = 0; i < ARRAY_LEN(none); i++)
        check_error(CALL(EXT_PMU, fid, none[i]), SBI_INVALID_PARAM, "counter %lx", none[i]);
}

SPEC_CHECK(EXT_PMU, FW_READ, pmu_fw_read)
{
    uint64_t i = take_counter();

    check_fw_read(FW_READ);
    if (i == ALL)
        return;
    CALL(EXT_PMU, START, i, 1, SET_INIT, 1ul << 63);
    for (uint64_t events = 1; events <= 5; events++) {
        sbi_call(SBI_TIME, 0, ALL, 0, 0, 0, 0);
        check_value(CALL(EXT_PMU, FW_READ, i), (1ul << 63) + events, "after %lu events", events);
    }
    give_back(i);
}

SPEC_CHECK(EXT_PMU, FW_READ_HI, pmu_fw_read_hi)
{
    uint64_t i = take_counter();

    check_fw_read(FW_READ_HI);
    if (i == ALL)
        return;
    CALL(EXT_PMU, START, i, 1, SET_INIT, ALL << 32);
    check_value(CALL(EXT_PMU, FW_READ_HI, i), 0, "always zero with 64 bits");
    give_back(i);
}

static struct sbi_ret set_shmem(uint64_t low, uint64_t high)
{
    return CALL(EXT_PMU, SET_SHMEM, low, high, 0);
}

/* A snapshot has the counters' values by their place in the mask, and leaves the others' alone. */
static void check_snapshot(void)
{
    uint64_t *page = (uint64_t *)spec_pages, i = take_counter();
    unsigned changed = 0;

    if (i == ALL)
        return;
    memset(spec_pages, 0x77, sizeof(spec_pages));
    check_error(set_shmem((uint64_t)spec_pages, 0), SBI_OK, "set");
    check_error(CALL(EXT_PMU, START, i, 1, SET_INIT, 4242), SBI_OK, "start");
    check_error(CALL(EXT_PMU, STOP, i, 1, TAKE_SNAPSHOT), SBI_OK, "stop with a snapshot");
    check(page[1] == 4242, "the snapshot has %lu", page[1]);
    for (unsigned w = 2; w < sizeof(spec_pages) / 8; w++)
        changed += page[w] != 0x7777777777777777;
    check(!changed, "%u words of others have changed", changed);
    page[1] = 99;
    check_error(CALL(EXT_PMU, START, i, 1, INIT_SNAPSHOT, 0), SBI_OK, "start from the snapshot");
    check(value(i) == 99, "the value is %lu", value(i));
    give_back(i);
}

SPEC_CHECK(EXT_PMU, SET_SHMEM, pmu_set_shmem)
{
    static const struct shmem s = {set_shmem, 4096, 4096, SBI_INVALID_ADDRESS, 0};

    if (set_shmem(ALL, ALL).error == SBI_NOT_SUPPORTED) {
        spec_not_offered();
        return;
    }
    if (rt_trapline)
        check_shmem(&s);
    for (unsigned bit = 0; bit < 64; bit++)
        check_error(CALL(EXT_PMU, SET_SHMEM, (uint64_t)spec_pages, 0, 1ul << bit),
                    SBI_INVALID_PARAM, "flag bit %u", bit);
    check_snapshot();
    check_error(set_shmem(ALL, ALL), SBI_OK, "off");
}

struct entry {
    uint32_t event, output;
    uint64_t data;
};

static struct sbi_ret info2(uint64_t low, uint64_t high)
{
    struct entry *e = (struct entry *)low;

    if (!high && low >= rt_ram_base && low + 32 <= ram_end() && !(low & 15)) {
        e[0] = (struct entry){CYCLES, 0, 0};
        e[1] = (struct entry){EVENT_SET_TIMER, 0, 0};
    }
    return CALL(EXT_PMU, EVENT_INFO, low, high, 2, 0);
}

static void check_entries(void)
{
    volatile struct entry *e = (struct entry *)spec_pages;
    uint64_t at = (uint64_t)spec_pages;

    e[0] = (struct entry){EVENT_SET_TIMER, 0xFFFFFFFF, 0};
    e[1] = (struct entry){0x40000, 0xFFFFFFFF, 0};
    e[2] = (struct entry){0x40000, 0x12345678, 7};
    check_error(CALL(EXT_PMU, EVENT_INFO, at, 0, 2, 0), SBI_OK, "two entries");
    check(e[0].output == 1, "SET_TIMER: output %x", e[0].output);
    check(e[1].output == 0, "no event: output %x", e[1].output);
    check(e[2].output == 0x12345678 && e[2].data == 7, "a third entry is written");
    check(e[0].event == EVENT_SET_TIMER && !e[0].data, "what is read-only has changed");
    for (unsigned bit = 20; bit < 32; bit++) {
        e[1].event = 1u << bit | CYCLES;
        check_error(CALL(EXT_PMU, EVENT_INFO, at, 0, 2, 0), SBI_INVALID_PARAM, "event bit %u", bit);
    }
}

SPEC_CHECK(EXT_PMU, EVENT_INFO, pmu_event_info)
{
    static const struct shmem s = {info2, 32, 16, SBI_INVALID_ADDRESS, 0};
    uint64_t at = (uint64_t)spec_pages;

    if (CALL(EXT_PMU, EVENT_INFO, at, 0, 0, 0).error == SBI_NOT_SUPPORTED) {
        spec_not_offered();
        return;
    }
    if (rt_trapline)
        check_shmem(&s);
    check_entries();
    memset(spec_pages, 0, sizeof(spec_pages));
    for (unsigned bit = 0; bit < 64; bit++)
        check_error(CALL(EXT_PMU, EVENT_INFO, at, 0, 1, 1ul << bit), SBI_INVALID_PARAM,
                    "flag bit %u", bit);
    if (!rt_trapline) /* OpenSBI goes through them all, and comes to no end */
        return;
    /* sizes that go past RAM, past all addresses, and past 64 bits */
    check_error(CALL(EXT_PMU, EVENT_INFO, at, 0, rt_ram_size / 16, 0), SBI_INVALID_ADDRESS,
                "over RAM's end");
    check_error(CALL(EXT_PMU, EVENT_INFO, at, 0, 1ul << 59, 0), SBI_INVALID_ADDRESS, "2^63 bytes");
    check_error(CALL(EXT_PMU, EVENT_INFO, at, 0, 1ul << 60, 0), SBI_INVALID_ADDRESS, "2^64 bytes");
    check_error(CALL(EXT_PMU, EVENT_INFO, at, 0, (1ul << 60) + 1, 0), SBI_INVALID_ADDRESS,
                "2^64 + 16 bytes");
    check_error(CALL(EXT_PMU, EVENT_INFO, at, 0, ALL, 0), SBI_INVALID_ADDRESS, "all-ones entries");
}
