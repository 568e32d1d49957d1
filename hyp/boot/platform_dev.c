// SPDX-License-Identifier: BSD-2-Clause
// The host's devices that Trapline drives: PLIC or AIA, console UART, virtio-mmio windows, clock.
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "boot/platform_fdt.h"

/* The PLIC's place in the tree; FDT_NONE is no node's offset and no libfdt error in use. */
enum { FDT_NONE = -1000 };

static struct platform_hart *hart_by_id(struct platform *p, uint64_t hartid)
{
    for (unsigned i = 0; i < p->hart_count; i++)
        if (p->hart[i].hartid == hartid)
            return &p->hart[i];
    return NULL;
}

/* The nth entry of interrupts-extended is context n; each names a hart's interrupt controller and
 * which of its inputs it drives: 9 is the supervisor external interrupt, 11 the machine's. */
static bool read_contexts(struct platform_reader *r, int plic)
{
    int len;
    const fdt32_t *p = fdt_getprop(r->fdt, plic, "interrupts-extended", &len);
    const fdt32_t *end = p ? p + len / 4 : NULL;
    bool any = false;
    for (uint32_t context = 0; p && p + 2 <= end; context++) {
        int intc = fdt_node_offset_by_phandle(r->fdt, fdt32_ld(p));
        uint32_t cells = intc < 0 ? 1 : platform_u32(r->fdt, intc, "#interrupt-cells", 1);
        uint32_t irq = fdt32_ld(p + 1);
        if (cells < 1 || cells > (uint32_t)(end - p) - 1)
            break;
        p += 1 + cells;

        int cpu = intc < 0 ? intc : fdt_parent_offset(r->fdt, intc);
        if (cpu < 0 || irq != 9)
            continue;
        struct platform_hart *hart =
            hart_by_id(r->out, platform_number(r->fdt, cpu, "reg", UINT64_MAX));
        if (hart) {
            hart->irq_context = context;
            any = true;
        }
    }
    return any;
}

static int read_plic(struct platform_reader *r)
{
    static const char *const names[] = {"riscv,plic0", "sifive,plic-1.0.0", "thead,c900-plic",
                                        NULL};
    struct platform *p = r->out;
    for (int node = fdt_next_node(r->fdt, -1, NULL); node >= 0;
         node = fdt_next_node(r->fdt, node, NULL)) {
        if (!platform_compatible(r->fdt, node, names) || !platform_enabled(r->fdt, node))
            continue;
        if (platform_reg(r->fdt, node, 0, &p->plic.regs)) {
            p->plic.regs = (struct platform_range){0, 0};
            platform_warn(r, "the PLIC's registers cannot be read from the tree");
            return FDT_NONE;
        }
        p->plic.sources = platform_u32(r->fdt, node, "riscv,ndev", 0);
        (void)read_contexts(r, node);
        return node;
    }
    return FDT_NONE;
}

/* The controller that sends an APLIC's messages on to harts, by its msi-parent; FDT_NONE: it has wires. */
static int imsic_of(const void *fdt, int aplic)
{
    static const char *const names[] = {"riscv,imsics", NULL};
    uint32_t phandle = platform_u32(fdt, aplic, "msi-parent", 0);
    int node = phandle ? fdt_node_offset_by_phandle(fdt, phandle) : -1;

    return node >= 0 && platform_compatible(fdt, node, names) ? node : FDT_NONE;
}

/* The supervisor's APLIC: its wires, or its IMSICs', end in harts' input 9. One whose harts are in groups has other
 * hart indexes than places, and is left out. */
static int read_aplic(struct platform_reader *r)
{
    static const char *const names[] = {"riscv,aplic", NULL};
    struct platform *p = r->out;

    for (int node = fdt_next_node(r->fdt, -1, NULL); node >= 0;
         node = fdt_next_node(r->fdt, node, NULL)) {
        if (!platform_compatible(r->fdt, node, names) || !platform_enabled(r->fdt, node))
            continue;
        int imsic = imsic_of(r->fdt, node);
        if (imsic >= 0 && platform_u32(r->fdt, imsic, "riscv,group-index-bits", 0))
            continue;
        if (!read_contexts(r, imsic >= 0 ? imsic : node) ||
            platform_reg(r->fdt, node, 0, &p->aplic.regs))
            continue;
        p->aplic.sources = platform_u32(r->fdt, node, "riscv,num-sources", 0);
        p->aplic.msi = imsic >= 0;
        p->aplic.imsic_ids = imsic >= 0 ? platform_u32(r->fdt, imsic, "riscv,num-ids", 0) : 0;
        return node;
    }
    return FDT_NONE;
}

/* The console's node, by a path or an alias, with options after a colon. */
static int console_node(const void *fdt, const char **options)
{
    int chosen = fdt_path_offset(fdt, "/chosen");
    const char *path = NULL;
    *options = "";
    if (chosen >= 0) {
        path = platform_string(fdt, chosen, "stdout-path");
        if (!path)
            path = platform_string(fdt, chosen, "linux,stdout-path");
    }
    if (!path)
        path = "serial0";
    const char *colon = strchr(path, ':');
    int len = colon ? (int)(colon - path) : (int)strlen(path);
    if (colon)
        *options = colon + 1;
    if (path[0] != '/') {
        path = fdt_get_alias_namelen(fdt, path, len);
        if (!path || path[0] != '/')
            return -FDT_ERR_NOTFOUND; /* an alias of an alias could go round in a ring */
        len = (int)strlen(path);
    }
    return fdt_path_offset_namelen(fdt, path, len);
}

/* False: there is no driver for it, or (regs are set) not for a layout like this. */
static bool read_one_uart(struct platform_reader *r, int node, int controller,
                          struct platform_uart *u)
{
    static const char *const names[] = {"ns16550a",          "ns16550",          "snps,dw-apb-uart",
                                        "intel,xscale-uart", "spacemit,k1-uart", NULL};
    static const char *const dw[] = {"snps,dw-apb-uart", NULL};
    uint32_t shift = platform_u32(r->fdt, node, "reg-shift", 0);
    uint32_t width = platform_u32(r->fdt, node, "reg-io-width", 1);
    uint32_t offset = platform_u32(r->fdt, node, "reg-offset", 0);
    struct platform_range regs;

    if (fdt_get_path(r->fdt, node, u->path, sizeof(u->path)) < 0)
        fmt_snprintf(u->path, sizeof(u->path), "%s", fdt_get_name(r->fdt, node, NULL));
    u->reg_shift = shift;
    u->reg_io_width = width;
    if (!platform_enabled(r->fdt, node) || !platform_compatible(r->fdt, node, names) ||
        platform_reg(r->fdt, node, 0, &regs) || regs.size == 0)
        return false;
    if (shift > 4 || (width != 1 && width != 4) || (width == 4 && shift < 2) ||
        !range_ok(offset, 8ul << shift, regs.size)) {
        u->regs = regs;
        return false;
    }
    u->kind = UART_NS16550;
    u->regs = (struct platform_range){regs.base + offset, regs.size - offset};
    u->irq = platform_irq(r->fdt, node, controller);
    u->clock_hz = platform_u32(r->fdt, node, "clock-frequency", 0);
    u->baud = platform_u32(r->fdt, node, "current-speed", 115200);
    u->dw_apb = platform_compatible(r->fdt, node, dw);
    return true;
}

static void read_console(struct platform_reader *r, int node, int controller, const char *options)
{
    struct platform_uart *u = &r->out->uart;
    uint32_t baud = (uint32_t)strtoul(options, NULL, 10);

    if (!read_one_uart(r, node, controller, u)) {
        if (u->regs.size)
            platform_warn(r, "console %s: reg-shift %u, reg-io-width %u: using the firmware's",
                          u->path, u->reg_shift, u->reg_io_width);
        else
            platform_warn(r, "console %s: no driver for it, using the firmware's", u->path);
        u->regs = (struct platform_range){0, 0};
    }
    if (baud)
        u->baud = baud;
}

static void read_uarts(struct platform_reader *r, int controller)
{
    struct platform *p = r->out;
    const char *options;
    int console = console_node(r->fdt, &options);

    if (console >= 0)
        read_console(r, console, controller, options);
    for (int node = fdt_next_node(r->fdt, -1, NULL);
         node >= 0 && p->more_uart_count < PLATFORM_UARTS;
         node = fdt_next_node(r->fdt, node, NULL)) {
        struct platform_uart *u = &p->more_uarts[p->more_uart_count];

        if (node != console && read_one_uart(r, node, controller, u))
            p->more_uart_count++;
        else
            memset(u, 0, sizeof(*u));
    }
}

const struct platform_uart *platform_find_uart(const struct platform *p, const char *name)
{
    bool by_address = !strncmp(name, "0x", 2), by_number = !strncmp(name, "uart", 4);
    char *end;
    unsigned long n = strtoul(name + (by_number ? 4 : 0), &end, by_number ? 10 : 16);

    if ((!by_address && !by_number) || *end || end == name + 4)
        return NULL;
    for (unsigned i = 0; i <= p->more_uart_count; i++) {
        const struct platform_uart *u = i ? &p->more_uarts[i - 1] : &p->uart;

        if (u->kind != UART_NONE && (by_number ? n == i : n == u->regs.base))
            return u;
    }
    return NULL;
}

/* In the tree's order, so that disks have the numbers that Linux would give them. */
static void read_virtio(struct platform_reader *r, int controller)
{
    struct platform *p = r->out;
    for (int node = fdt_node_offset_by_compatible(r->fdt, -1, "virtio,mmio"); node >= 0;
         node = fdt_node_offset_by_compatible(r->fdt, node, "virtio,mmio")) {
        struct platform_range regs;
        const char *name = fdt_get_name(r->fdt, node, NULL);
        if (!platform_enabled(r->fdt, node))
            continue;
        if (platform_reg(r->fdt, node, 0, &regs) || regs.size < 0x100) {
            platform_warn(r, "%s: registers cannot be read from the tree", name);
        } else if (p->virtio_count == PLATFORM_VIRTIO) {
            platform_warn(r, "%s: too many virtio-mmio windows, left out", name);
        } else {
            p->virtio[p->virtio_count].regs = regs;
            p->virtio[p->virtio_count].irq = platform_irq(r->fdt, node, controller);
            p->virtio_count++;
        }
    }
}

static void read_rtc(struct platform_reader *r)
{
    int node = fdt_node_offset_by_compatible(r->fdt, -1, "google,goldfish-rtc");
    struct platform_range regs;

    if (node >= 0 && platform_enabled(r->fdt, node) && !platform_reg(r->fdt, node, 0, &regs) &&
        regs.size >= 8)
        r->out->rtc = (struct platform_range){regs.base, min_u64(regs.size, PAGE_SIZE)};
}

void platform_read_devices(struct platform_reader *r)
{
    int controller = read_plic(r);
    if (controller == FDT_NONE)
        controller = read_aplic(r);
    read_uarts(r, controller);
    read_virtio(r, controller);
    read_rtc(r);
}
