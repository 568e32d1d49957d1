// SPDX-License-Identifier: BSD-2-Clause
// Performance counters (SBI PMU): cycle, instret, firmware events, snapshots.
#include "unit/unit.h"

#define SBI_PMU 0x504D55u
#define NO_SHMEM (-9)
enum { NUM, INFO, CONFIG, START, STOP, FW_READ, FW_READ_HI, SHMEM, EVENT_INFO };
enum { SKIP_MATCH = 1, CLEAR_VALUE = 2, AUTO_START = 4, UINH = 32, SINH = 64 };
enum { SET_INIT = 1, RESET = 1, SNAPSHOT = 2 };
#define CYCLES 1u
#define INSTRUCTIONS 2u
#define FW(code) (0xF0000u + (code))
#define FIRMWARE (1ul << 63)

static struct sbi_ret pmu(uint64_t fid, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
    return sbi_call(SBI_PMU, fid, a0, a1, a2, a3, 0);
}

/* All counters that there are, as a mask. */
static uint64_t all(void)
{
    uint64_t n = pmu(NUM, 0, 0, 0, 0).value, mask = 0;

    for (uint64_t i = 0; i < n && i < 64; i++)
        mask |= pmu(INFO, i, 0, 0, 0).error ? 0 : 1ul << i;
    return mask;
}

/* A counter for the event, stopped, at 0; below 0: the error. */
static long configure(uint64_t event)
{
    struct sbi_ret r = pmu(CONFIG, 0, all(), CLEAR_VALUE, event);

    return r.error ? r.error : (long)r.value;
}

static bool fw_counter(long i) { return pmu(INFO, (uint64_t)i, 0, 0, 0).value >> 63; }
static uint64_t fw(long counter) { return pmu(FW_READ, (uint64_t)counter, 0, 0, 0).value; }

UNIT_CASE(pmu_counters, 0)
{
    uint64_t n = pmu(NUM, 0, 0, 0, 0).value, cycle = 0, instret = 0, firmware = 0;

    CHECK(sbi_call(SBI_BASE, 3, SBI_PMU, 0, 0, 0, 0).value, "is missing");
    CHECK(n >= 3 && n <= 64, "%lu counters", n);
    for (uint64_t i = 0; i < n; i++) {
        struct sbi_ret r = pmu(INFO, i, 0, 0, 0);

        if (r.error) {
            CHECK_EQ(r.error, SBI_INVALID_PARAM);
            continue;
        }
        firmware += r.value >> 63;
        cycle += !(r.value & FIRMWARE) && (r.value & 0xfff) == 0xc00;
        instret += !(r.value & FIRMWARE) && (r.value & 0xfff) == 0xc02;
    }
    CHECK_EQ(cycle, 1);
    CHECK_EQ(instret, 1);
    CHECK(firmware > 0, "no firmware counter");
    CHECK_SBI(pmu(INFO, n, 0, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(INFO, ~0ul, 0, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(99, 0, 0, 0, 0), SBI_NOT_SUPPORTED);
}

UNIT_CASE(pmu_errors, 0)
{
    uint64_t n = pmu(NUM, 0, 0, 0, 0).value;

    CHECK_SBI(pmu(CONFIG, n, 1, 0, CYCLES), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(START, n, 1, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(STOP, n, 1, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(FW_READ, 0, 0, 0, 0), SBI_INVALID_PARAM); /* cycle */
    CHECK_SBI(pmu(FW_READ, n, 0, 0, 0), SBI_INVALID_PARAM);
    CHECK(configure(0) < 0, "event 0");
    CHECK(configure(FW(0xfffe)) < 0, "no such firmware event");
}

/* By the letter, which OpenSBI 1.6 does not follow everywhere. */
UNIT_CASE(pmu_letter, UNIT_TRAPLINE)
{
    CHECK_SBI(pmu(CONFIG, 0, 2, 0, CYCLES), SBI_INVALID_PARAM); /* 1: no counter */
    CHECK_SBI(pmu(CONFIG, ~0ul, 1, 0, CYCLES), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(CONFIG, 0, 1, 0x100, CYCLES), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(CONFIG, 0, 1, 0, INSTRUCTIONS), SBI_NOT_SUPPORTED);
    CHECK_SBI(pmu(CONFIG, 0, all(), 0, 3), SBI_NOT_SUPPORTED);
    CHECK_SBI(pmu(START, 0, 1, 0, 0), SBI_INVALID_PARAM); /* it has no event */
    CHECK_SBI(pmu(START, 0, 1, 4, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(STOP, 0, 1, 4, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(STOP, 0, 1, SNAPSHOT, 0), NO_SHMEM);
    CHECK_SBI(pmu(SHMEM, rt_ram_base, 0, 1, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(SHMEM, rt_ram_base + 8, 0, 0, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(SHMEM, rt_ram_base, 1, 0, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(pmu(SHMEM, 0x10000000, 0, 0, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(pmu(SHMEM, rt_ram_base + rt_ram_size, 0, 0, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(pmu(SHMEM, ~0ul, ~0ul, 0, 0), SBI_OK);
    CHECK_SBI(pmu(FW_READ_HI, 0, 0, 0, 0), SBI_INVALID_PARAM);
}

static uint64_t counter_csr(long i) { return i == 0 ? csr_read(cycle) : csr_read(instret); }

/* Counts from what it was started with, stands still when stopped, goes on from there. */
static void check_hardware(unsigned event)
{
    pmu(STOP, 0, all(), RESET, 0); /* OpenSBI starts with both running */
    struct sbi_ret r = pmu(CONFIG, 0, event == CYCLES ? 1 : 4, CLEAR_VALUE, event);
    long i = r.error ? r.error : (long)r.value;
    uint64_t a, b, c, start = 0x123456789000ul;

    CHECK(i == 0 || i == 2, "counter %ld", i);
    CHECK_SBI(pmu(START, (uint64_t)i, 1, SET_INIT, start), SBI_OK);
    CHECK_SBI(pmu(START, (uint64_t)i, 1, SET_INIT, 0), SBI_ALREADY_STARTED);
    a = counter_csr(i);
    for (volatile unsigned n = 0; n < 1000; n++)
        ;
    b = counter_csr(i);
    CHECK_SBI(pmu(STOP, (uint64_t)i, 1, 0, 0), SBI_OK);
    c = counter_csr(i);
    CHECK(a >= start && b > a && c >= b, "%lx, %lx, %lx", a, b, c);
    CHECK(c - start < 1ul << 40, "%lx is far from its start", c);
    CHECK_EQ(counter_csr(i), c);
    CHECK_SBI(pmu(STOP, (uint64_t)i, 1, 0, 0), SBI_ALREADY_STOPPED);
    CHECK_SBI(pmu(START, (uint64_t)i, 1, 0, 0), SBI_OK);
    CHECK(counter_csr(i) > c, "does not go on");
    CHECK_SBI(pmu(STOP, (uint64_t)i, 1, RESET, 0), SBI_OK);
    /* as the cases after this one want it: running */
    if (!rt_trapline) {
        CHECK_EQ(pmu(CONFIG, (uint64_t)i, 1, 0, event).value, i);
        CHECK_SBI(pmu(START, (uint64_t)i, 1, 0, 0), SBI_OK);
    }
}

UNIT_CASE(z_pmu_cycles, 0) { check_hardware(CYCLES); }
UNIT_CASE(z_pmu_instructions, 0) { check_hardware(INSTRUCTIONS); }

/* The host's first programmable counter: all below are about it. */
#define HPM 3u
#define LCOFI 13

static bool has_hpm(void)
{
    struct sbi_ret r = pmu(INFO, HPM, 0, 0, 0);

    return !r.error && !(r.value & FIRMWARE) && (r.value & 0xfff) == 0xc03;
}

static bool hpm_configure(uint64_t flags, uint64_t event)
{
    struct sbi_ret r = pmu(CONFIG, HPM, 1, flags, event);

    return !r.error && r.value == HPM;
}

static void work(void)
{
    for (volatile unsigned n = 0; n < 10000; n++)
        ;
}

UNIT_CASE(pmu_hpm_counts, 0)
{
    uint64_t a, b, c, start = 0x1234567890ul;

    pmu(STOP, HPM, 1, RESET, 0);
    if (!has_hpm() || !rt_has("sscofpmf"))
        return; /* OpenSBI gives cycles to cycle then */
    CHECK(hpm_configure(CLEAR_VALUE, CYCLES), "no counter for cycles");
    a = csr_read(hpmcounter3);
    CHECK_EQ(csr_read(hpmcounter3), a);
    CHECK_SBI(pmu(START, HPM, 1, SET_INIT, start), SBI_OK);
    CHECK_SBI(pmu(START, HPM, 1, SET_INIT, 0), SBI_ALREADY_STARTED);
    a = csr_read(hpmcounter3);
    work();
    b = csr_read(hpmcounter3);
    CHECK_SBI(pmu(STOP, HPM, 1, 0, 0), SBI_OK);
    c = csr_read(hpmcounter3);
    CHECK(a >= start && b > a && c >= b, "%lx, %lx, %lx", a, b, c);
    CHECK(c - start < 1ul << 40, "%lx is far from its start", c);
    work();
    CHECK_EQ(csr_read(hpmcounter3), c);
    if (rt_trapline) { /* OpenSBI leaves what has stopped as it is */
        CHECK_EQ(pmu(CONFIG, HPM, 1, SKIP_MATCH | CLEAR_VALUE, CYCLES).value, HPM);
        CHECK_EQ(csr_read(hpmcounter3), 0);
    }
    CHECK_SBI(pmu(START, HPM, 1, 0, 0), SBI_OK);
    work();
    CHECK(csr_read(hpmcounter3) > (rt_trapline ? 0 : c), "does not go on");
    CHECK_SBI(pmu(STOP, HPM, 1, RESET, 0), SBI_OK);
}

/* This guest is in S-mode all the time. */
UNIT_CASE(pmu_hpm_filter, 0)
{
    if (!rt_has("sscofpmf"))
        return;
    CHECK(hpm_configure(CLEAR_VALUE | SINH, CYCLES), "not configured");
    CHECK_SBI(pmu(START, HPM, 1, SET_INIT, 50), SBI_OK);
    work();
    CHECK_SBI(pmu(STOP, HPM, 1, RESET, 0), SBI_OK);
    CHECK_EQ(csr_read(hpmcounter3) == 50 || rt_trapline, 1); /* reset: ours is 0 then */
    CHECK(hpm_configure(CLEAR_VALUE | SINH, CYCLES), "not configured");
    CHECK_SBI(pmu(START, HPM, 1, SET_INIT, 50), SBI_OK);
    work();
    CHECK_EQ(csr_read(hpmcounter3), 50);
    CHECK_SBI(pmu(STOP, HPM, 1, RESET, 0), SBI_OK);
    CHECK(hpm_configure(CLEAR_VALUE | UINH, CYCLES), "not configured");
    CHECK_SBI(pmu(START, HPM, 1, SET_INIT, 50), SBI_OK);
    work();
    CHECK(csr_read(hpmcounter3) > 50, "S-mode is not counted");
    CHECK_SBI(pmu(STOP, HPM, 1, RESET, 0), SBI_OK);
}

static uint64_t scountovf(void)
{
    uint64_t value;

    __asm__ volatile("csrr %0, 0xda0" : "=r"(value));
    return value;
}

UNIT_CASE(pmu_hpm_overflow, 0)
{
    uint64_t end = rt_patience();

    if (!rt_has("sscofpmf"))
        return;
    csr_clear(sip, 1ul << LCOFI);
    CHECK(hpm_configure(CLEAR_VALUE, CYCLES), "not configured");
    CHECK_SBI(pmu(START, HPM, 1, SET_INIT, -20000000ul), SBI_OK);
    CHECK(!(scountovf() & 1ul << HPM), "has overflown at its start");
    while (!(csr_read(sip) & 1ul << LCOFI) && rdtime() < end)
        work();
    CHECK(csr_read(sip) & 1ul << LCOFI, "LCOFI is not pending");
    CHECK(scountovf() & 1ul << HPM, "scountovf is %lx", scountovf());
    CHECK(csr_read(hpmcounter3) < 1ul << 40, "has not wrapped");
    CHECK_SBI(pmu(STOP, HPM, 1, 0, 0), SBI_OK);
    CHECK(scountovf() & 1ul << HPM, "stopping clears scountovf");
    csr_clear(sip, 1ul << LCOFI);
    CHECK(!(csr_read(sip) & 1ul << LCOFI), "is pending again");
    CHECK_SBI(pmu(START, HPM, 1, SET_INIT, 1), SBI_OK);
    CHECK(!(scountovf() & 1ul << HPM), "starting does not clear scountovf");
    CHECK_SBI(pmu(STOP, HPM, 1, RESET, 0), SBI_OK);
}

UNIT_CASE(pmu_set_timer_event, 0)
{
    long i = configure(FW(5));

    CHECK(i >= 0 && fw_counter(i), "counter %ld", i);
    CHECK_SBI(pmu(START, (uint64_t)i, 1, SET_INIT, 100), SBI_OK);
    for (unsigned n = 0; n < 3; n++)
        sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
    CHECK_EQ(fw(i), 103);
    CHECK_SBI(pmu(STOP, (uint64_t)i, 1, 0, 0), SBI_OK);
    sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
    CHECK_EQ(fw(i), 103);
    CHECK_EQ(pmu(FW_READ_HI, (uint64_t)i, 0, 0, 0).value, 0);
    long error = pmu(STOP, (uint64_t)i, 1, RESET, 0).error;
    CHECK(error == SBI_ALREADY_STOPPED || !rt_trapline, "stopped twice: %ld", error);
}

static volatile uint64_t stage, received;

static void receive(void *arg)
{
    long ipi = pmu(CONFIG, 0, all(), CLEAR_VALUE | AUTO_START, FW(7)).value;
    uint64_t end = rt_patience();

    (void)arg;
    __atomic_store_n(&stage, 1, __ATOMIC_RELEASE);
    while (stage != 2 && rdtime() < end)
        ;
    received = fw(ipi);
    pmu(STOP, (uint64_t)ipi, 1, RESET, 0);
}

UNIT_CASE(pmu_ipi_events, UNIT_SMP)
{
    long sent = pmu(CONFIG, 0, all(), CLEAR_VALUE | AUTO_START, FW(6)).value;
    long fences = pmu(CONFIG, 0, all(), CLEAR_VALUE | AUTO_START, FW(10)).value;

    stage = 0;
    CHECK(hart_run(1, receive, NULL), "hart did not start");
    CHECK(rt_wait(&stage, 1), "hart does not go on");
    uint64_t before = fw(sent);
    CHECK_SBI(sbi_call(SBI_IPI, 0, 1, harts[1].id, 0, 0, 0), SBI_OK);
    CHECK_SBI(sbi_call(SBI_IPI, 0, 1, harts[1].id, 0, 0, 0), SBI_OK);
    CHECK_SBI(sbi_call(SBI_RFENCE, 1, 1, harts[1].id, 0, 0, 0), SBI_OK);
    __atomic_store_n(&stage, 2, __ATOMIC_RELEASE);
    CHECK(hart_wait(1), "hart does not end");
    uint64_t count = fw(sent) - before; /* native: the fence goes by IPI too */
    CHECK(count == 2 || (!rt_trapline && count > 2), "%lu sent", count);
    CHECK_EQ(fw(fences), 1);
    CHECK(received >= 1, "%lu received", received); /* native: two may arrive as one */
    CHECK(!rt_trapline || received >= 2, "%lu received", received);
    pmu(STOP, (uint64_t)sent, 1, RESET, 0);
    pmu(STOP, (uint64_t)fences, 1, RESET, 0);
}

static uint64_t page[512] __attribute__((aligned(4096)));

UNIT_CASE(pmu_snapshot, UNIT_TRAPLINE)
{
    long i = configure(FW(5));

    CHECK(i >= 0 && fw_counter(i), "counter %ld", i);
    CHECK_SBI(pmu(SHMEM, (uint64_t)page, 0, 0, 0), SBI_OK);
    page[0] = 7;
    page[1] = 1000;
    page[2] = 5;
    CHECK_SBI(pmu(START, (uint64_t)i, 1, SNAPSHOT, 0), SBI_OK);
    sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
    CHECK_SBI(pmu(STOP, (uint64_t)i, 1, SNAPSHOT | RESET, 0), SBI_OK);
    CHECK_EQ(page[0], 0);
    CHECK_EQ(page[1], 1001);
    CHECK_EQ(page[2], 5);
    CHECK_SBI(pmu(SHMEM, ~0ul, ~0ul, 0, 0), SBI_OK);
}

UNIT_CASE(pmu_event_info, UNIT_TRAPLINE)
{
    uint32_t *e = (uint32_t *)page;
    static const uint32_t events[] = {CYCLES, INSTRUCTIONS, FW(5), 3, FW(0xfffe)};

    for (unsigned i = 0; i < ARRAY_LEN(events); i++) {
        e[4 * i] = events[i];
        e[4 * i + 1] = 99;
    }
    CHECK_SBI(pmu(EVENT_INFO, (uint64_t)page, 0, ARRAY_LEN(events), 0), SBI_OK);
    for (unsigned i = 0; i < ARRAY_LEN(events); i++)
        CHECK(e[4 * i + 1] == (i < 3), "event %x: %u", events[i], e[4 * i + 1]);
    CHECK_SBI(pmu(EVENT_INFO, (uint64_t)page, 0, 1, 1), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(EVENT_INFO, (uint64_t)page + 8, 0, 1, 0), SBI_INVALID_PARAM);
    CHECK_SBI(pmu(EVENT_INFO, 0x10000000, 0, 1, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(pmu(EVENT_INFO, (uint64_t)page, 0, ~0ul, 0), SBI_INVALID_ADDRESS);
    CHECK_SBI(pmu(EVENT_INFO, (uint64_t)page, 0, 8192, 0), SBI_FAILED);
    e[0] = 1u << 20;
    CHECK_SBI(pmu(EVENT_INFO, (uint64_t)page, 0, 1, 0), SBI_INVALID_PARAM);
}
