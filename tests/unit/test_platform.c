// SPDX-License-Identifier: BSD-2-Clause
// units: hyp/boot/platform.c hyp/boot/platform_cpu.c hyp/boot/platform_dev.c hyp/boot/platform_fdt.c hyp/base/fmt.c tests/fake/fake_base.c
// Host discovery over trees of real and odd machines (tests/unit/dts, compiled by dtc when this
// runs), and over thousands of damaged ones.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "boot/platform.h"

static struct platform p;
static char warnings[64][160];
static unsigned warning_count;
static const char *problem;

static void on_warn(const char *line)
{
    if (warning_count < 64)
        snprintf(warnings[warning_count], sizeof(warnings[0]), "%s", line);
    warning_count++;
}

static bool warned(const char *what)
{
    for (unsigned i = 0; i < warning_count && i < 64; i++)
        if (strstr(warnings[i], what))
            return true;
    return false;
}

static int read_tree(const void *fdt)
{
    warning_count = 0;
    problem = NULL;
    return platform_read(fdt, &p, &problem, on_warn);
}

/* The compiled tree, with room to grow; for free(). */
static void *load(const char *name)
{
    char command[128];
    size_t room = 65536;
    char *fdt = malloc(room);
    snprintf(command, sizeof(command), "dtc -q -I dts -O dtb tests/unit/dts/%s.dts", name);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(fdt, 1, room, f);
    assert_int_equal(pclose(f), 0);
    assert_true(n > 0 && n < room / 2);
    return fdt;
}

static void *load_and_read(const char *name)
{
    void *fdt = load(name);
    if (read_tree(fdt))
        fail_msg("%s: %s", name, problem);
    return fdt;
}

static void test_qemu(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned harts;
    } in[] = {{"virt1", 1}, {"virt4", 4}, {"virt8", 8}};
    for (unsigned m = 0; m < 3; m++) {
        void *fdt = load_and_read(in[m].name);
        assert_int_equal(warning_count, 0);
        assert_string_equal(p.model, "riscv-virtio,qemu");
        assert_int_equal(p.bank_count, 1);
        assert_int_equal(p.bank[0].base, 0x80000000);
        assert_int_equal(p.bank[0].size, 0x80000000);
        assert_int_equal(p.timebase_hz, 10000000);
        assert_int_equal(p.hart_count, in[m].harts);
        for (unsigned i = 0; i < p.hart_count; i++) {
            assert_true(p.hart[i].usable);
            assert_null(p.hart[i].why_not);
            assert_int_equal(p.hart[i].irq_context, 2 * p.hart[i].hartid + 1);
        }
        assert_string_equal(p.mmu_type, "sv57");
        assert_int_equal(p.cboz_block, 64);
        assert_int_equal(p.cbom_block, 64);
        assert_true(platform_has(&p, "h") && platform_has(&p, "sstc") &&
                    platform_has(&p, "zicbom"));
        assert_false(platform_has(&p, "sst") || platform_has(&p, "v") || platform_has(&p, ""));
        assert_int_equal(p.uart.kind, UART_NS16550);
        assert_int_equal(p.uart.regs.base, 0x10000000);
        assert_int_equal(p.uart.irq, 10);
        assert_int_equal(p.uart.reg_shift, 0);
        assert_int_equal(p.uart.reg_io_width, 1);
        assert_int_equal(p.uart.clock_hz, 3686400);
        assert_string_equal(p.uart.path, "/soc/serial@10000000");
        assert_int_equal(p.plic.regs.base, 0xc000000);
        assert_int_equal(p.plic.regs.size, 0x600000);
        assert_int_equal(p.plic.sources, 95);
        assert_int_equal(p.rtc.base, 0x101000);
        assert_int_equal(p.rtc.size, 0x1000);
        assert_int_equal(p.virtio_count, 8);
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(p.virtio[i].regs.base, 0x10008000 - 0x1000 * i); /* the tree's order */
            assert_int_equal(p.virtio[i].irq, 8 - i);
        }
        assert_int_equal(p.rng_seed_len, 32);
        assert_string_equal(p.bootargs, "");
        assert_int_equal(p.initrd.size, 0);
        free(fdt);
    }
}

static void test_p550(void **state)
{
    (void)state;
    void *fdt = load_and_read("p550");
    assert_int_equal(p.timebase_hz, 1000000);
    assert_string_equal(p.isa, "i m a f d c h zicsr zifencei zba zbb sscofpmf");
    assert_false(platform_has(&p, "sstc"));
    assert_string_equal(p.mmu_type, "sv48");
    assert_int_equal(p.cboz_block, 0);
    assert_int_equal(p.bank[0].size, 0x400000000);
    assert_int_equal(p.uart.kind, UART_NS16550);
    assert_int_equal(p.uart.reg_shift, 2);
    assert_int_equal(p.uart.reg_io_width, 4);
    assert_true(p.uart.dw_apb);
    assert_int_equal(p.uart.irq, 100);
    assert_int_equal(p.uart.baud, 115200);
    assert_string_equal(p.uart.path, "/soc/serial@50900000");
    assert_int_equal(p.plic.sources, 520);
    assert_int_equal(p.hart[0].irq_context, 1);
    assert_int_equal(p.hart[1].irq_context, 3);
    /* The block and the node that say the same are one; the disabled one is not there. */
    assert_int_equal(p.reserved_count, 3);
    assert_int_equal(p.reserved[0].base, 0x80000000);
    assert_int_equal(p.reserved[0].size, 0x80000);
    assert_int_equal(p.reserved[1].base, 0xb0000000);
    assert_int_equal(p.reserved[1].size, 0x10000000);
    assert_int_equal(p.reserved[2].base, 0x100000000);
    assert_string_equal(p.bootargs, "keep stats");
    assert_int_equal(p.initrd.base, 0x88300000);
    assert_int_equal(p.initrd.size, 0x1d00000);
    free(fdt);
}

static void test_k3(void **state)
{
    (void)state;
    void *fdt = load_and_read("k3");
    assert_int_equal(p.bank_count, 2); /* two that touch are one */
    assert_int_equal(p.bank[0].base, 0x100000000);
    assert_int_equal(p.bank[0].size, 0x100000000);
    assert_int_equal(p.bank[1].base, 0x800000000);
    assert_int_equal(p.bank[1].size, 0x200000000);
    assert_int_equal(p.hart_count, 4);
    assert_true(p.hart[0].usable && p.hart[1].usable);
    assert_int_equal(p.hart[2].hartid, 8);
    assert_false(p.hart[2].usable);
    assert_string_equal(p.hart[3].why_not, "no H extension");
    assert_true(platform_has(&p, "v") && platform_has(&p, "zbb") && platform_has(&p, "ssaia"));
    assert_string_equal(p.mmu_type, "sv39");
    assert_int_equal(p.cbom_block, 64);
    assert_int_equal(p.cboz_block, 0); /* the harts differ */
    assert_int_equal(p.plic.regs.size, 0);
    /* The supervisor's of two APLICs, which sends messages; the machine's is not ours. */
    assert_int_equal(p.aplic.regs.base, 0xd4804000);
    assert_true(p.aplic.msi);
    assert_int_equal(p.aplic.sources, 512);
    assert_int_equal(p.aplic.imsic_ids, 511);
    assert_int_equal(p.hart[0].irq_context, 0);
    assert_int_equal(p.hart[1].irq_context, 1);
    assert_int_equal(p.hart[2].irq_context, UINT32_MAX);
    assert_int_equal(p.uart.kind, UART_NS16550);
    assert_int_equal(p.uart.regs.base, 0xd4017000); /* through the bus's ranges */
    assert_int_equal(p.uart.irq & PLATFORM_IRQ_NUMBER, 42);
    assert_int_equal(p.uart.irq >> PLATFORM_IRQ_TYPE, 4);
    free(fdt);
}

static void test_titan(void **state)
{
    (void)state;
    void *fdt = load_and_read("titan");
    assert_string_equal(p.model, "ultrarisc,dp1000");
    assert_int_equal(p.timebase_hz, 10000000);
    assert_int_equal(p.hart_count, 5);
    assert_int_equal(p.hart[0].hartid, 0x10);
    assert_true(p.hart[0].usable && p.hart[1].usable);
    assert_string_equal(p.hart[2].why_not, "disabled");
    assert_string_equal(p.hart[3].why_not, "not RV64");
    assert_string_equal(p.hart[4].why_not, "no MMU");
    assert_int_equal(p.hart[0].irq_context, 1);
    assert_int_equal(p.hart[1].irq_context, 4);
    assert_int_equal(p.hart[2].irq_context, 8);
    assert_int_equal(p.hart[3].irq_context, 10);
    assert_string_equal(p.isa, "i m a f d zicsr zifencei c h zba zbb svinval");
    assert_string_equal(p.mmu_type, "sv48");
    assert_int_equal(p.bank[0].size, 0x380000000); /* a node without a unit address */
    assert_int_equal(p.uart.irq, 17); /* interrupts-extended; found by the alias */
    assert_int_equal(p.uart.baud, 57600);
    assert_string_equal(p.bootargs, "");
    free(fdt);
}

/* --- single changes to a good tree --- */

static void *base_tree(void)
{
    void *fdt = load("virt4");
    assert_int_equal(fdt_open_into(fdt, fdt, 65536), 0);
    return fdt;
}

static int at(void *fdt, const char *path)
{
    int node = fdt_path_offset(fdt, path);
    assert_true(node >= 0);
    return node;
}

static void check_problem(void *fdt, const char *want)
{
    assert_int_equal(read_tree(fdt), -EINVAL);
    assert_non_null(problem);
    if (!strstr(problem, want))
        fail_msg("\"%s\" is not \"%s\"", problem, want);
    free(fdt);
}

static void test_what_is_missing(void **state)
{
    (void)state;
    void *fdt = base_tree();
    fdt_del_node(fdt, at(fdt, "/memory@80000000"));
    check_problem(fdt, "/memory");

    fdt = base_tree();
    fdt_del_node(fdt, at(fdt, "/cpus"));
    check_problem(fdt, "/cpus");

    fdt = base_tree();
    fdt_delprop(fdt, at(fdt, "/cpus"), "timebase-frequency");
    check_problem(fdt, "timebase");

    fdt = base_tree();
    for (int i = 0; i < 4; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/cpus/cpu@%d", i);
        fdt_setprop_string(fdt, at(fdt, path), "riscv,isa-extensions", "i");
    }
    check_problem(fdt, "no hart");

    fdt = base_tree();
    fdt_setprop_string(fdt, at(fdt, "/memory@80000000"), "status", "disabled");
    check_problem(fdt, "/memory");

    fdt = base_tree();
    fdt_setprop(fdt, at(fdt, "/memory@80000000"), "reg", "abc", 3);
    check_problem(fdt, "/memory");

    fdt = base_tree();
    fdt_set_magic(fdt, 0);
    check_problem(fdt, "damaged");
    fdt = base_tree();
    fdt_set_version(fdt, 15); /* its nodes would have no names */
    fdt_set_last_comp_version(fdt, 15);
    check_problem(fdt, "damaged");
    fdt = base_tree();
    fdt_set_off_mem_rsvmap(fdt, fdt_off_mem_rsvmap(fdt) - 4);
    check_problem(fdt, "damaged");
}

static void expect_sbi_console(void *fdt, const char *warning)
{
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.uart.kind, UART_NONE);
    assert_int_equal(warned(warning), warning[0] != '\0');
}

static void test_uart(void **state)
{
    (void)state;
    void *fdt = base_tree();
    const char *uart = "/soc/serial@10000000";
    fdt_setprop_string(fdt, at(fdt, uart), "compatible", "sifive,uart0");
    expect_sbi_console(fdt, "no driver");
    fdt_setprop_string(fdt, at(fdt, uart), "compatible", "ns16550a");
    fdt_setprop_u32(fdt, at(fdt, uart), "reg-io-width", 2);
    expect_sbi_console(fdt, "reg-io-width");
    fdt_setprop_u32(fdt, at(fdt, uart), "reg-io-width", 4);
    expect_sbi_console(fdt, "reg-io-width"); /* with shift 0 the registers would overlap */
    fdt_setprop_u32(fdt, at(fdt, uart), "reg-io-width", 1);
    fdt_setprop_u32(fdt, at(fdt, uart), "reg-shift", 70);
    expect_sbi_console(fdt, "reg-shift");
    fdt_setprop_u32(fdt, at(fdt, uart), "reg-shift", 2);
    fdt_setprop_u32(fdt, at(fdt, uart), "reg-offset", 0x1000);
    expect_sbi_console(fdt, "firmware");
    fdt_setprop_u32(fdt, at(fdt, uart), "reg-offset", 0x40);
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.uart.regs.base, 0x10000040);
    fdt_setprop_string(fdt, at(fdt, uart), "status", "disabled");
    expect_sbi_console(fdt, "no driver");
    fdt_setprop_string(fdt, at(fdt, uart), "status", "ok");
    fdt_setprop_string(fdt, at(fdt, "/chosen"), "stdout-path", "serial0:9600n8");
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.uart.baud, 9600);
    fdt_setprop_string(fdt, at(fdt, "/aliases"), "ring", "ring");
    fdt_setprop_string(fdt, at(fdt, "/chosen"), "stdout-path", "ring");
    expect_sbi_console(fdt, "");
    fdt_setprop_string(fdt, at(fdt, "/chosen"), "stdout-path", "nowhere");
    expect_sbi_console(fdt, "");
    fdt_delprop(fdt, at(fdt, "/chosen"), "stdout-path");
    fdt_del_node(fdt, at(fdt, "/aliases"));
    expect_sbi_console(fdt, "");
    fdt_del_node(fdt, at(fdt, uart));
    fdt_del_node(fdt, at(fdt, "/chosen"));
    expect_sbi_console(fdt, "");
    free(fdt);
}

/* Others than the console's, by number in the tree's order, or by address. */
static void test_more_uarts(void **state)
{
    static const char *const none[] = {"uart3",
                                       "uart",
                                       "uart1x",
                                       "uart-1",
                                       "0x",
                                       "0x10010000x",
                                       "",
                                       "1",
                                       "serial1",
                                       "0x1",
                                       "0x10000000000000000"};
    void *fdt = base_tree();
    fdt64_t regs[2] = {cpu_to_fdt64(0x10010000), cpu_to_fdt64(0x1000)};

    (void)state;
    for (unsigned i = 0; i < 3; i++) { /* a new node comes first */
        char name[32];
        int node;

        snprintf(name, sizeof(name), "serial@100%u0000", 3 - i);
        node = fdt_add_subnode(fdt, at(fdt, "/soc"), name);
        assert_true(node >= 0);
        regs[0] = cpu_to_fdt64(0x10000000 + 0x10000 * (3 - i));
        assert_int_equal(fdt_setprop(fdt, node, "reg", regs, sizeof(regs)), 0);
        fdt_setprop_string(fdt, node, "compatible", i == 1 ? "arm,pl011" : "snps,dw-apb-uart");
        fdt_setprop_u32(fdt, node, "reg-shift", 2);
        fdt_setprop_u32(fdt, node, "clock-frequency", 24000000);
    }
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.more_uart_count, 2);
    assert_ptr_equal(platform_find_uart(&p, "uart0"), &p.uart);
    assert_ptr_equal(platform_find_uart(&p, "0x10000000"), &p.uart);
    assert_ptr_equal(platform_find_uart(&p, "uart1"), &p.more_uarts[0]);
    assert_ptr_equal(platform_find_uart(&p, "0x10030000"), &p.more_uarts[1]);
    assert_null(platform_find_uart(&p, "0x10020000"));
    for (unsigned i = 0; i < ARRAY_LEN(none); i++)
        assert_null(platform_find_uart(&p, none[i]));
    assert_string_equal(p.more_uarts[0].path, "/soc/serial@10010000");
    assert_int_equal(p.more_uarts[0].clock_hz, 24000000);
    assert_int_equal(p.more_uarts[0].baud, 115200);
    assert_true(p.more_uarts[0].dw_apb);
    p.uart.kind = UART_NONE;
    assert_null(platform_find_uart(&p, "uart0"));
    free(fdt);
}

static void test_no_plic(void **state)
{
    (void)state;
    void *fdt = base_tree();
    fdt_del_node(fdt, at(fdt, "/soc/plic@c000000"));
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.plic.regs.size, 0);
    assert_int_equal(p.uart.irq, 0);
    assert_int_equal(p.virtio_count, 8);
    assert_int_equal(p.virtio[0].irq, 0);
    free(fdt);
}

static void test_initrd(void **state)
{
    (void)state;
    void *fdt = base_tree();
    fdt_setprop_u64(fdt, at(fdt, "/chosen"), "linux,initrd-start", 0x84200000);
    fdt_setprop_u64(fdt, at(fdt, "/chosen"), "linux,initrd-end", 0x84200000);
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.initrd.size, 0);
    assert_true(warned("no sense"));
    fdt_setprop_u32(fdt, at(fdt, "/chosen"), "linux,initrd-end",
                    0x84201000); /* one cell is fine too */
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.initrd.size, 0x1000);
    assert_int_equal(warning_count, 0);
    char seed[200];
    memset(seed, 7, sizeof(seed));
    fdt_setprop(fdt, at(fdt, "/chosen"), "rng-seed", seed, sizeof(seed));
    fdt_setprop(fdt, at(fdt, "/chosen"), "bootargs", "abc", 3); /* not terminated */
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.rng_seed_len, 64);
    assert_string_equal(p.bootargs, "");
    free(fdt);
}

static void add_memory(void *fdt, int parent, const char *name, uint64_t base, uint64_t size)
{
    int node = fdt_add_subnode(fdt, parent, name);
    assert_true(node >= 0);
    fdt_setprop_string(fdt, node, "device_type", "memory");
    fdt_setprop_u64(fdt, node, "reg", base);
    fdt_appendprop_u64(fdt, node, "reg", size);
}

static void test_banks(void **state)
{
    (void)state;
    void *fdt = base_tree();
    char name[32];
    add_memory(fdt, 0, "memory@wrap", UINT64_MAX - 0xFFF, 0x2000);
    add_memory(fdt, 0, "memory@zero", 0x40000000, 0);
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.bank_count, 1);
    assert_true(warned("left out"));
    add_memory(fdt, 0, "memory@\x1b[2J\n", UINT64_MAX - 0xFFF, 0x2000);
    assert_int_equal(read_tree(fdt), 0);
    assert_true(warned("memory@?[2J?: "));
    /* One that reaches from one bank into another: they are one. */
    add_memory(fdt, 0, "memory@1000000000", 0x1000000000, 0x10000000);
    add_memory(fdt, 0, "memory@1040000000", 0x1040000000, 0x10000000);
    add_memory(fdt, 0, "memory@1008000000", 0x1008000000, 0x40000000);
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.bank_count, 2);
    const struct platform_range *b = &p.bank[p.bank[0].base == 0x80000000];
    assert_int_equal(b->base, 0x1000000000);
    assert_int_equal(b->size, 0x50000000);
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "memory@%x00000000", i + 1);
        add_memory(fdt, 0, name, (uint64_t)(i + 1) << 32, 0x10000000);
    }
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.bank_count, PLATFORM_BANKS);
    assert_true(warned("too many banks"));
    free(fdt);
}

static bool covered(uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < p.reserved_count; i++)
        if (base >= p.reserved[i].base &&
            range_ok(base - p.reserved[i].base, size, p.reserved[i].size))
            return true;
    return false;
}

/* More than fit, in mixed order: each byte reserved stays so, and the list stays sorted and disjoint. */
static void test_reservations(void **state)
{
    (void)state;
    void *fdt = base_tree();
    int node = fdt_add_subnode(fdt, 0, "reserved-memory");
    fdt_setprop_u32(fdt, node, "#address-cells", 2);
    fdt_setprop_u32(fdt, node, "#size-cells", 2);
    fdt_setprop(fdt, node, "ranges", "", 0);
    enum { N = 150 };
    for (unsigned i = 0; i < N; i++) {
        char name[32];
        unsigned k = i * 67 % N;
        snprintf(name, sizeof(name), "r@%x", k);
        add_memory(fdt, at(fdt, "/reserved-memory"), name,
                   0x80000000 + k * 0x100000ul * (1 + k % 3), 0x1000 * (1 + k % 5));
    }
    add_memory(fdt, at(fdt, "/reserved-memory"), "top", UINT64_MAX - 0xFFF, 0x1000);
    fdt_add_mem_rsv(fdt, 0x90000000, 0x1234);
    assert_int_equal(read_tree(fdt), 0);
    assert_true(p.reserved_count <= PLATFORM_RESERVED);
    assert_true(warned("joined"));
    for (unsigned k = 0; k < N; k++)
        assert_true(covered(0x80000000 + k * 0x100000ul * (1 + k % 3), 0x1000 * (1 + k % 5)));
    assert_true(covered(0x90000000, 0x1234));
    assert_false(covered(0x7FFFF000, 0x1000));
    for (unsigned i = 0; i + 1 < p.reserved_count; i++)
        assert_true(p.reserved[i].base + p.reserved[i].size < p.reserved[i + 1].base);
    free(fdt);
}

static void test_many_harts(void **state)
{
    (void)state;
    void *fdt = base_tree();
    for (unsigned i = 4; i < 70; i++) {
        char name[16];
        snprintf(name, sizeof(name), "cpu@%x", 2 * i);
        int node = fdt_add_subnode(fdt, at(fdt, "/cpus"), name);
        fdt_setprop_string(fdt, node, "device_type", "cpu");
        fdt_setprop_u32(fdt, node, "reg", 2 * i);
        fdt_setprop_string(fdt, node, "riscv,isa", "rv64imafdch");
    }
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.hart_count, 64);
    assert_int_equal(p.harts_left_out, 6);
    free(fdt);

    fdt = base_tree();
    fdt_setprop_u32(fdt, at(fdt, "/cpus/cpu@2"), "reg", 1); /* two that claim one id */
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.hart_count, 3);
    assert_true(warned("no hart id"));
    free(fdt);
}

static void test_isa_strings(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want;
    } s[] = {
        {"rv64imafdch", "i m a f d c h"},
        {"rv64imafdchsu", "i m a f d c h"},
        {"rv64i2p1m2p0a2h1p0_zicsr2p0_sstc1_zvl128b", "i m a h zicsr sstc zvl128b"},
        {"rv64gh_b", "i m a f d zicsr zifencei h b zba zbb zbs"},
        {"rv64ihzicsr", "i h zicsr"},
        {"rv64ih__zba___", "i h zba"},
        {"rv64ih_zaveryveryveryveryverylongnamethatnobodyhas_zba", "i h zba"},
        {"rv64ih_zba_zba_zba", "i h zba"},
        {"rv64ih!?_zbb", "i h zbb"},
    };
    for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
        void *fdt = load("virt1");
        fdt_open_into(fdt, fdt, 65536);
        fdt_delprop(fdt, at(fdt, "/cpus/cpu@0"), "riscv,isa-extensions");
        fdt_delprop(fdt, at(fdt, "/cpus/cpu@0"), "riscv,isa-base");
        fdt_setprop_string(fdt, at(fdt, "/cpus/cpu@0"), "riscv,isa", s[i].in);
        assert_int_equal(read_tree(fdt), 0);
        assert_string_equal(p.isa, s[i].want);
        assert_int_equal(p.cboz_block, 0);
        free(fdt);
    }
}

static void test_long_isa(void **state)
{
    (void)state;
    void *fdt = load("virt1");
    char isa[6000] = "rv64ih";
    for (unsigned i = 0; i < 500; i++)
        snprintf(isa + strlen(isa), 16, "_zx%ua", i);
    fdt_open_into(fdt, fdt, 65536);
    fdt_delprop(fdt, at(fdt, "/cpus/cpu@0"), "riscv,isa-extensions");
    fdt_setprop_string(fdt, at(fdt, "/cpus/cpu@0"), "riscv,isa", isa);
    assert_int_equal(read_tree(fdt), 0);
    assert_true(strlen(p.isa) < PLATFORM_ISA && warned("too long"));
    assert_true(platform_has(&p, "zx0a") && !platform_has(&p, "zx499a"));
    free(fdt);
}

static void test_interrupt_parent_loop(void **state)
{
    (void)state;
    void *fdt = base_tree();
    /* A controller of three cells for the contexts, and a property that ends in mid-entry. */
    fdt_setprop_u32(fdt, at(fdt, "/cpus/cpu@0/interrupt-controller"), "#interrupt-cells",
                    0x40000001);
    fdt_setprop(fdt, at(fdt, "/soc/serial@10000000"), "interrupts", "\0\0", 2);
    assert_int_equal(read_tree(fdt), 0);
    assert_int_equal(p.hart[0].irq_context, UINT32_MAX);
    assert_int_equal(p.uart.irq, 0);
    free(fdt);
}

/* --- damage --- */

static uint64_t random_state = 88172645463325252ull;
static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

/* Whatever the bytes are: an error with its reason, or facts within their bounds; never a crash. */
static void read_damaged(const void *from, size_t len)
{
    void *copy = malloc(len); /* exactly: ASan sees a read past it */
    memcpy(copy, from, len);
    if (len >= sizeof(struct fdt_header) && fdt_totalsize(copy) > len)
        fdt_set_totalsize(copy, (uint32_t)len);
    if (len >= sizeof(struct fdt_header) && read_tree(copy) != 0) {
        assert_non_null(problem);
    } else if (len >= sizeof(struct fdt_header)) {
        assert_true(p.bank_count > 0 && p.bank_count <= PLATFORM_BANKS);
        assert_true(p.hart_count <= PLATFORM_HARTS && p.reserved_count <= PLATFORM_RESERVED);
        assert_true(p.virtio_count <= PLATFORM_VIRTIO && p.rng_seed_len <= 64);
        for (unsigned i = 0; i < p.bank_count; i++)
            assert_true(p.bank[i].base + p.bank[i].size >= p.bank[i].base);
    }
    free(copy);
}

static void test_truncated(void **state)
{
    (void)state;
    char *fdt = load("p550");
    size_t size = fdt_totalsize(fdt);
    for (size_t len = 0; len < size; len += 1 + len / 100)
        read_damaged(fdt, len);
    free(fdt);
}

static void test_mutated(void **state)
{
    (void)state;
    static const char *const names[] = {"p550", "k3", "titan", "virt1"};
    unsigned good = 0, bad = 0;
    for (unsigned t = 0; t < 4; t++) {
        char *fdt = load(names[t]), *copy = malloc(65536);
        size_t size = fdt_totalsize(fdt);
        for (unsigned round = 0; round < 1500; round++) {
            memcpy(copy, fdt, size);
            for (unsigned n = 1 + next_random() % 4; n > 0; n--) {
                static const uint8_t nasty[] = {0, 1, 2, 3, 4, 9, 0x7F, 0x80, 0xFF, ':', '/'};
                uint32_t r = next_random();
                copy[sizeof(struct fdt_header) + r % (size - sizeof(struct fdt_header))] =
                    r >> 31 ? (char)nasty[next_random() % sizeof(nasty)] : (char)next_random();
            }
            read_damaged(copy, size);
            problem ? bad++ : good++;
        }
        free(copy);
        free(fdt);
    }
    assert_true(good > 100 && bad > 100); /* else this tests nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qemu),
        cmocka_unit_test(test_p550),
        cmocka_unit_test(test_k3),
        cmocka_unit_test(test_titan),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_uart),
        cmocka_unit_test(test_more_uarts),
        cmocka_unit_test(test_no_plic),
        cmocka_unit_test(test_initrd),
        cmocka_unit_test(test_banks),
        cmocka_unit_test(test_reservations),
        cmocka_unit_test(test_many_harts),
        cmocka_unit_test(test_isa_strings),
        cmocka_unit_test(test_long_isa),
        cmocka_unit_test(test_interrupt_parent_loop),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_mutated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
