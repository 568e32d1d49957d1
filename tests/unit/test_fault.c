// SPDX-License-Identifier: BSD-2-Clause
// Guest page faults: what address they are about, on harts that tell it and on harts that do not (htval and
// htinst 0), of the access itself and of the guest's page tables.
// units: vcpu/fault.c vcpu/insn.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/fault.h"
#include "vcpu/vcpu.h"

#define RAM 0x80000000ul
#define RAM_SIZE 0x1000000ul
#define UART 0x10000000ul
#define VA 0x4000001000ul
#define PT_READ 0x3000
#define PT_WRITE 0x3020

struct vcpu_features vcpu_features;
static struct guest guest;
static struct vcpu vcpu_storage, *const v = &vcpu_storage;
static struct stage2_ram ram;
static struct {
    uint64_t gpa;
    bool write;
} populated[4];
static unsigned populations, injected, accesses;
static int populate_error;
static uint64_t injected_cause, accessed;

/* The guest's tables, as the walk finds them. */
static struct vs_step tables[3];
static unsigned levels;
static int walk_result;
static uint64_t walk_gpa;

unsigned vcpu_walk_vs(struct stage2 *s2, uint64_t vsatp, gva_t va, struct vs_step steps[5],
                      gpa_t *out, int *result)
{
    assert_ptr_equal(s2, &guest.s2);
    assert_int_equal(vsatp, 0x8000000000080123);
    assert_int_equal(va.v, VA);
    memcpy(steps, tables, levels * sizeof(tables[0]));
    *out = gpa(walk_gpa);
    *result = walk_result;
    return levels;
}

const struct stage2_ram *stage2_find_ram(const struct stage2 *s2, gpa_t g)
{
    (void)s2;
    return g.v >= RAM && g.v < RAM + RAM_SIZE ? &ram : NULL;
}

int stage2_populate(struct stage2 *s2, gpa_t g, bool write)
{
    (void)s2;
    populated[populations].gpa = g.v;
    populated[populations++].write = write;
    return populate_error;
}

enum mmio_result bus_access(struct bus *bus, struct mmio_access *a)
{
    (void)bus;
    accesses++;
    accessed = a->gpa.v;
    a->value = 0x55;
    return MMIO_OK;
}

struct vdev *bus_find(struct bus *bus, gpa_t g)
{
    (void)bus;
    (void)g;
    return NULL;
}

void vcpu_inject(struct vcpu *vcpu, uint64_t cause, uint64_t tval)
{
    (void)vcpu;
    assert_int_equal(tval, VA);
    injected++;
    injected_cause = cause;
}

enum exit_result exit_crash(struct vcpu *vcpu, const char *what)
{
    vcpu->stop_reason = what;
    return EXIT_STOP;
}

/* lw a0, 0(a1), where the instruction has to be read. */
bool arch_guest_fetch(uint64_t pc, uint32_t *to, struct arch_fault *fault)
{
    (void)pc;
    (void)fault;
    *to = 0x0005a503;
    return true;
}

static bool relief; /* memory is on the way */
static bool no_memory(struct guest *g)
{
    assert_ptr_equal(g, &guest);
    return relief;
}
static const struct guest_ops ops = {.no_memory = no_memory};

static enum exit_result fault(uint64_t cause, uint64_t at, uint64_t htinst)
{
    populations = injected = accesses = 0;
    v->exit.cause = cause;
    v->exit.tval = VA;
    v->exit.htval = at >> 2;
    v->exit.htinst = htinst;
    return exit_guest_page_fault(v);
}

static int setup(void **state)
{
    (void)state;
    fake_arch_reset();
    memset(&guest, 0, sizeof(guest));
    memset(v, 0, sizeof(*v));
    v->guest = &guest;
    guest.ops = &ops;
    relief = false;
    v->pc = 0x80200000;
    guest.htinst_mask = UINT64_MAX;
    vcpu_features.htval = true;
    fake_csr_put(CSR_VSATP, 0x8000000000080123);
    populate_error = walk_result = 0;
    walk_gpa = RAM + 0x5000;
    levels = 3;
    for (unsigned i = 0; i < 3; i++)
        tables[i] = (struct vs_step){2 - i, gpa(RAM + 0x10000 + 0x1000 * i), i + 1, 0};
    return 0;
}

static void expect_populated(unsigned n, uint64_t at, bool write)
{
    assert_int_equal(populated[n].gpa, at);
    assert_int_equal(populated[n].write, write);
}

/* The instruction is run again, after others, until there is memory or the VM is stopped. */
static void test_waits_for_memory(void **state)
{
    (void)state;
    populate_error = -ENOMEM;
    relief = true;
    assert_int_equal(fault(CAUSE_STORE_GUEST_PAGE_FAULT, RAM, 0), EXIT_BLOCK);
    assert_true(v->yielding);
    assert_null(v->stop_reason);
    relief = v->yielding = false;
    assert_int_equal(fault(CAUSE_STORE_GUEST_PAGE_FAULT, RAM, 0), EXIT_STOP);
    assert_non_null(v->stop_reason);
    assert_false(v->yielding);
}

static void test_told(void **state)
{
    (void)state;
    walk_result = -1; /* nobody asks */
    levels = 0;
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, RAM + 0x2000, 0), EXIT_RESUME);
    expect_populated(0, RAM + 0x2000, false);
    assert_int_equal(fault(CAUSE_STORE_GUEST_PAGE_FAULT, RAM + 0x2000, 0), EXIT_RESUME);
    expect_populated(0, RAM + 0x2000, true);
    /* A load, whose hart wants to set A in a table. */
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, RAM + 0x2000, PT_WRITE), EXIT_RESUME);
    expect_populated(0, RAM + 0x2000, true);
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, RAM + 0x2000, PT_READ), EXIT_RESUME);
    expect_populated(0, RAM + 0x2000, false);
    assert_int_equal(populations, 1);
    /* Tables in a device. */
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, UART, PT_READ), EXIT_INJECT);
    assert_int_equal(injected_cause, CAUSE_LOAD_ACCESS);
    assert_int_equal(fault(CAUSE_STORE_GUEST_PAGE_FAULT, UART, PT_WRITE), EXIT_INJECT);
    assert_int_equal(injected_cause, CAUSE_STORE_ACCESS);
    assert_int_equal(fault(CAUSE_FETCH_GUEST_PAGE_FAULT, UART, PT_READ), EXIT_INJECT);
    assert_int_equal(injected_cause, CAUSE_FETCH_ACCESS);
    assert_int_equal(accesses + populations, 0);
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, UART, 0), EXIT_ADVANCE);
    assert_int_equal(accessed, UART);
    populate_error = -12;
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, RAM, 0), EXIT_STOP);
}

/* Neither htval nor htinst: the walk tells. */
static void check_not_told(uint64_t htval, uint64_t htinst)
{
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, htval, htinst), EXIT_RESUME);
    assert_int_equal(populations, 1);
    expect_populated(0, RAM + 0x5000, false);
    assert_int_equal(fault(CAUSE_STORE_GUEST_PAGE_FAULT, htval, htinst), EXIT_RESUME);
    expect_populated(0, RAM + 0x5000, true);
    /* Hardware sets A and D: the leaf's entry must be writable, and then the page itself is there too: a fault that
     * is only about the one would come again and again. */
    v->fwft.henvcfg = HENVCFG_ADUE;
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, htval, htinst), EXIT_RESUME);
    assert_int_equal(populations, 2);
    expect_populated(0, RAM + 0x12000 + 3 * 8, true);
    expect_populated(1, RAM + 0x5000, false);
    populate_error = -12;
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, htval, htinst), EXIT_STOP);
    assert_int_equal(populations, 1);
    populate_error = 0;
    /* A table in a device, and where nothing is; the walk did not come past it. */
    tables[1].table = gpa(UART);
    levels = 2;
    walk_result = -1;
    assert_int_equal(fault(CAUSE_STORE_GUEST_PAGE_FAULT, htval, htinst), EXIT_INJECT);
    assert_int_equal(injected_cause, CAUSE_STORE_ACCESS);
    tables[0].table = gpa(RAM + RAM_SIZE);
    levels = 1;
    assert_int_equal(fault(CAUSE_FETCH_GUEST_PAGE_FAULT, htval, htinst), EXIT_INJECT);
    assert_int_equal(injected_cause, CAUSE_FETCH_ACCESS);
    assert_int_equal(populations + accesses, 0);
    /* The tables changed: the guest finds out itself. */
    tables[0].table = gpa(RAM);
    assert_int_equal(fault(CAUSE_STORE_GUEST_PAGE_FAULT, htval, htinst), EXIT_RESUME);
    assert_int_equal(accesses + injected, 0);
    assert_int_equal(populations, 1);
    expect_populated(0, RAM + 8, false);
    /* Or it could not be read, for want of memory: no fault that comes again and again. */
    populate_error = -12;
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, htval, htinst), EXIT_STOP);
    populate_error = 0;
    /* A device, and a jump into one. */
    walk_result = 0;
    walk_gpa = UART + 4;
    guest.htinst_mask = 0;
    v->fwft.henvcfg = 0;
    assert_int_equal(fault(CAUSE_LOAD_GUEST_PAGE_FAULT, htval, htinst), EXIT_ADVANCE);
    assert_int_equal(accessed, UART + 4);
    assert_int_equal(v->gpr[10], 0x55);
    assert_int_equal(fault(CAUSE_FETCH_GUEST_PAGE_FAULT, htval, htinst), EXIT_INJECT);
    assert_int_equal(injected_cause, CAUSE_FETCH_ACCESS);
}

static void test_not_told(void **state)
{
    (void)state;
    check_not_told(0, 0);
}

/* The option nohtval: what the hart tells is not looked at. */
static void test_not_asked(void **state)
{
    (void)state;
    vcpu_features.htval = false;
    check_not_told(RAM + 0x7770, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_waits_for_memory, setup),
        cmocka_unit_test_setup(test_told, setup),
        cmocka_unit_test_setup(test_not_told, setup),
        cmocka_unit_test_setup(test_not_asked, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
