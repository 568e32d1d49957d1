// SPDX-License-Identifier: BSD-2-Clause
// The crash report: what it says of RAM, devices, holes, page tables that lead nowhere; never
// more than its buffer.
// units: vcpu/report.c vcpu/walk_vs.c vcpu/insn.c vcpu/insn_describe.c hyp/ctl/console.c hyp/ctl/scrollback.c
// units: hyp/ctl/terminal.c stage2/stage2.c stage2/walk.c stage2/map.c stage2/change.c
// units: stage2/dirty.c stage2/flush.c stage2/vmid.c stage2/populate.c stage2/image.c stage2/guest_mem.c
// units: hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c vdev/bus.c tests/fake/fake_base.c hyp/mem/frame_run.c hyp/vm/bundle_memory.c
// units: tests/fake/fake_mem.c tests/fake/fake_xcall.c tests/fake/fake_vm.c tests/fake/fake_heap.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "fake_vm.h"
#include "vcpu/report.h"

#define RAM 0x80000000ul

static struct vm *vm;
static struct vcpu *v;
static char text[REPORT_SIZE], logged[4096];

void log_write(enum log_level level, const char *fmt, ...)
{
    size_t at = strlen(logged);
    va_list ap;

    assert_int_equal(level, LOG_ERROR);
    va_start(ap, fmt);
    vsnprintf(logged + at, sizeof(logged) - at, fmt, ap);
    va_end(ap);
    strcat(logged, "|");
}

static void poke(uint64_t g, const void *what, size_t len)
{
    assert_int_equal(guest_mem_write(&vm->guest.s2, gpa(g), what, len), 0);
}

static const struct vdev_ops ops = {.type = "ns16550a"};
static struct vdev uart = {.ops = &ops, .name = "uart0", .size = 0x100};

static int setup(void **state)
{
    uint32_t load = 0x0005a503; /* lw a0,0(a1) */

    (void)state;
    fake_vms_start();
    vm = fake_vm_add("vm0", 1, VM_CRASHED);
    v = vm->guest.vcpu[0];
    uart.base = gpa(0x10000000);
    assert_int_equal(bus_add(&vm->guest.bus, &uart), 0);
    poke(RAM + 0x1000, &load, 4);
    v->pc = RAM + 0x1000;
    v->hstatus = HSTATUS_SPVP;
    v->exit.cause = CAUSE_LOAD_GUEST_PAGE_FAULT;
    v->exit.tval = 0x10005003;
    v->exit.htval = 0x10005003 >> 2;
    logged[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vms_end();
    return 0;
}

static void has(const char *what)
{
    if (!strstr(text, what))
        fail_msg("no \"%s\" in:\n%s", what, text);
}

static void report(void)
{
    report_guest_fault(v, "an access to an address where nothing is", text, sizeof(text));
    assert_true(strlen(text) < sizeof(text) - 1); /* nothing was cut */
}

static void test_nothing_there(void **state)
{
    (void)state;
    report();
    has("vm0: an access to an address where nothing is\n");
    has("vCPU 0 (hart id 0), VS-mode, pc 0x80001000");
    has("instruction: 0005a503  lw a0,0(a1)\n");
    has("load-guest-page (cause 21), stval 0x10005003, htval 0x4001400, htinst 0\n");
    has("VS-stage (Bare): gpa 0x10005003\n");
    has("gva 0x10005003, gpa 0x10005003\n");
    has("G-stage (Sv39x4): ");
    has("not mapped\n");
    has("RAM: 0x80000000 to 0x81000000\n");
    has("device at or below it: uart0, 0x10000000 to 0x10000100\n");
    has("check: nothing is there");
}

static void test_advice(void **state)
{
    (void)state;
    v->exit.tval = RAM + MIB(16);
    v->exit.htval = v->exit.tval >> 2;
    report();
    has("past the end of RAM");
    v->exit.htval = 0x10000004 >> 2;
    report();
    has("it is a device");
    v->exit.htval = (RAM + 0x1000) >> 2;
    report();
    has("check: it is RAM");
    has("hpa 0x");
    v->exit.cause = CAUSE_VIRTUAL_INSTRUCTION;
    report();
    has("check: `regs` and `exits`");
    assert_null(strstr(text, "G-stage"));
    v->exit.cause = 1ul << 63 | 5;
    report();
    has("(cause 5)");
}

/* The guest's tables decide for pc and gva. */
static void test_paging(void **state)
{
    uint64_t pte = (RAM >> 12 << 10) | 0xCF, half = 0x4188;

    (void)state;
    v->csr.vsatp = 8ul << 60 | (RAM + 0x3000) >> 12;
    poke(RAM + 0x3000 + 8 * 511, &pte, 8);
    poke(RAM + 0x2000, &half, 2);
    v->pc = 0xffffffffc0002000;
    v->hstatus = 0;
    v->exit.tval = 0xffffffffc0000000 + MIB(20);
    v->exit.htval = 0; /* no Shtvala */
    report();
    has("VU-mode");
    has("instruction: 4188  c.lw a0,0(a1)\n");
    has("VS-stage (Sv39): level 2 entry 511 of table 0x80003000 is 0x200000cf: gpa 0x81400000\n");
    has("gpa 0x81400000\n");
    v->exit.tval = 0x1000;
    report();
    has("no translation\n");
    has("gva 0x1000 has no gpa\n");
    v->csr.vsatp = 3ul << 60;
    v->exit.cause = CAUSE_FETCH_ACCESS;
    report();
    has("instruction: cannot be read\n");
    has("VS-stage (?): no translation\n");
    /* Loaded: vsatp is the hart's. */
    atomic_store(&v->loaded_hart, 0);
    fake_csr[CSR_VSATP] = 0;
    fake_csr[CSR_HSTATUS] = HSTATUS_SPVP;
    v->exit.tval = 0x10005003;
    report();
    has("VS-stage (Bare): gpa 0x10005003\n");
    has("VS-mode");
}

static void test_bounds(void **state)
{
    char small[200], whole[REPORT_SIZE];

    (void)state;
    report_guest_fault(v, "x", whole, sizeof(whole));
    for (size_t size = 0; size < sizeof(small); size++) {
        memset(small, '#', sizeof(small));
        report_guest_fault(v, "x", small, size);
        if (size) {
            assert_int_equal(strlen(small), size - 1);
            assert_memory_equal(small, whole, size - 1);
        }
        assert_int_equal(small[size], '#');
    }
    /* The longest there can be. */
    v->exit.tval = v->exit.htinst = v->gpr[1] = v->gpr[2] = v->pc = ~0ul;
    v->csr.vsatp = 0;
    v->exit.htval = (RAM - 1) >> 2;
    memset(vm->config.name, 'n', VM_NAME_MAX - 1);
    report();
}

static void test_log(void **state)
{
    char line[256];
    const char *at = logged;

    (void)state;
    report_log(v, "what");
    assert_memory_equal(logged, "vm0: what|  vCPU 0", 18);
    assert_null(strchr(logged, '\n'));
    while (*at) {
        size_t len = strcspn(at, "|");
        assert_true(len > 0 && len < sizeof(line) - 32); /* fits into a line of the log */
        at += len + 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_advice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paging, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
