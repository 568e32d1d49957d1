// SPDX-License-Identifier: BSD-2-Clause
// The guest's device tree: what Linux, U-Boot and small systems expect of a "virt"-like machine.
// Poweroff and reboot need no node: SBI SRST does them.
#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "base/log.h"
#include "mem/heap.h"
#include "vdev/irqchip/vplic.h"
#include "vdev/rtc.h"
#include "vdev/virtio/virtio_dev.h"
#include "vm/layout.h"
#include "vm/vm.h"

enum { FIRST_SIZE = 12288, LAST_SIZE = 1 << 20 };
/* Free room at the end of the tree, as firmware leaves it: U-Boot edits the tree where it lies, and
 * spoils its own data behind it otherwise. */
enum { SLACK = 4096 };
enum { IRQ_SUPERVISOR_EXTERNAL = 9, UART_CLOCK_HZ = 3686400, UART_SIZE = 0x100 };

/* A tree being written; the first error sticks, and is looked at once. */
struct tree {
    void *fdt;
    int error; /* of libfdt */
};

static void put_raw(struct tree *t, const char *name, const void *data, size_t len)
{
    if (!t->error)
        t->error = fdt_property(t->fdt, name, data, (int)len);
}

static void put_empty(struct tree *t, const char *name) { put_raw(t, name, "", 0); }

static void put_string(struct tree *t, const char *name, const char *s)
{
    put_raw(t, name, s, strlen(s) + 1);
}

static void put_u32(struct tree *t, const char *name, uint32_t v)
{
    fdt32_t be = cpu_to_fdt32(v);
    put_raw(t, name, &be, sizeof(be));
}

static void put_u64(struct tree *t, const char *name, uint64_t v)
{
    fdt64_t be = cpu_to_fdt64(v);
    put_raw(t, name, &be, sizeof(be));
}

static void put_reg(struct tree *t, uint64_t base, uint64_t size)
{
    fdt64_t reg[2] = {cpu_to_fdt64(base), cpu_to_fdt64(size)};
    put_raw(t, "reg", reg, sizeof(reg));
}

static void open_node(struct tree *t, const char *name)
{
    if (!t->error)
        t->error = fdt_begin_node(t->fdt, name);
}

/* name@unit, unit in hexadecimal */
static void open_unit(struct tree *t, const char *name, uint64_t unit)
{
    char full[32];

    fmt_snprintf(full, sizeof(full), "%s@%lx", name, (unsigned long)unit);
    open_node(t, full);
}

static void close_node(struct tree *t)
{
    if (!t->error)
        t->error = fdt_end_node(t->fdt);
}

/* Phandles: 1 .. n the vCPUs' interrupt controllers, n+1 the PLIC, from n+2 on the vCPUs. */
static uint32_t phandle_intc(unsigned cpu) { return 1 + cpu; }
static uint32_t phandle_plic(const struct vm_config *c) { return 1 + c->vcpus; }
static uint32_t phandle_cpu(const struct vm_config *c, unsigned cpu) { return 2 + c->vcpus + cpu; }

static void write_chosen(struct tree *t, const struct guest_fdt_facts *f)
{
    const struct vm_config *c = f->config;

    open_node(t, "chosen");
    put_string(t, "bootargs", c->bootargs);
    if (c->uart_console)
        put_string(t, "stdout-path", "serial0:115200n8");
    if (c->initrd.size) {
        put_u64(t, "linux,initrd-start", f->initrd_base);
        put_u64(t, "linux,initrd-end", f->initrd_base + c->initrd.size);
    }
    put_raw(t, "rng-seed", f->rng_seed, sizeof(f->rng_seed));
    close_node(t);
}

/* Next word of a list: its start and length; NULL at the end. */
static const char *next_word(const char **list, size_t *len)
{
    const char *s = *list, *end;

    while (*s == ' ')
        s++;
    if (!*s)
        return NULL;
    end = strchr(s, ' ');
    *len = end ? (size_t)(end - s) : strlen(s);
    *list = s + *len;
    return s;
}

static bool has_letter(const char *isa, char letter)
{
    const char *w;
    size_t len;

    while ((w = next_word(&isa, &len)))
        if (len == 1 && *w == letter)
            return true;
    return false;
}

/* "rv64imafdc_zicsr_…": single letters in the order of the unprivileged specification ("ISA
 * Extension Naming Conventions"), for small systems compare prefixes. */
static void write_isa_string(struct tree *t, const char *isa, char *to, size_t size)
{
    const char *order = "imafdqlcbkjtpvnh", *w;
    size_t at = (size_t)fmt_snprintf(to, size, "rv64"), len;

    for (; *order && at + 1 < size; order++)
        if (has_letter(isa, *order))
            to[at++] = *order;
    while ((w = next_word(&isa, &len)))
        if (len > 1 && at + len + 1 < size) {
            to[at++] = '_';
            memcpy(to + at, w, len);
            at += len;
        }
    to[at] = 0;
    put_string(t, "riscv,isa", to);
}

/* The same as a list of strings. */
static void write_isa_list(struct tree *t, const char *isa, char *to, size_t size)
{
    const char *w;
    size_t at = 0, len;

    while ((w = next_word(&isa, &len)) && at + len + 1 <= size) {
        memcpy(to + at, w, len);
        to[at + len] = 0;
        at += len + 1;
    }
    put_raw(t, "riscv,isa-extensions", to, at);
}

static void write_cpu(struct tree *t, const struct guest_fdt_facts *f, unsigned cpu, char *scratch,
                      size_t size)
{
    open_unit(t, "cpu", cpu);
    put_string(t, "device_type", "cpu");
    put_u32(t, "reg", cpu);
    put_string(t, "status", "okay");
    put_string(t, "compatible", "riscv");
    write_isa_string(t, f->isa_extensions, scratch, size);
    put_string(t, "riscv,isa-base", "rv64i");
    write_isa_list(t, f->isa_extensions, scratch, size);
    if (f->mmu_type)
        put_string(t, "mmu-type", f->mmu_type);
    if (f->cbom_block)
        put_u32(t, "riscv,cbom-block-size", f->cbom_block);
    if (f->cboz_block)
        put_u32(t, "riscv,cboz-block-size", f->cboz_block);
    put_u32(t, "phandle", phandle_cpu(f->config, cpu));
    open_node(t, "interrupt-controller");
    put_string(t, "compatible", "riscv,cpu-intc");
    put_empty(t, "interrupt-controller");
    put_u32(t, "#interrupt-cells", 1);
    put_u32(t, "phandle", phandle_intc(cpu));
    close_node(t);
    close_node(t);
}

static void write_cpus(struct tree *t, const struct guest_fdt_facts *f, char *scratch, size_t size)
{
    const struct vm_config *c = f->config;

    open_node(t, "cpus");
    put_u32(t, "#address-cells", 1);
    put_u32(t, "#size-cells", 0);
    put_u32(t, "timebase-frequency", (uint32_t)f->timebase_hz);
    for (unsigned i = 0; i < c->vcpus; i++)
        write_cpu(t, f, i, scratch, size);
    open_node(t, "cpu-map");
    open_node(t, "cluster0");
    for (unsigned i = 0; i < c->vcpus; i++) {
        char name[16];
        fmt_snprintf(name, sizeof(name), "core%u", i);
        open_node(t, name);
        put_u32(t, "cpu", phandle_cpu(c, i));
        close_node(t);
    }
    close_node(t);
    close_node(t);
    close_node(t);
}

/* The highest source that something is connected to. Linux sets up, with three accesses for each hart, as many as it is
 * told of. */
static uint32_t last_source(const struct guest_fdt_facts *f)
{
    uint32_t last = f->virtio_irq + f->virtio_count - 1;

    last = (uint32_t)max_u64(last, f->uart_irq);
    return f->rtc_base ? (uint32_t)max_u64(last, f->rtc_irq) : last;
}

static void write_plic(struct tree *t, const struct guest_fdt_facts *f)
{
    static const char compatible[] = "sifive,plic-1.0.0\0riscv,plic0";
    fdt32_t lines[2 * GUEST_MAX_VCPUS];

    for (unsigned i = 0; i < f->config->vcpus; i++) {
        lines[2 * i] = cpu_to_fdt32(phandle_intc(i));
        lines[2 * i + 1] = cpu_to_fdt32(IRQ_SUPERVISOR_EXTERNAL);
    }
    open_unit(t, "interrupt-controller", f->plic_base);
    put_raw(t, "compatible", compatible, sizeof(compatible));
    put_reg(t, f->plic_base, VPLIC_SIZE);
    put_empty(t, "interrupt-controller");
    put_u32(t, "#interrupt-cells", 1);
    put_u32(t, "#address-cells", 0);
    put_raw(t, "interrupts-extended", lines, 2 * sizeof(lines[0]) * f->config->vcpus);
    put_u32(t, "riscv,ndev", last_source(f));
    put_u32(t, "phandle", phandle_plic(f->config));
    close_node(t);
}

static void write_uart(struct tree *t, const struct guest_fdt_facts *f)
{
    open_unit(t, "serial", f->uart_base);
    put_string(t, "compatible", "ns16550a");
    put_reg(t, f->uart_base, UART_SIZE);
    put_u32(t, "clock-frequency", UART_CLOCK_HZ);
    put_u32(t, "interrupts", f->uart_irq);
    close_node(t);
}

static void write_rtc(struct tree *t, const struct guest_fdt_facts *f)
{
    open_unit(t, "rtc", f->rtc_base);
    put_string(t, "compatible", "google,goldfish-rtc");
    put_reg(t, f->rtc_base, RTC_SIZE);
    put_u32(t, "interrupts", f->rtc_irq);
    close_node(t);
}

static void write_watchdog(struct tree *t, const struct guest_fdt_facts *f)
{
    open_unit(t, "watchdog", f->watchdog_base);
    put_string(t, "compatible", "allwinner,sun20i-d1-wdt");
    put_reg(t, f->watchdog_base, WATCHDOG_SIZE);
    close_node(t);
}

static void write_virtio(struct tree *t, const struct guest_fdt_facts *f, unsigned n)
{
    uint64_t base = f->virtio_base + (uint64_t)n * VIRTIO_MMIO_SIZE;

    open_unit(t, "virtio_mmio", base);
    put_string(t, "compatible", "virtio,mmio");
    put_reg(t, base, VIRTIO_MMIO_SIZE);
    put_u32(t, "interrupts", f->virtio_irq + n);
    put_empty(t, "dma-coherent");
    close_node(t);
}

static void write_soc(struct tree *t, const struct guest_fdt_facts *f)
{
    open_node(t, "soc");
    put_string(t, "compatible", "simple-bus");
    put_u32(t, "#address-cells", 2);
    put_u32(t, "#size-cells", 2);
    put_u32(t, "interrupt-parent", phandle_plic(f->config));
    put_empty(t, "ranges");
    write_plic(t, f);
    write_uart(t, f);
    if (f->rtc_base)
        write_rtc(t, f);
    if (f->watchdog_base)
        write_watchdog(t, f);
    for (unsigned i = 0; i < f->virtio_count; i++)
        write_virtio(t, f, i);
    close_node(t);
}

/* Addresses of early consoles' users: U-Boot and Linux find the UART by its alias. */
static void write_aliases(struct tree *t, const struct guest_fdt_facts *f)
{
    char path[40];

    fmt_snprintf(path, sizeof(path), "/soc/serial@%lx", (unsigned long)f->uart_base);
    open_node(t, "aliases");
    put_string(t, "serial0", path);
    close_node(t);
}

static void write_root(struct tree *t, const struct guest_fdt_facts *f, char *scratch, size_t size)
{
    open_node(t, "");
    put_u32(t, "#address-cells", 2);
    put_u32(t, "#size-cells", 2);
    put_string(t, "compatible", "trapline,vm");
    put_string(t, "model", "Trapline virtual machine");
    write_chosen(t, f);
    write_aliases(t, f);
    open_unit(t, "memory", f->ram_base);
    put_string(t, "device_type", "memory");
    put_reg(t, f->ram_base, f->config->memory);
    close_node(t);
    write_cpus(t, f, scratch, size);
    open_node(t, "hypervisor"); /* systemd-detect-virt looks here */
    put_string(t, "compatible", "trapline");
    close_node(t);
    write_soc(t, f);
    close_node(t);
}

/* One attempt with a block of this size: 0, or an error of libfdt. */
static int write_tree(void *block, size_t block_size, const struct guest_fdt_facts *f,
                      char *scratch, size_t scratch_size)
{
    struct tree t = {.fdt = block};

    t.error = fdt_create(block, (int)block_size);
    if (!t.error)
        t.error = fdt_finish_reservemap(block);
    write_root(&t, f, scratch, scratch_size);
    return t.error ? t.error : fdt_finish(block);
}

int guest_fdt_build(const struct guest_fdt_facts *facts, void **fdt, size_t *size)
{
    size_t scratch_size = strlen(facts->isa_extensions) + 16;
    char *scratch = heap_alloc(scratch_size);
    int error = scratch ? -FDT_ERR_NOSPACE : 0;

    *fdt = NULL;
    for (*size = FIRST_SIZE; error == -FDT_ERR_NOSPACE && *size <= LAST_SIZE; *size *= 2) {
        heap_free(*fdt);
        *fdt = heap_alloc(*size);
        if (!*fdt)
            break;
        error = write_tree(*fdt, *size - SLACK, facts, scratch, scratch_size);
    }
    heap_free(scratch);
    if (!scratch || error || !*fdt) {
        heap_free(*fdt);
        *fdt = NULL;
        *size = 0;
        return error && error != -FDT_ERR_NOSPACE ? -EINVAL : -ENOMEM;
    }
    fdt_set_totalsize(*fdt, fdt_totalsize(*fdt) + SLACK);
    *size = fdt_totalsize(*fdt);
    return 0;
}
