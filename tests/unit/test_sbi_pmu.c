// SPDX-License-Identifier: BSD-2-Clause
// PMU: every function and error of SBI 3.0 "Performance Monitoring Unit"; the counters on and off a
// hart; firmware events.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/act.c vcpu/sbi/base.c vcpu/sbi/dbcn.c vcpu/sbi/fwft.c vcpu/sbi/hsm.c vcpu/sbi/ipi.c vcpu/sbi/legacy.c vcpu/sbi/pmu.c vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/rfence.c vcpu/sbi/sbi.c vcpu/sbi/srst.c vcpu/sbi/sta.c vcpu/sta.c vcpu/sbi/sse.c vcpu/sse.c vcpu/sbi/susp.c vcpu/sbi/time.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sbi.h"
#include "vcpu/sbi/counters.h"

enum { NUM, INFO, CONFIG, START, STOP, FW_READ, FW_READ_HI, SHMEM, EVENT_INFO };
#define ALL_ONES (~0ul)
#define EXISTING 0xFFFF00000005ul /* 0, 2, 32 to 47 */
#define FW(code) (0xF0000ul + (code))
#define PMU(fid, a0, a1, a2, a3) fake_ecall(SBI_EXT_PMU, fid, a0, a1, a2, a3, 0)

static int setup(void **state)
{
    (void)state;
    fake_sbi_reset(3);
    vcpu_features.cycle = vcpu_features.instret = true;
    csr_write(CSR_CYCLE, 1000);
    csr_write(CSR_INSTRET, 500);
    csr_write(CSR_HCOUNTEREN, 7);
    return 0;
}

static uint64_t guest_reads(unsigned i)
{
    uint64_t value = 0;

    assert_true(pmu_read(&fake_vcpus[0], i, &value));
    return value;
}

static void counters(void **state)
{
    static const unsigned long bad[] = {
        1, 3, 31, 48, 63, 64, 0x100000000ul, 0x8000000000000000ul, ALL_ONES};

    (void)state;
    fake_expect(PMU(NUM, 9, 9, 9, 9), 0, 48);
    fake_expect(PMU(INFO, 0, 9, 9, 9), 0, 63ul << 12 | 0xC00);
    fake_expect(PMU(INFO, 2, 9, 9, 9), 0, 63ul << 12 | 0xC02);
    for (unsigned i = 32; i < 48; i++)
        fake_expect(PMU(INFO, i, 9, 9, 9), 0, 1ul << 63 | 63ul << 12);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        fake_expect(PMU(INFO, bad[i], 9, 9, 9), SBI_ERR_INVALID_PARAM, 0);
    vcpu_features.cycle = vcpu_features.instret = false;
    fake_expect(PMU(INFO, 0, 9, 9, 9), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(PMU(INFO, 2, 9, 9, 9), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(PMU(CONFIG, 0, 1, 0, 1), SBI_ERR_INVALID_PARAM, 0);
}

static void matching(void **state)
{
    static const unsigned long unknown[] = {
        0,     3,      10,     11,     0x10000,    0x10008,  0x20000,       0x30000, FW(0),
        FW(1), FW(14), FW(21), FW(22), FW(0xFFFF), 0x100001, 0x100000001ul, ALL_ONES};

    (void)state;
    fake_expect(PMU(CONFIG, 0, EXISTING, 0, 1), 0, 0);
    fake_expect(PMU(CONFIG, 0, EXISTING, 0, 2), 0, 2);
    for (unsigned i = 32; i < 48; i++)
        fake_expect(PMU(CONFIG, 0, EXISTING, 0, FW(5)), 0, i);
    /* all are taken */
    fake_expect(PMU(CONFIG, 0, EXISTING, 0, 1), SBI_ERR_NOT_SUPPORTED, 0);
    fake_expect(PMU(CONFIG, 0, EXISTING, 0, FW(5)), SBI_ERR_NOT_SUPPORTED, 0);
    setup(NULL);
    for (unsigned i = 0; i < ARRAY_LEN(unknown); i++)
        fake_expect(PMU(CONFIG, 0, EXISTING, 0, unknown[i]), SBI_ERR_NOT_SUPPORTED, 0);
    /* a counter of the set, or none */
    fake_expect(PMU(CONFIG, 2, 1, 0, 1), SBI_ERR_NOT_SUPPORTED, 0);
    fake_expect(PMU(CONFIG, 0, 5, 0, FW(5)), SBI_ERR_NOT_SUPPORTED, 0);
    fake_expect(PMU(CONFIG, 0, 0, 0, 1), SBI_ERR_NOT_SUPPORTED, 0);
    fake_expect(PMU(CONFIG, 46, 2, 0, FW(13)), 0, 47);
    assert_int_equal(csr_read(CSR_HCOUNTEREN), 7);
}

static void sets_with_no_counter(void **state)
{
    static const struct {
        uint64_t base, mask;
    } bad[] = {
        {0, 2},
        {1, 1},
        {3, 1},
        {48, 1},
        {0, ALL_ONES},
        {0, 1ul << 63},
        {47, 3},
        {0, 1ul << 48},
        {64, 1},
        {63, 1},
        {128, 1},
        {ALL_ONES, 1},
        {32, 1ul << 61},
        {0x100000000ul, 1},
        {0x8000000000000000ul, 1},
        {ALL_ONES, ALL_ONES},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        fake_expect(PMU(CONFIG, bad[i].base, bad[i].mask, 0, 1), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(PMU(START, bad[i].base, bad[i].mask, 0, 0), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(PMU(STOP, bad[i].base, bad[i].mask, 0, 0), SBI_ERR_INVALID_PARAM, 0);
    }
    assert_int_equal(fake_vcpus[0].pmu.used | fake_vcpus[0].pmu.running, 0);
}

static void reserved_flags(void **state)
{
    (void)state;
    PMU(CONFIG, 0, 1, 0, 1);
    for (unsigned bit = 0; bit < 64; bit++) {
        if (bit >= 8)
            fake_expect(PMU(CONFIG, 0, EXISTING, BIT(bit), 2), SBI_ERR_INVALID_PARAM, 0);
        if (bit >= 2) {
            fake_expect(PMU(START, 0, 1, BIT(bit), 0), SBI_ERR_INVALID_PARAM, 0);
            fake_expect(PMU(STOP, 0, 1, BIT(bit), 0), SBI_ERR_INVALID_PARAM, 0);
        }
    }
    fake_expect(PMU(START, 0, 1, 3, 0), SBI_ERR_INVALID_PARAM, 0); /* exclusive */
    assert_int_equal(fake_vcpus[0].pmu.used, 1);
    assert_int_equal(fake_vcpus[0].pmu.running, 0);
    /* filters are hints */
    fake_expect(PMU(CONFIG, 0, EXISTING, 0xF8, 2), 0, 2);
}

static void cycle_from_start_to_stop(void **state)
{
    (void)state;
    assert_int_equal(guest_reads(0), 1000); /* the hart's own */
    fake_expect(PMU(CONFIG, 0, EXISTING, 2, 1), 0, 0);
    assert_int_equal(csr_read(CSR_HCOUNTEREN), 6);
    assert_int_equal(guest_reads(0), 0);
    fake_expect(PMU(START, 0, 1, 1, 0x8000000000000010ul), 0, 0);
    assert_int_equal(guest_reads(0), 0x8000000000000010ul);
    csr_write(CSR_CYCLE, 1300);
    assert_int_equal(guest_reads(0), 0x8000000000000010ul + 300);
    fake_expect(PMU(START, 0, 1, 1, 7), SBI_ERR_ALREADY_STARTED, 0);
    assert_int_equal(guest_reads(0), 0x8000000000000010ul + 300);
    fake_expect(PMU(STOP, 0, 1, 0, 0), 0, 0);
    csr_write(CSR_CYCLE, 1900);
    assert_int_equal(guest_reads(0), 0x8000000000000010ul + 300);
    fake_expect(PMU(STOP, 0, 1, 0, 0), SBI_ERR_ALREADY_STOPPED, 0);
    fake_expect(PMU(START, 0, 1, 0, 0), 0, 0); /* from where it is */
    csr_write(CSR_CYCLE, 1901);
    assert_int_equal(guest_reads(0), 0x8000000000000010ul + 301);
    fake_expect(PMU(STOP, 0, 1, 1, 0), 0, 0);
    assert_int_equal(csr_read(CSR_HCOUNTEREN), 7);
    assert_int_equal(guest_reads(0), 1901);
    assert_int_equal(guest_reads(2), 500);
    assert_int_equal(fake_vectors, 0); /* no exits for hardware counters */
    /* stopped already, but reset all the same */
    fake_expect(PMU(CONFIG, 0, EXISTING, 0, 1), 0, 0);
    fake_expect(PMU(STOP, 0, 1, 1, 0), SBI_ERR_ALREADY_STOPPED, 0);
    fake_expect(PMU(START, 0, 1, 0, 0), SBI_ERR_INVALID_PARAM, 0); /* nothing to count */
}

/* What the hart counts for others is not the vCPU's. */
static void only_while_loaded(void **state)
{
    (void)state;
    fake_expect(PMU(CONFIG, 0, 4, 6, 2), 0, 2); /* cleared, started */
    csr_write(CSR_INSTRET, 520);
    pmu_unload(&fake_vcpus[0]);
    csr_write(CSR_INSTRET, 99);
    csr_write(CSR_HCOUNTEREN, 7);
    pmu_load(&fake_vcpus[0]);
    assert_int_equal(csr_read(CSR_HCOUNTEREN), 3);
    csr_write(CSR_INSTRET, 104);
    assert_int_equal(guest_reads(2), 25);
    pmu_unload(&fake_vcpus[0]);
    pmu_load(&fake_vcpus[1]);
    assert_int_equal(csr_read(CSR_HCOUNTEREN), 7);
}

static void config_flags(void **state)
{
    (void)state;
    fake_expect(PMU(CONFIG, 0, 0, 1, 1), SBI_ERR_NOT_SUPPORTED, 0); /* the first of none */
    fake_expect(PMU(CONFIG, 0, 5, 1, 2), SBI_ERR_NOT_SUPPORTED, 0); /* the second could */
    fake_expect(PMU(CONFIG, 0, 1, 5, 1), 0, 0); /* had no event yet; started */
    csr_write(CSR_CYCLE, 1010);
    assert_int_equal(guest_reads(0), 10);
    fake_expect(PMU(CONFIG, 0, EXISTING, 5, 12345), 0, 0); /* the first; no impact on its value */
    assert_int_equal(guest_reads(0), 10);
    fake_expect(PMU(CONFIG, 0, 1, 3, 1), 0, 0); /* cleared while it runs */
    assert_int_equal(guest_reads(0), 0);
    csr_write(CSR_CYCLE, 1011);
    assert_int_equal(guest_reads(0), 1);
}

static void some_of_a_set(void **state)
{
    (void)state;
    fake_expect(PMU(CONFIG, 0, 1, 4, 1), 0, 0);
    fake_expect(PMU(CONFIG, 0, 4, 2, 2), 0, 2);
    fake_expect(PMU(START, 0, 5, 0, 0), SBI_ERR_ALREADY_STARTED, 0);
    assert_int_equal(fake_vcpus[0].pmu.running, 5);
    fake_expect(PMU(STOP, 2, 1, 0, 0), 0, 0);
    fake_expect(PMU(STOP, 0, 5, 0, 0), SBI_ERR_ALREADY_STOPPED, 0);
    assert_int_equal(fake_vcpus[0].pmu.running, 0);
    /* one of them counts nothing: none is started */
    fake_expect(PMU(START, 0, 0x100000005, 0, 0), SBI_ERR_INVALID_PARAM, 0);
    assert_int_equal(fake_vcpus[0].pmu.running, 0);
    /* at the start of a kernel: all at once */
    fake_expect(PMU(STOP, 0, EXISTING, 1, 0), SBI_ERR_ALREADY_STOPPED, 0);
    assert_int_equal(fake_vcpus[0].pmu.used, 0);
    fake_expect(PMU(START, 0, 0, 0, 0), 0, 0);
    fake_expect(PMU(STOP, 64, 0, 0, 0), 0, 0);
}

static void count(unsigned long ext, unsigned long fid, unsigned long a0, unsigned long a1)
{
    struct vcpu *v = &fake_vcpus[0];

    v->gpr[17] = ext;
    v->gpr[16] = fid;
    v->gpr[10] = a0;
    v->gpr[11] = a1;
    pmu_count_call(v);
}

static void firmware_events(void **state)
{
    (void)state;
    for (unsigned e = 2; e < 14; e++)
        fake_expect(PMU(CONFIG, 0, EXISTING, 6, FW(e)), 0, e + 30);
    assert_int_equal(fake_vectors, 1);
    assert_int_equal(fake_guest.pmu_counting, 1);
    count(SBI_EXT_TIME, 0, 5, 0);
    count(SBI_EXT_TIME, 1, 5, 0); /* no such function */
    count(0, 7, 5, 0); /* legacy */
    count(SBI_EXT_IPI, 0, 7, 0); /* to the two others */
    count(SBI_EXT_IPI, 0, 1, 0); /* to itself */
    count(SBI_EXT_IPI, 0, 8, 0); /* nobody's */
    count(SBI_EXT_IPI, 1, 7, 0);
    count(SBI_EXT_RFENCE, 0, 2, 0);
    count(SBI_EXT_RFENCE, 1, 6, 0);
    count(SBI_EXT_RFENCE, 2, 0, ALL_ONES);
    count(SBI_EXT_RFENCE, 2, 1, 0);
    count(SBI_EXT_RFENCE, 3, 7, 0);
    static const unsigned given[] = {CAUSE_LOAD_ACCESS, CAUSE_ILLEGAL, CAUSE_STORE_ACCESS,
                                     CAUSE_ILLEGAL,     CAUSE_ILLEGAL, CAUSE_FETCH_ACCESS,
                                     CAUSE_STORE_ACCESS};
    for (unsigned i = 0; i < ARRAY_LEN(given); i++) {
        csr_write(CSR_VSCAUSE, given[i]);
        pmu_count_trap(&fake_vcpus[0]);
    }
    static const unsigned want[] = {
        [2] = 1, [3] = 2, [4] = 3, [5] = 2, [6] = 2, [8] = 1, [10] = 1, [12] = 1, [13] = 0};
    for (unsigned e = 2; e < 14; e++)
        fake_expect(PMU(FW_READ, e + 30, 9, 9, 9), 0, want[e]);
    /* received, as the others see it once they ask */
    assert_int_equal(fake_vcpus[1].pmu.events[7], 1);
    assert_int_equal(fake_vcpus[2].pmu.events[7], 1);
    assert_int_equal(fake_vcpus[1].pmu.events[9], 1);
    assert_int_equal(fake_vcpus[2].pmu.events[9], 0);
    assert_int_equal(fake_vcpus[2].pmu.events[13], 1);
    fake_expect(PMU(STOP, 0, 0xFFF00000000, 1, 0), 0, 0);
    assert_int_equal(fake_guest.pmu_counting, 0);
    assert_int_equal(fake_vectors, 2);
}

static void firmware_counter(void **state)
{
    (void)state;
    fake_expect(PMU(CONFIG, 0, EXISTING, 0, FW(5)), 0, 32);
    count(SBI_EXT_TIME, 0, 5, 0); /* not started */
    fake_expect(PMU(FW_READ, 32, 9, 9, 9), 0, 0);
    fake_expect(PMU(START, 32, 1, 1, ALL_ONES), 0, 0);
    count(SBI_EXT_TIME, 0, 5, 0);
    count(SBI_EXT_TIME, 0, 5, 0);
    fake_expect(PMU(FW_READ, 32, 9, 9, 9), 0, 1); /* it wrapped */
    fake_expect(PMU(FW_READ_HI, 32, 9, 9, 9), 0, 0);
    fake_expect(PMU(STOP, 32, 1, 0, 0), 0, 0);
    count(SBI_EXT_TIME, 0, 5, 0);
    fake_expect(PMU(FW_READ, 32, 9, 9, 9), 0, 1);
    static const unsigned long bad[] = {0, 1, 2, 3, 31, 48, 64, 0x100000020ul, ALL_ONES};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        fake_expect(PMU(FW_READ, bad[i], 9, 9, 9), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(PMU(FW_READ_HI, bad[i], 9, 9, 9), SBI_ERR_INVALID_PARAM, 0);
    }
}

static void shmem(void **state)
{
    uint64_t *page = (uint64_t *)(fake_ram + 0x3000);

    (void)state;
    fake_expect(PMU(CONFIG, 0, 1, 2, 1), 0, 0);
    fake_expect(PMU(CONFIG, 0, 4, 2, 2), 0, 2);
    fake_expect(PMU(START, 0, 5, 2, 0), SBI_ERR_NO_SHMEM, 0);
    fake_expect(PMU(STOP, 0, 5, 2, 0), SBI_ERR_NO_SHMEM, 0);
    assert_int_equal(fake_vcpus[0].pmu.running, 0);
    fake_expect(PMU(SHMEM, FAKE_RAM + 0x3000, 0, 0, 9), 0, 0);
    memset(page, 0x77, 0x1000);
    page[1 + 0] = 40;
    page[1 + 2] = 60;
    fake_expect(PMU(START, 0, 5, 2, 0), 0, 0);
    csr_write(CSR_CYCLE, 1001);
    csr_write(CSR_INSTRET, 502);
    assert_int_equal(guest_reads(0), 41);
    assert_int_equal(guest_reads(2), 62);
    fake_expect(PMU(STOP, 2, 1, 2, 0), 0, 0); /* relative to its base */
    assert_int_equal(page[0], 0);
    assert_int_equal(page[1], 62);
    assert_int_equal(page[2], 0x7777777777777777ul);
    fake_expect(PMU(STOP, 0, 1, 3, 0), 0, 0); /* and reset */
    assert_int_equal(page[1], 41);
    /* Linux's base, for nothing but that */
    page[1] = 900;
    fake_expect(PMU(START, 4096, 4, 1, 0), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(PMU(START, 8192, 4, 2, 0), SBI_ERR_INVALID_PARAM, 0);
    page[3] = 700;
    fake_expect(PMU(START, 4096, 4, 2, 0), 0, 0);
    assert_int_equal(guest_reads(2), 700);
    fake_expect(PMU(STOP, 4096, 4, 2, 0), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(PMU(STOP, 2, 1, 0, 0), 0, 0);
    fake_mem_error = -ENOMEM;
    fake_expect(PMU(START, 2, 1, 2, 0), SBI_ERR_FAILED, 0);
    fake_expect(PMU(STOP, 2, 1, 2, 0), SBI_ERR_FAILED, 0);
    fake_mem_error = 0;
    fake_expect(PMU(SHMEM, ALL_ONES, ALL_ONES, 0, 9), 0, 0);
    fake_expect(PMU(STOP, 2, 1, 2, 0), SBI_ERR_NO_SHMEM, 0);
}

static void bad_shmem(void **state)
{
    static const uint64_t where[][2] = {
        {0, 0},
        {0x10000000, 0},
        {FAKE_RAM - 0x1000, 0},
        {FAKE_RAM + FAKE_RAM_SIZE, 0},
        {FAKE_RAM, 1},
        {FAKE_RAM, ALL_ONES},
        {FAKE_RAM | 0x8000000000000000ul, 0},
        {0xFFFFFFFFFFFFF000ul, 0},
        {0xFFFFFFFFFFFFF000ul, ALL_ONES},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(where); i++)
        fake_expect(PMU(SHMEM, where[i][0], where[i][1], 0, 9), SBI_ERR_INVALID_ADDRESS, 0);
    for (unsigned bit = 0; bit < 12; bit++)
        fake_expect(PMU(SHMEM, FAKE_RAM | BIT(bit), 0, 0, 9), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(PMU(SHMEM, ALL_ONES, 0, 0, 9), SBI_ERR_INVALID_PARAM, 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        fake_expect(PMU(SHMEM, FAKE_RAM, 0, BIT(bit), 9), SBI_ERR_INVALID_PARAM, 0);
        fake_expect(PMU(SHMEM, ALL_ONES, ALL_ONES, BIT(bit), 9), SBI_ERR_INVALID_PARAM, 0);
    }
    assert_int_equal(fake_vcpus[0].pmu.shmem, 0);
}

static void event_info(void **state)
{
    uint32_t *e = (uint32_t *)(fake_ram + 0x10);
    static const uint32_t events[] = {1, 2, 3, 0xF0005, 0xF0000, 0x20000, 0};
    static const uint32_t want[] = {1, 1, 0, 1, 0, 0, 0};
    unsigned long at = FAKE_RAM + 0x10;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(events); i++) {
        e[4 * i] = events[i];
        e[4 * i + 1] = 0xDEADBEEF;
        e[4 * i + 2] = e[4 * i + 3] = 0x55;
    }
    e[4 * ARRAY_LEN(events) + 1] = 99;
    fake_expect(PMU(EVENT_INFO, at, 0, ARRAY_LEN(events), 0), 0, 0);
    for (unsigned i = 0; i < ARRAY_LEN(events); i++) {
        assert_int_equal(e[4 * i], events[i]);
        assert_int_equal(e[4 * i + 1], want[i]);
        assert_int_equal(e[4 * i + 2], 0x55);
    }
    assert_int_equal(e[4 * ARRAY_LEN(events) + 1], 99);
    fake_expect(PMU(EVENT_INFO, at, 0, 0, 0), 0, 0);
    /* a reserved bit: nothing is written */
    e[1] = 99;
    e[4] |= 1u << 20;
    fake_expect(PMU(EVENT_INFO, at, 0, 2, 0), SBI_ERR_INVALID_PARAM, 0);
    assert_int_equal(e[1], 99);
    for (unsigned bit = 0; bit < 64; bit++)
        fake_expect(PMU(EVENT_INFO, at, 0, 1, BIT(bit)), SBI_ERR_INVALID_PARAM, 0);
    for (unsigned bit = 0; bit < 4; bit++)
        fake_expect(PMU(EVENT_INFO, at | BIT(bit), 0, 1, 0), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(PMU(EVENT_INFO, at, 1, 1, 0), SBI_ERR_INVALID_ADDRESS, 0);
    fake_expect(PMU(EVENT_INFO, 0x1000, 0, 1, 0), SBI_ERR_INVALID_ADDRESS, 0);
    fake_expect(PMU(EVENT_INFO, FAKE_RAM + FAKE_RAM_SIZE - 16, 0, 2, 0), SBI_ERR_INVALID_ADDRESS,
                0);
    fake_expect(PMU(EVENT_INFO, at, 0, ALL_ONES, 0), SBI_ERR_INVALID_ADDRESS, 0);
    fake_expect(PMU(EVENT_INFO, at, 0, 1ul << 60, 0), SBI_ERR_INVALID_ADDRESS, 0);
    fake_mem_error = -ENOMEM;
    fake_expect(PMU(EVENT_INFO, at, 0, 1, 0), SBI_ERR_FAILED, 0);
}

static void reset(void **state)
{
    (void)state;
    fake_expect(PMU(CONFIG, 0, EXISTING, 4, FW(5)), 0, 32);
    fake_expect(PMU(CONFIG, 0, EXISTING, 4, 1), 0, 0);
    fake_expect(PMU(SHMEM, FAKE_RAM, 0, 0, 9), 0, 0);
    assert_true(pmu_reset(&fake_vcpus[0]));
    assert_int_equal(fake_guest.pmu_counting, 0);
    fake_expect(PMU(START, 0, 1, 0, 0), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(PMU(STOP, 0, 1, 2, 0), SBI_ERR_NO_SHMEM, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counters, setup),
        cmocka_unit_test_setup(matching, setup),
        cmocka_unit_test_setup(sets_with_no_counter, setup),
        cmocka_unit_test_setup(reserved_flags, setup),
        cmocka_unit_test_setup(cycle_from_start_to_stop, setup),
        cmocka_unit_test_setup(only_while_loaded, setup),
        cmocka_unit_test_setup(config_flags, setup),
        cmocka_unit_test_setup(some_of_a_set, setup),
        cmocka_unit_test_setup(firmware_events, setup),
        cmocka_unit_test_setup(firmware_counter, setup),
        cmocka_unit_test_setup(shmem, setup),
        cmocka_unit_test_setup(bad_shmem, setup),
        cmocka_unit_test_setup(event_info, setup),
        cmocka_unit_test_setup(reset, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
