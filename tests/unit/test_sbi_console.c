// SPDX-License-Identifier: BSD-2-Clause
// DBCN, and the legacy extensions 0 to 8.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/act.c vcpu/sbi/base.c vcpu/sbi/dbcn.c vcpu/sbi/fwft.c vcpu/sbi/hsm.c vcpu/sbi/ipi.c vcpu/sbi/legacy.c vcpu/sbi/pmu.c vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/rfence.c vcpu/sbi/sbi.c vcpu/sbi/srst.c vcpu/sbi/sta.c vcpu/sta.c vcpu/sbi/sse.c vcpu/sse.c vcpu/sbi/susp.c vcpu/sbi/time.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sbi.h"

#define ALL_ONES (~0ul)
#define DBCN(fid, a0, a1, a2) fake_ecall(SBI_EXT_DBCN, fid, a0, a1, a2, 9, 9)
#define RAM_END (FAKE_RAM + FAKE_RAM_SIZE)

static int setup(void **state)
{
    (void)state;
    fake_sbi_reset(4);
    for (unsigned i = 0; i < FAKE_RAM_SIZE; i++)
        fake_ram[i] = (uint8_t)(i * 7 + (i >> 8));
    return 0;
}

static void expect_output(uint64_t from, size_t len)
{
    assert_int_equal(fake_output_len, len);
    assert_memory_equal(fake_output, fake_ram + (from - FAKE_RAM), len);
    fake_output_len = 0;
}

/* --- DBCN --- */

static void write_sizes(void **state)
{
    static const struct {
        uint64_t from, len;
    } c[] = {
        {FAKE_RAM, 1},
        {FAKE_RAM + 5, 255},
        {FAKE_RAM, 256},
        {FAKE_RAM + 1, 257},
        {FAKE_RAM + 0xFFF, 2},
        {FAKE_RAM + 0xF80, 0x100},
        {FAKE_RAM + 0x1FFE, 0x804},
        {RAM_END - 1, 1},
        {RAM_END - 300, 300},
        {FAKE_RAM, 4096},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        fake_expect(DBCN(0, c[i].len, c[i].from, 0), 0, c[i].len);
        expect_output(c[i].from, c[i].len);
        fake_console_room = sizeof(fake_output);
    }
    assert_true(fake_largest_piece <= 256);
}

/* Long calls do a part: nobody keeps its hart for long. */
static void write_is_bounded(void **state)
{
    (void)state;
    fake_expect(DBCN(0, 4097, FAKE_RAM + 3, 0), 0, 4096);
    expect_output(FAKE_RAM + 3, 4096);
    fake_expect(DBCN(0, FAKE_RAM_SIZE, FAKE_RAM, 0), 0, 4096);
    expect_output(FAKE_RAM, 4096);
}

static void write_what_fits(void **state)
{
    (void)state;
    fake_console_room = 300;
    fake_expect(DBCN(0, 1000, FAKE_RAM, 0), 0, 300);
    expect_output(FAKE_RAM, 300);
    fake_expect(DBCN(0, 1000, FAKE_RAM, 0), 0, 0); /* full: does not wait */
    fake_console_room = 256;
    fake_expect(DBCN(0, 1000, FAKE_RAM, 0), 0, 256);
    expect_output(FAKE_RAM, 256);
}

static const struct {
    uint64_t len, low, high;
} bad_memory[] = {
    {1, 0, 0},
    {1, FAKE_RAM - 1, 0},
    {2, FAKE_RAM - 1, 0},
    {1, RAM_END, 0},
    {2, RAM_END - 1, 0},
    {FAKE_RAM_SIZE + 1, FAKE_RAM, 0},
    {1, 0x10000000, 0},
    {1, ALL_ONES, 0},
    {2, ALL_ONES, 0},
    {ALL_ONES, FAKE_RAM, 0},
    {ALL_ONES, 0, 0},
    {ALL_ONES, ALL_ONES, 0},
    {0 - FAKE_RAM + 1, FAKE_RAM, 0}, /* ends at 1: wraps */
    {0 - FAKE_RAM, FAKE_RAM, 0},
    {0x8000000000000001ul, FAKE_RAM, 0},
    {0x100000001ul, FAKE_RAM, 0},
    {1, FAKE_RAM | 0x8000000000000000ul, 0},
    {1, FAKE_RAM | 0x100000000ul, 0},
    {1, FAKE_RAM, 1},
    {1, FAKE_RAM, 0x8000000000000000ul},
    {1, FAKE_RAM, ALL_ONES},
};

static void impossible_memory(void **state)
{
    (void)state;
    fake_input = "x";
    fake_input_len = 1;
    for (unsigned i = 0; i < ARRAY_LEN(bad_memory); i++) {
        for (unsigned fid = 0; fid < 2; fid++)
            fake_expect(DBCN(fid, bad_memory[i].len, bad_memory[i].low, bad_memory[i].high),
                        SBI_ERR_INVALID_PARAM, 0);
    }
    assert_int_equal(fake_output_len, 0);
    assert_int_equal(fake_input_len, 1);
}

static void no_bytes(void **state)
{
    static const uint64_t at[] = {FAKE_RAM, RAM_END, 0, ALL_ONES};

    (void)state;
    fake_input = "x";
    fake_input_len = 1;
    for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
        fake_expect(DBCN(0, 0, at[i], 0), 0, 0);
        fake_expect(DBCN(1, 0, at[i], 0), 0, 0);
    }
    assert_int_equal(fake_output_len, 0);
    assert_int_equal(fake_input_len, 1);
}

/* Out of memory while populating: what was written before counts, else it failed. */
static void memory_that_fails(void **state)
{
    (void)state;
    fake_mem_error = -ENOMEM;
    fake_mem_error_from = FAKE_RAM + 0x1000;
    fake_expect(DBCN(0, 0x200, FAKE_RAM + 0xF00, 0), 0, 0x100);
    expect_output(FAKE_RAM + 0xF00, 0x100);
    fake_expect(DBCN(0, 0x10, FAKE_RAM + 0x1000, 0), SBI_ERR_FAILED, 0);
    fake_input = "x";
    fake_input_len = 1;
    fake_expect(DBCN(1, 0x10, FAKE_RAM + 0x1000, 0), SBI_ERR_FAILED, 0);
}

static void read_bytes(void **state)
{
    static char text[1000];

    (void)state;
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 11 + 1);
    fake_input = text;
    fake_input_len = 3;
    fake_ram[0x1003] = 0x5A;
    fake_expect(DBCN(1, 100, FAKE_RAM + 0x1000, 0), 0, 3); /* less than there is room for */
    assert_memory_equal(fake_ram + 0x1000, text, 3);
    assert_int_equal(fake_ram[0x1003], 0x5A);
    fake_expect(DBCN(1, 100, FAKE_RAM + 0x1000, 0), 0, 0); /* nothing: nothing is written */
    assert_memory_equal(fake_ram + 0x1000, text, 3);

    fake_input = text;
    fake_input_len = sizeof(text);
    fake_expect(DBCN(1, 600, FAKE_RAM + 0xF80, 0), 0, 600); /* more than there is room for */
    assert_memory_equal(fake_ram + 0xF80, text, 600);
    assert_int_equal(fake_input_len, 400);
    fake_expect(DBCN(1, 1, RAM_END - 1, 0), 0, 1);
    assert_int_equal(fake_ram[FAKE_RAM_SIZE - 1], (uint8_t)text[600]);
    assert_true(fake_largest_piece <= 256);
}

static void write_byte(void **state)
{
    (void)state;
    fake_expect(DBCN(2, 'a', 0, 0), 0, 0);
    fake_expect(DBCN(2, 0xFFFFFFFFFFFFFF00ul | 'b', ALL_ONES, ALL_ONES), 0, 0); /* 8 bits wide */
    fake_expect(DBCN(2, 0xFF, 0, 0), 0, 0);
    fake_expect(DBCN(2, 0, 0, 0), 0, 0);
    assert_int_equal(fake_output_len, 4);
    assert_memory_equal(fake_output, "ab\xFF", 4);
}

/* The calls that wait for room are made again: nothing has happened yet. */
static void check_tried_again(struct fake_result r, uint64_t a0)
{
    assert_int_equal(r.verdict, EXIT_BLOCK);
    assert_int_equal(r.error, a0);
    assert_int_equal(fake_vcpus[0].gpr[11], 5);
    assert_int_equal(fake_vcpus[0].pc, FAKE_ECALL_PC);
    assert_int_equal(atomic_load(&fake_vcpus[0].hsm), HSM_STARTED);
    assert_false(fake_vcpus[0].in_wfi);
    assert_int_equal(fake_output_len, 0);
}

static void bytes_wait(void **state)
{
    (void)state;
    fake_console_room = 0;
    check_tried_again(DBCN(2, 'a', 5, 0), 'a');
    check_tried_again(fake_ecall(1, 0, 'a', 5, 0, 0, 0), 'a');
    fake_console_room = 1;
    fake_expect(DBCN(2, 'a', 5, 0), 0, 0);
}

/* --- legacy: only a0 is written, a6 is not looked at --- */

#define A1 0x1111222233334444ul
static struct fake_result legacy(unsigned long id, unsigned long a0, unsigned long a1,
                                 unsigned long a2, unsigned long a3)
{
    struct fake_result r = fake_ecall(id, 0xFFFFFFFFFFFFul, a0, a1, a2, a3, 9);

    assert_true(r.slow);
    return r;
}

static void legacy_timer(void **state)
{
    (void)state;
    fake_expect(legacy(0, 0x123456789ul, A1, 0, 0), 0, A1);
    assert_int_equal(csr_read(CSR_VSTIMECMP), 0x123456789ul);
    fake_guest.sstc = false;
    fake_expect(legacy(0, ALL_ONES, A1, 0, 0), 0, A1);
    assert_int_equal(fake_timer, ALL_ONES);
    assert_int_equal(fake_timers, 1);
}

static void legacy_console(void **state)
{
    (void)state;
    fake_expect(legacy(1, 0x12300 | 'q', A1, 0, 0), 0, A1);
    assert_int_equal(fake_output_len, 1);
    assert_int_equal(fake_output[0], 'q');
    fake_expect(legacy(2, 77, A1, 0, 0), -1, A1);
    fake_input = "\xFFz";
    fake_input_len = 2;
    fake_expect(legacy(2, 77, A1, 0, 0), 0xFF, A1); /* not -1 */
    fake_expect(legacy(2, 77, A1, 0, 0), 'z', A1);
    fake_expect(legacy(2, 77, A1, 0, 0), -1, A1);
}

static void legacy_clear_ipi(void **state)
{
    (void)state;
    fake_expect(legacy(3, 7, A1, 0, 0), 0, A1);
    csr_write(CSR_HVIP, HVIP_VSSIP | HVIP_VSEIP);
    fake_expect(legacy(3, 7, A1, 0, 0), 1, A1);
    assert_int_equal(csr_read(CSR_HVIP), HVIP_VSEIP);
    atomic_store(&fake_vcpus[0].irq_edge, HVIP_VSSIP); /* raised, not yet seen */
    fake_expect(legacy(3, 7, A1, 0, 0), 1, A1);
    assert_int_equal(atomic_load(&fake_vcpus[0].irq_edge), 0);
    fake_expect(legacy(3, 7, A1, 0, 0), 0, A1);
    assert_int_equal(csr_read(CSR_HVIP), HVIP_VSEIP);
}

static void legacy_shutdown(void **state)
{
    (void)state;
    assert_int_equal(legacy(8, 0, A1, 0, 0).verdict, EXIT_STOP);
    assert_int_equal(fake_events, 1);
    assert_int_equal(fake_event, GUEST_SHUTDOWN);
}

/* The guest's memory as HLV sees it: a mask at MASK_VA, after a number of faults. */
#define MASK_VA 0xFFFFFFD000001238ul
static uint64_t mask_value;
static struct arch_fault mask_fault;
static unsigned mask_faults, mask_loads;

static bool load_mask(uint64_t va, void *to, unsigned width, struct arch_fault *fault)
{
    assert_int_equal(va, MASK_VA);
    assert_int_equal(width, 8);
    mask_loads++;
    if (mask_faults) {
        mask_faults--;
        *fault = mask_fault;
        return false;
    }
    memcpy(to, &mask_value, 8);
    return true;
}

static int setup_mask(void **state)
{
    setup(state);
    fake_guest_load = load_mask;
    mask_faults = mask_loads = 0;
    return 0;
}

static uint64_t signalled(void)
{
    uint64_t set = csr_read(CSR_HVIP) & HVIP_VSSIP ? 1 : 0;

    for (unsigned i = 0; i < 4; i++)
        set |= fake_ssip[i] ? BIT(i) : 0;
    return set;
}

static void legacy_masks(void **state)
{
    static const struct {
        uint64_t mask;
        long error;
        uint64_t to;
    } c[] = {
        {0x1, 0, 0x1},
        {0xF, 0, 0xF},
        {0x8, 0, 0x8},
        {0, 0, 0},
        {0x10, -3, 0},
        {0x1F, -3, 0},
        {0x8000000000000000ul, -3, 0},
        {ALL_ONES, -3, 0},
    };

    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        setup_mask(state);
        mask_value = c[i].mask;
        fake_expect(legacy(4, MASK_VA, A1, 0, 0), c[i].error, A1);
        assert_int_equal(signalled(), c[i].to);
        fake_expect(legacy(5, MASK_VA, A1, 0, 0), c[i].error, A1);
        assert_int_equal(fake_fence_count(FENCE_I, 0), c[i].to & 1);
        for (unsigned n = 1; n < 4; n++)
            assert_int_equal(atomic_load(&fake_vcpus[n].requests),
                             c[i].to & BIT(n) ? VCPU_REQ_FENCE_I : 0);
        assert_int_equal(mask_loads, 2); /* read once for each call */
    }
}

static void legacy_null_is_all(void **state)
{
    (void)state;
    fake_expect(legacy(4, 0, A1, 0, 0), 0, A1);
    assert_int_equal(signalled(), 0xF);
    assert_int_equal(mask_loads, 0);
}

static void legacy_fences(void **state)
{
    (void)state;
    mask_value = 1;
    fake_expect(legacy(6, MASK_VA, 0x5000, 0x1000, 7), 0, 0x5000);
    assert_int_equal(fake_fences, 1);
    assert_int_equal(fake_fence[0].gpa, 0x5000);
    assert_int_equal(fake_fence[0].vmid, 0);
    fake_expect(legacy(7, MASK_VA, 0x6000, 0x1000, 7), 0, 0x6000);
    assert_int_equal(fake_fence[1].gpa, 0x6000);
    assert_int_equal(fake_fence[1].vmid, 7);
    fake_expect(legacy(7, MASK_VA, 0x6000, 0x1000, 0x10007), SBI_ERR_INVALID_PARAM, 0x6000);
    assert_int_equal(fake_fences, 2);
    fake_expect(legacy(6, MASK_VA, A1, ALL_ONES, 7), 0, A1);
    assert_int_equal(fake_fence[2].gpa, 0);
    assert_int_equal(fake_fences, 3);
}

/* A fault is the guest's own, at the ecall; whatever the call, nothing is done. */
static void legacy_faults_are_the_guests(void **state)
{
    static const uint64_t causes[] = {CAUSE_LOAD_PAGE_FAULT, CAUSE_LOAD_ACCESS,
                                      CAUSE_LOAD_MISALIGNED};

    for (unsigned i = 0; i < ARRAY_LEN(causes); i++) {
        for (unsigned long id = 4; id <= 7; id++) {
            setup_mask(state);
            mask_value = 0xF;
            mask_faults = 1;
            mask_fault = (struct arch_fault){.cause = causes[i], .tval = MASK_VA + 4};
            struct fake_result r = legacy(id, MASK_VA, A1, 0, 0);
            assert_int_equal(r.verdict, EXIT_INJECT);
            assert_int_equal(fake_vcpus[0].pc, FAKE_ECALL_PC);
            assert_int_equal(fake_injects, 1);
            assert_int_equal(fake_inject_cause, causes[i]);
            assert_int_equal(fake_inject_tval, MASK_VA + 4);
            assert_int_equal(signalled(), 0);
            assert_int_equal(fake_fences + fake_populates, 0);
        }
    }
}

/* RAM that was never touched, the guest's page tables among it, is not the guest's fault. */
static void legacy_populates(void **state)
{
    (void)state;
    mask_value = 0x2;
    mask_faults = 4;
    mask_fault = (struct arch_fault){.cause = CAUSE_LOAD_GUEST_PAGE_FAULT,
                                     .tval = MASK_VA + 2,
                                     .htval = (FAKE_RAM + 0x1238) >> 2};
    fake_expect(legacy(4, MASK_VA, A1, 0, 0), 0, A1);
    assert_int_equal(fake_populates, 4);
    assert_int_equal(fake_populated, FAKE_RAM + 0x123A);
    assert_int_equal(fake_injects, 0);
    assert_int_equal(signalled(), 2);
}

static void legacy_populates_without_htval(void **state)
{
    (void)state;
    mask_value = 0x2;
    mask_faults = 1;
    mask_fault = (struct arch_fault){.cause = CAUSE_LOAD_GUEST_PAGE_FAULT, .tval = MASK_VA};
    fake_walk_out = FAKE_RAM + 0x4238;
    fake_expect(legacy(4, MASK_VA, A1, 0, 0), 0, A1);
    assert_int_equal(fake_populated, FAKE_RAM + 0x4238);
}

static void check_access_fault(struct fake_result r)
{
    assert_int_equal(r.verdict, EXIT_INJECT);
    assert_int_equal(fake_injects, 1);
    assert_int_equal(fake_inject_cause, CAUSE_LOAD_ACCESS);
    assert_int_equal(fake_inject_tval, MASK_VA);
    assert_int_equal(signalled(), 0);
}

static void legacy_mask_in_no_memory(void **state)
{
    mask_value = 0xF;
    mask_faults = 1000;
    mask_fault = (struct arch_fault){.cause = CAUSE_LOAD_GUEST_PAGE_FAULT,
                                     .tval = MASK_VA,
                                     .htval = 0x10000000 >> 2}; /* a device */
    check_access_fault(legacy(4, MASK_VA, A1, 0, 0));
    assert_int_equal(mask_loads, 1);

    setup_mask(state);
    mask_faults = 1000;
    mask_fault.htval = 0;
    fake_walk_result = -EFAULT;
    fake_walk_out = FAKE_RAM;
    check_access_fault(legacy(4, MASK_VA, A1, 0, 0));
    assert_int_equal(fake_populated, ALL_ONES);

    setup_mask(state);
    mask_faults = 1000;
    mask_fault.htval = FAKE_RAM >> 2;
    fake_populate_result = -ENOMEM;
    check_access_fault(legacy(4, MASK_VA, A1, 0, 0));
}

/* Another vCPU may take the page away again and again: it ends nonetheless. */
static void legacy_faults_end(void **state)
{
    (void)state;
    mask_faults = 1000000;
    mask_fault = (struct arch_fault){
        .cause = CAUSE_LOAD_GUEST_PAGE_FAULT, .tval = MASK_VA, .htval = FAKE_RAM >> 2};
    check_access_fault(legacy(4, MASK_VA, A1, 0, 0));
    assert_true(mask_loads >= 12 && mask_loads <= 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(write_sizes, setup),
        cmocka_unit_test_setup(write_is_bounded, setup),
        cmocka_unit_test_setup(write_what_fits, setup),
        cmocka_unit_test_setup(impossible_memory, setup),
        cmocka_unit_test_setup(no_bytes, setup),
        cmocka_unit_test_setup(memory_that_fails, setup),
        cmocka_unit_test_setup(read_bytes, setup),
        cmocka_unit_test_setup(write_byte, setup),
        cmocka_unit_test_setup(bytes_wait, setup),
        cmocka_unit_test_setup(legacy_timer, setup),
        cmocka_unit_test_setup(legacy_console, setup),
        cmocka_unit_test_setup(legacy_clear_ipi, setup),
        cmocka_unit_test_setup(legacy_shutdown, setup),
        cmocka_unit_test_setup(legacy_masks, setup_mask),
        cmocka_unit_test_setup(legacy_null_is_all, setup_mask),
        cmocka_unit_test_setup(legacy_fences, setup_mask),
        cmocka_unit_test_setup(legacy_faults_are_the_guests, setup_mask),
        cmocka_unit_test_setup(legacy_populates, setup_mask),
        cmocka_unit_test_setup(legacy_populates_without_htval, setup_mask),
        cmocka_unit_test_setup(legacy_mask_in_no_memory, setup_mask),
        cmocka_unit_test_setup(legacy_faults_end, setup_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
