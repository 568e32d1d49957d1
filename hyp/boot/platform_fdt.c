// SPDX-License-Identifier: BSD-2-Clause
// Reading cells, registers and interrupts of device tree nodes (Devicetree Specification 0.4, chapter 2).
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "boot/platform_fdt.h"

enum { DEPTH_MAX = 32 };

void platform_warn(const struct platform_reader *r, const char *fmt, ...)
{
    char line[160];
    va_list ap;
    va_start(ap, fmt);
    fmt_vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    for (char *c = line; *c; c++) /* names may hold anything, and this is one line */
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?';
    r->warn(line);
}

const char *platform_string(const void *fdt, int node, const char *name)
{
    return fdt_stringlist_get(fdt, node, name, 0, NULL);
}

bool platform_enabled(const void *fdt, int node)
{
    if (!fdt_getprop(fdt, node, "status", NULL))
        return true;
    const char *s = platform_string(fdt, node, "status");
    return s && (strcmp(s, "okay") == 0 || strcmp(s, "ok") == 0);
}

static uint64_t cells(const fdt32_t *p, int n)
{
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 32 | fdt32_ld(p++);
    return v;
}

uint64_t platform_number(const void *fdt, int node, const char *name, uint64_t fallback)
{
    int len;
    const fdt32_t *p = fdt_getprop(fdt, node, name, &len);
    return p && (len == 4 || len == 8) ? cells(p, len / 4) : fallback;
}

uint32_t platform_u32(const void *fdt, int node, const char *name, uint32_t fallback)
{
    int len;
    const fdt32_t *p = fdt_getprop(fdt, node, name, &len);
    return p && len == 4 ? fdt32_ld(p) : fallback;
}

bool platform_compatible(const void *fdt, int node, const char *const *names)
{
    for (; *names; names++)
        if (fdt_node_check_compatible(fdt, node, *names) == 0)
            return true;
    return false;
}

/* One step up: an address on the bus `bus` becomes one on its parent's. */
static int translate_step(const void *fdt, int bus, int parent, struct platform_range *r)
{
    int len, child_cells = fdt_address_cells(fdt, bus), size_cells = fdt_size_cells(fdt, bus);
    int parent_cells = fdt_address_cells(fdt, parent);
    const fdt32_t *p = fdt_getprop(fdt, bus, "ranges", &len);

    if (!p)
        return -EINVAL; /* this bus is not visible to the processors */
    if (len == 0)
        return 0;
    if (child_cells < 1 || child_cells > 2 || parent_cells < 1 || parent_cells > 2 ||
        size_cells < 1 || size_cells > 2)
        return -EINVAL;

    int entry = child_cells + parent_cells + size_cells;
    for (int left = len / 4; left >= entry; left -= entry, p += entry) {
        uint64_t from = cells(p, child_cells);
        uint64_t to = cells(p + child_cells, parent_cells);
        uint64_t size = cells(p + child_cells + parent_cells, size_cells);
        if (r->base >= from && range_ok(r->base - from, r->size, size)) {
            r->base = to + (r->base - from);
            return 0;
        }
    }
    return -EINVAL;
}

int platform_reg(const void *fdt, int node, unsigned n, struct platform_range *out)
{
    int len, bus = fdt_parent_offset(fdt, node);
    const fdt32_t *p = fdt_getprop(fdt, node, "reg", &len);
    if (!p || bus < 0)
        return -ENOENT;

    int address_cells = fdt_address_cells(fdt, bus), size_cells = fdt_size_cells(fdt, bus);
    if (address_cells < 1 || address_cells > 2 || size_cells < 0 || size_cells > 2)
        return n == 0 ? -EINVAL : -ENOENT; /* callers count n up to -ENOENT */
    unsigned entry = (unsigned)(address_cells + size_cells);
    if (n >= (unsigned)len / 4 / entry)
        return -ENOENT;

    p += n * entry;
    out->base = cells(p, address_cells);
    out->size = cells(p + address_cells, size_cells);
    for (int depth = 0; bus > 0; depth++) {
        int parent = fdt_parent_offset(fdt, bus);
        if (parent < 0 || depth == DEPTH_MAX || translate_step(fdt, bus, parent, out))
            return -EINVAL;
        bus = parent;
    }
    return out->base + out->size < out->base ? -EINVAL : 0;
}

/* The node that a device's interrupts go to, or a negative libfdt error. */
static int interrupt_parent(const void *fdt, int node)
{
    for (int depth = 0; node >= 0 && depth < DEPTH_MAX; depth++) {
        int len;
        const fdt32_t *p = fdt_getprop(fdt, node, "interrupt-parent", &len);
        if (p && len == 4)
            return fdt_node_offset_by_phandle(fdt, fdt32_ld(p));
        node = fdt_parent_offset(fdt, node);
        if (node >= 0 && fdt_getprop(fdt, node, "interrupt-controller", NULL))
            return node;
    }
    return -FDT_ERR_NOTFOUND;
}

/* What a controller calls an interrupt: a number, and with two cells its type too. */
static uint32_t irq_of(const void *fdt, int controller, const fdt32_t *p, int cells_left)
{
    uint32_t number = fdt32_ld(p);
    bool typed = platform_u32(fdt, controller, "#interrupt-cells", 1) > 1 && cells_left > 1;

    if (number > PLATFORM_IRQ_NUMBER)
        return 0;
    return number | (typed ? (fdt32_ld(p + 1) & 0xF) << PLATFORM_IRQ_TYPE : 0);
}

uint32_t platform_irq(const void *fdt, int node, int controller)
{
    int len;
    const fdt32_t *p = fdt_getprop(fdt, node, "interrupts-extended", &len);
    if (p)
        return len >= 8 && fdt_node_offset_by_phandle(fdt, fdt32_ld(p)) == controller
                   ? irq_of(fdt, controller, p + 1, len / 4 - 1)
                   : 0;
    p = fdt_getprop(fdt, node, "interrupts", &len);
    if (!p || len < 4 || interrupt_parent(fdt, node) != controller)
        return 0;
    return irq_of(fdt, controller, p, len / 4);
}
