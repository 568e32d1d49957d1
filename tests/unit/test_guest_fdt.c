// SPDX-License-Identifier: BSD-2-Clause
// The guest's device tree, parsed back: what Linux and small systems look for, for 1 to 32 vCPUs,
// and memory running out at every size.
// units: hyp/vm/guest_fdt.c tests/fake/fake_base.c
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

#include "mem/heap.h"
#include "vm/vm.h"

static size_t heap_limit;
static long heap_blocks;

/* Exact blocks, so that ASan sees one byte too far. */
void *heap_alloc(size_t size)
{
    if (size > heap_limit)
        return NULL;
    heap_blocks++;
    return calloc(1, size);
}
void heap_free(void *p)
{
    heap_blocks -= p != NULL;
    free(p);
}

static struct vm_config config;
static struct guest_fdt_facts facts;
static void *fdt;
static size_t size;

static int setup(void **state)
{
    (void)state;
    heap_limit = 1 << 20;
    memset(&config, 0, sizeof(config));
    strcpy(config.name, "vm0");
    strcpy(config.bootargs, "earlycon=sbi console=hvc0");
    config.vcpus = 2;
    config.memory = GIB(5);
    config.initrd.size = 12345;
    facts = (struct guest_fdt_facts){
        .config = &config,
        .isa_extensions = "i m a d f c v zicsr zifencei sstc",
        .timebase_hz = 10000000,
        .ram_base = 0x80000000,
        .initrd_base = 0x8fe00000,
        .plic_base = 0xc000000,
        .uart_base = 0x10000000,
        .virtio_base = 0x10001000,
        .uart_irq = 10,
        .virtio_irq = 1,
        .virtio_count = 3,
        .cbom_block = 64,
        .cboz_block = 128,
        .mmu_type = "riscv,sv48",
    };
    for (unsigned i = 0; i < 32; i++)
        facts.rng_seed[i] = (uint8_t)(i + 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    heap_free(fdt);
    fdt = NULL;
    return heap_blocks != 0;
}

static void build(void)
{
    heap_free(fdt);
    assert_int_equal(guest_fdt_build(&facts, &fdt, &size), 0);
    assert_int_equal(size, fdt_totalsize(fdt));
    /* Room for a boot loader that edits it in place. */
    assert_in_range(size - fdt_off_dt_strings(fdt) - fdt_size_dt_strings(fdt), 4096, 8192);
    assert_int_equal(fdt_check_full(fdt, size), 0);
}

static const void *get(const char *path, const char *name, int want)
{
    int len, n = fdt_path_offset(fdt, path);
    const void *p;

    if (n < 0)
        fail_msg("no node %s", path);
    p = fdt_getprop(fdt, n, name, &len);
    if (!p || (want >= 0 && len != want))
        fail_msg("%s: %s: %d bytes", path, name, len);
    return p;
}

static uint64_t cells(const char *path, const char *name, unsigned index)
{
    const fdt32_t *p = get(path, name, -1);
    return fdt32_to_cpu(p[index]);
}

static uint64_t cells2(const char *path, const char *name, unsigned index)
{
    return cells(path, name, index) << 32 | cells(path, name, index + 1);
}

static void is(const char *path, const char *name, const char *value)
{
    const char *s = get(path, name, (int)strlen(value) + 1);
    assert_string_equal(s, value);
}

static bool has(const char *path, const char *name)
{
    int n = fdt_path_offset(fdt, path);
    return n >= 0 && (!name || fdt_getprop(fdt, n, name, NULL));
}

static void test_chosen_and_memory(void **state)
{
    (void)state;
    build();
    is("/chosen", "bootargs", "earlycon=sbi console=hvc0");
    assert_false(has("/chosen", "stdout-path"));
    assert_int_equal(cells2("/chosen", "linux,initrd-start", 0), 0x8fe00000);
    assert_int_equal(cells2("/chosen", "linux,initrd-end", 0), 0x8fe00000 + 12345);
    assert_memory_equal(get("/chosen", "rng-seed", 32), facts.rng_seed, 32);
    assert_int_equal(cells2("/memory@80000000", "reg", 0), 0x80000000);
    assert_int_equal(cells2("/memory@80000000", "reg", 2), GIB(5));
    is("/memory@80000000", "device_type", "memory");
    is("/aliases", "serial0", "/soc/serial@10000000");
    config.initrd.size = 0;
    config.uart_console = true;
    build();
    assert_false(has("/chosen", "linux,initrd-start"));
    is("/chosen", "stdout-path", "serial0:115200n8");
}

static void test_cpus(void **state)
{
    (void)state;
    build();
    assert_int_equal(cells("/cpus", "timebase-frequency", 0), 10000000);
    assert_int_equal(cells("/cpus", "#address-cells", 0), 1);
    assert_int_equal(cells("/cpus", "#size-cells", 0), 0);
    assert_int_equal(cells("/cpus/cpu@1", "reg", 0), 1);
    is("/cpus/cpu@1", "device_type", "cpu");
    is("/cpus/cpu@1", "status", "okay");
    is("/cpus/cpu@1", "riscv,isa", "rv64imafdcv_zicsr_zifencei_sstc");
    is("/cpus/cpu@1", "riscv,isa-base", "rv64i");
    assert_memory_equal(get("/cpus/cpu@1", "riscv,isa-extensions", 34),
                        "i\0m\0a\0d\0f\0c\0v\0zicsr\0zifencei\0sstc", 34);
    is("/cpus/cpu@1", "mmu-type", "riscv,sv48");
    assert_int_equal(cells("/cpus/cpu@1", "riscv,cbom-block-size", 0), 64);
    assert_int_equal(cells("/cpus/cpu@1", "riscv,cboz-block-size", 0), 128);
    is("/cpus/cpu@0/interrupt-controller", "compatible", "riscv,cpu-intc");
    assert_int_equal(cells("/cpus/cpu@0/interrupt-controller", "#interrupt-cells", 0), 1);
    assert_true(has("/cpus/cpu@0/interrupt-controller", "interrupt-controller"));
    for (unsigned i = 0; i < 2; i++) {
        char path[40], cpu[40];
        snprintf(path, sizeof(path), "/cpus/cpu-map/cluster0/core%u", i);
        snprintf(cpu, sizeof(cpu), "/cpus/cpu@%u", i);
        assert_int_equal(fdt_node_offset_by_phandle(fdt, (uint32_t)cells(path, "cpu", 0)),
                         fdt_path_offset(fdt, cpu));
    }
    facts.cbom_block = facts.cboz_block = 0;
    facts.mmu_type = NULL;
    facts.isa_extensions = "  i   zicsr ";
    build();
    assert_false(has("/cpus/cpu@0", "riscv,cbom-block-size"));
    assert_false(has("/cpus/cpu@0", "riscv,cboz-block-size"));
    assert_false(has("/cpus/cpu@0", "mmu-type"));
    is("/cpus/cpu@0", "riscv,isa", "rv64i_zicsr");
    assert_memory_equal(get("/cpus/cpu@0", "riscv,isa-extensions", 8), "i\0zicsr", 8);
}

static void test_devices(void **state)
{
    const char *plic = "/soc/interrupt-controller@c000000";

    (void)state;
    build();
    assert_memory_equal(get(plic, "compatible", 30), "sifive,plic-1.0.0\0riscv,plic0", 30);
    assert_int_equal(cells2(plic, "reg", 0), 0xc000000);
    assert_int_equal(cells2(plic, "reg", 2), 0x4000000);
    assert_int_equal(cells(plic, "riscv,ndev", 0), 10); /* the UART's; of virtio: 1 to 3 */
    assert_int_equal(cells(plic, "#interrupt-cells", 0), 1);
    get(plic, "interrupts-extended", 16);
    for (unsigned i = 0; i < 2; i++) {
        char intc[60];
        snprintf(intc, sizeof(intc), "/cpus/cpu@%u/interrupt-controller", i);
        assert_int_equal(
            fdt_node_offset_by_phandle(fdt, (uint32_t)cells(plic, "interrupts-extended", 2 * i)),
            fdt_path_offset(fdt, intc));
        assert_int_equal(cells(plic, "interrupts-extended", 2 * i + 1), 9);
    }
    assert_int_equal(
        fdt_node_offset_by_phandle(fdt, (uint32_t)cells("/soc", "interrupt-parent", 0)),
        fdt_path_offset(fdt, plic));
    assert_true(has("/soc", "ranges"));
    is("/soc/serial@10000000", "compatible", "ns16550a");
    assert_int_equal(cells("/soc/serial@10000000", "clock-frequency", 0), 3686400);
    assert_int_equal(cells("/soc/serial@10000000", "interrupts", 0), 10);
    assert_int_equal(cells2("/soc/virtio_mmio@10003000", "reg", 0), 0x10003000);
    assert_int_equal(cells2("/soc/virtio_mmio@10003000", "reg", 2), 0x1000);
    assert_int_equal(cells("/soc/virtio_mmio@10003000", "interrupts", 0), 3);
    is("/soc/virtio_mmio@10001000", "compatible", "virtio,mmio");
    assert_true(has("/soc/virtio_mmio@10001000", "dma-coherent"));
    assert_false(has("/soc/virtio_mmio@10004000", NULL));
    assert_false(has("/soc/watchdog@10000800", NULL));
    facts.watchdog_base = 0x10000800;
    build();
    is("/soc/watchdog@10000800", "compatible", "allwinner,sun20i-d1-wdt");
    assert_int_equal(cells2("/soc/watchdog@10000800", "reg", 2), 0x20);
    facts.watchdog_base = 0;
    assert_false(has("/soc/rtc@101000", NULL));
    facts.rtc_base = 0x101000;
    facts.rtc_irq = 11;
    build();
    is("/soc/rtc@101000", "compatible", "google,goldfish-rtc");
    assert_int_equal(cells2("/soc/rtc@101000", "reg", 2), 0x1000);
    assert_int_equal(cells("/soc/rtc@101000", "interrupts", 0), 11);
    assert_int_equal(cells(plic, "riscv,ndev", 0), 11);
    facts.virtio_count = 12;
    build();
    assert_int_equal(cells(plic, "riscv,ndev", 0), 12);
}

/* As many vCPUs as there can be: the block grows; each phandle is there once. */
static void test_large(void **state)
{
    uint32_t highest = 0;
    unsigned count = 0;

    (void)state;
    config.vcpus = GUEST_MAX_VCPUS;
    memset(config.bootargs, 'b', sizeof(config.bootargs) - 1);
    build();
    assert_true(size > 8192);
    for (int n = 0; n >= 0; n = fdt_next_node(fdt, n, NULL)) {
        uint32_t p = fdt_get_phandle(fdt, n);
        if (!p)
            continue;
        count++;
        highest = p > highest ? p : highest;
        assert_int_equal(fdt_node_offset_by_phandle(fdt, p), n);
    }
    assert_int_equal(count, 2 * GUEST_MAX_VCPUS + 1);
    assert_int_equal(highest, count);
}

/* The place of the initrd does not change the tree's size: vm_load.c builds on that. */
static void test_size_is_stable(void **state)
{
    size_t first;

    (void)state;
    facts.initrd_base = 0;
    build();
    first = size;
    facts.initrd_base = UINT64_MAX - 100000;
    build();
    assert_int_equal(size, first);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    config.vcpus = GUEST_MAX_VCPUS;
    for (heap_limit = 0; heap_limit < 20000; heap_limit += 500) {
        void *none = &none;
        int error = guest_fdt_build(&facts, &none, &size);
        if (!error) {
            heap_free(none);
            assert_true(heap_limit > 8192);
            continue;
        }
        assert_int_equal(error, -ENOMEM);
        assert_null(none);
        assert_int_equal(heap_blocks, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chosen_and_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cpus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_devices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size_is_stable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
