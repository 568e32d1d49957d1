// SPDX-License-Identifier: BSD-2-Clause
// What is found about a firmware that takes page faults first, or loses them: beside a machine whose traps have prices.
// units: hyp/boot/delegation.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/log.h"
#include "boot/delegation.h"
#include "mem/frame.h"
#include "stage2/stage2.h"
#include "vcpu/vcpu.h"

enum { TRAP = 75, LOAD = 36, FIRMWARE = 300 };
#define ROOT 0x80004000ul

struct vcpu_features vcpu_features;
uint32_t stage2_modes;
static bool first_13, first_21, no_memory, allocated;
static uint64_t cause_21, noise;
static char said[400];
static unsigned looks;

void log_write(enum log_level level, const char *fmt, ...)
{
    size_t at = strlen(said);
    va_list ap;

    assert_int_equal(level, LOG_WARN);
    va_start(ap, fmt);
    vsnprintf(said + at, sizeof(said) - at, fmt, ap);
    va_end(ap);
}

int frame_alloc(unsigned order, enum frame_state state, uint16_t owner, pa_t *out)
{
    assert_int_equal(order, FRAME_ORDER_16K);
    assert_int_equal(state, FRAME_HYP);
    assert_int_equal(owner, OWNER_HYP);
    *out = pa(ROOT);
    allocated = !no_memory;
    return no_memory ? -ENOMEM : 0;
}
void frame_put_range(pa_t p, uint64_t size)
{
    assert_int_equal(p.v, ROOT);
    assert_int_equal(size, 16384);
    /* Nobody may walk it any more. */
    assert_int_equal(csr_read(CSR_VSATP) | csr_read(CSR_HGATP), 0);
    assert_int_equal(fake_fence_count(FENCE_GVMA_ALL, 0), ++looks);
    allocated = false;
}
uint64_t direct_offset;
void arch_zero_page_run(void *hva, size_t bytes)
{
    (void)hva;
    assert_int_equal(bytes, 16384);
}

static void retire(uint64_t n)
{
    csr_write(CSR_INSTRET, csr_read(CSR_INSTRET) + n + noise);
    noise = noise ? noise - 1 : 0;
}
void arch_breakpoint_probe(void) { retire(TRAP); }

static bool guest_load(uint64_t gva, void *to, unsigned width, struct arch_fault *fault)
{
    bool guest = !csr_read(CSR_VSATP);

    (void)to;
    assert_int_equal(width, 8);
    assert_true(gva < GIB(1));
    assert_true(allocated);
    assert_int_equal(csr_read(guest ? CSR_HGATP : CSR_VSATP) & HGATP_PPN_MASK, ROOT >> 12);
    assert_true(guest || !csr_read(CSR_HGATP));
    if (guest)
        assert_int_equal(csr_read(CSR_HGATP) >> 60, STAGE2_SV48X4);
    retire(TRAP + LOAD + (guest ? first_21 : first_13) * FIRMWARE);
    *fault = (struct arch_fault){.cause = guest ? cause_21 : CAUSE_LOAD_PAGE_FAULT};
    return guest && !cause_21;
}

static int setup(void **state)
{
    (void)state;
    fake_arch_reset();
    fake_guest_load = guest_load;
    vcpu_features.instret = true;
    stage2_modes = 1 << STAGE2_SV48X4 | 1 << STAGE2_SV57X4;
    first_13 = first_21 = no_memory = false;
    cause_21 = CAUSE_LOAD_GUEST_PAGE_FAULT;
    noise = looks = 0;
    said[0] = 0;
    return 0;
}

static void look(void)
{
    struct delegation d;

    assert_true(delegation_measure(&d));
    assert_false(allocated);
    assert_int_equal(d.breakpoint, TRAP);
    delegation_tell(&d);
}

static void test_delegated(void **state)
{
    (void)state;
    noise = 60; /* an interrupt of the firmware, a cold cache: not always */
    look();
    assert_string_equal(said, "");
}

static void test_taken_first(void **state)
{
    (void)state;
    first_13 = true;
    look();
    assert_non_null(strstr(said, "takes guests' page faults first"));
    assert_non_null(strstr(said, "costs 411 instructions, not 75"));
    assert_null(strstr(said, "guest page faults"));
    said[0] = 0;
    first_13 = false;
    first_21 = true;
    look();
    assert_non_null(strstr(said, "takes guest page faults first"));
    assert_null(strstr(said, "guests' page faults"));
}

static void test_lost(void **state)
{
    (void)state;
    cause_21 = CAUSE_LOAD_ACCESS;
    look();
    assert_non_null(strstr(said, "guest page faults arrive as cause 5: no guest can run"));
    said[0] = 0;
    cause_21 = 0; /* the load does not even trap */
    look();
    assert_non_null(strstr(said, "guest page faults arrive as cause -1"));
}

static void test_cannot_be_measured(void **state)
{
    struct delegation d;

    (void)state;
    no_memory = true;
    assert_false(delegation_measure(&d));
    no_memory = false;
    vcpu_features.instret = false;
    assert_false(delegation_measure(&d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_delegated, setup),
        cmocka_unit_test_setup(test_taken_first, setup),
        cmocka_unit_test_setup(test_lost, setup),
        cmocka_unit_test_setup(test_cannot_be_measured, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
