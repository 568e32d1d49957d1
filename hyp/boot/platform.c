// SPDX-License-Identifier: BSD-2-Clause
// The host's device tree into facts: memory, reservations, /chosen; harts and devices are in
// platform_cpu.c and platform_dev.c.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/tree.h"
#include "boot/platform_fdt.h"

static void read_model(struct platform_reader *r)
{
    const char *model = platform_string(r->fdt, 0, "model");
    if (!model)
        model = platform_string(r->fdt, 0, "compatible");
    fmt_snprintf(r->out->model, sizeof(r->out->model), "%s", model ? model : "unnamed machine");
}

/* Adds a bank, joined with those that it touches. */
static void add_bank(struct platform_reader *r, struct platform_range b)
{
    struct platform *p = r->out;
    for (unsigned i = 0; i < p->bank_count;) {
        const struct platform_range have = p->bank[i];
        uint64_t end = have.base + have.size;
        if (b.base > end || b.base + b.size < have.base) {
            i++;
            continue;
        }
        end = max_u64(end, b.base + b.size);
        b.base = min_u64(have.base, b.base);
        b.size = end - b.base;
        p->bank[i] = p->bank[--p->bank_count];
        i = 0; /* it may touch one now that it did not touch before */
    }
    if (p->bank_count == PLATFORM_BANKS) {
        platform_warn(r, "memory at 0x%lx (%lu MiB) left unused: too many banks",
                      (unsigned long)b.base, (unsigned long)(b.size >> 20));
        return;
    }
    p->bank[p->bank_count++] = b;
}

static bool is_memory(const void *fdt, int node)
{
    const char *type = platform_string(fdt, node, "device_type");
    if (type)
        return strcmp(type, "memory") == 0;
    const char *name = fdt_get_name(fdt, node, NULL);
    return name && strncmp(name, "memory@", 7) == 0;
}

static void read_memory(struct platform_reader *r)
{
    int node;
    fdt_for_each_subnode(node, r->fdt, 0)
    {
        struct platform_range b;
        if (!is_memory(r->fdt, node) || !platform_enabled(r->fdt, node))
            continue;
        for (unsigned n = 0;; n++) {
            int error = platform_reg(r->fdt, node, n, &b);
            if (error == -ENOENT)
                break;
            if (error)
                platform_warn(r, "%s: a bank that cannot be read is left out",
                              fdt_get_name(r->fdt, node, NULL));
            else if (b.size > 0)
                add_bank(r, b);
        }
    }
}

static void remove_reserved(struct platform *p, unsigned i)
{
    p->reserved_count--;
    memmove(&p->reserved[i], &p->reserved[i + 1], (p->reserved_count - i) * sizeof(p->reserved[0]));
}

/* Makes room by joining the two neighbours with the least between them: losing some memory is
 * harmless, writing to the firmware's is not. */
static void join_closest(struct platform *p)
{
    unsigned best = 0;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i + 1 < p->reserved_count; i++) {
        uint64_t gap = p->reserved[i + 1].base - p->reserved[i].base - p->reserved[i].size;
        if (gap < least) {
            least = gap;
            best = i;
        }
    }
    struct platform_range *a = &p->reserved[best], *b = &p->reserved[best + 1];
    a->size = b->base + b->size - a->base;
    remove_reserved(p, best + 1);
}

/* Keeps the list sorted and disjoint. */
static void add_reserved(struct platform_reader *r, uint64_t base, uint64_t size)
{
    struct platform *p = r->out;
    unsigned i = 0;
    size = min_u64(size, UINT64_MAX - base);
    if (size == 0)
        return;

    while (i < p->reserved_count && p->reserved[i].base + p->reserved[i].size < base)
        i++;
    while (i < p->reserved_count && p->reserved[i].base <= base + size) {
        uint64_t end = max_u64(base + size, p->reserved[i].base + p->reserved[i].size);
        base = min_u64(base, p->reserved[i].base);
        size = end - base;
        remove_reserved(p, i);
    }
    if (p->reserved_count == PLATFORM_RESERVED) {
        platform_warn(r, "too many memory reservations: neighbours are joined");
        join_closest(p);
        add_reserved(r, base, size);
        return;
    }
    memmove(&p->reserved[i + 1], &p->reserved[i], (p->reserved_count - i) * sizeof(p->reserved[0]));
    p->reserved[i] = (struct platform_range){base, size};
    p->reserved_count++;
}

static void read_reservations(struct platform_reader *r)
{
    for (int i = 0; i < fdt_num_mem_rsv(r->fdt); i++) {
        uint64_t base, size;
        if (fdt_get_mem_rsv(r->fdt, i, &base, &size) == 0)
            add_reserved(r, base, size);
    }

    int node, parent = fdt_path_offset(r->fdt, "/reserved-memory");
    if (parent < 0)
        return;
    fdt_for_each_subnode(node, r->fdt, parent)
    {
        struct platform_range m;
        if (!platform_enabled(r->fdt, node))
            continue;
        for (unsigned n = 0;; n++) {
            /* A node without reg asks for memory anywhere, for a driver that is not here. */
            int error = platform_reg(r->fdt, node, n, &m);
            if (error == -ENOENT)
                break;
            if (error)
                platform_warn(r, "/reserved-memory/%s cannot be read",
                              fdt_get_name(r->fdt, node, NULL));
            else
                add_reserved(r, m.base, m.size);
        }
    }
}

static void read_chosen(struct platform_reader *r)
{
    struct platform *p = r->out;
    int len, node = fdt_path_offset(r->fdt, "/chosen");
    p->bootargs = "";
    if (node < 0)
        return;

    const char *args = platform_string(r->fdt, node, "bootargs");
    if (args)
        p->bootargs = args;

    uint64_t start = platform_number(r->fdt, node, "linux,initrd-start", 0);
    uint64_t end = platform_number(r->fdt, node, "linux,initrd-end", 0);
    if (end > start)
        p->initrd = (struct platform_range){start, end - start};
    else if (start || end)
        platform_warn(r, "/chosen: initrd from 0x%lx to 0x%lx makes no sense", (unsigned long)start,
                      (unsigned long)end);

    const void *seed = fdt_getprop(r->fdt, node, "rng-seed", &len);
    if (seed && len > 0) {
        p->rng_seed_len = (unsigned)min_u64((uint64_t)len, sizeof(p->rng_seed));
        memcpy(p->rng_seed, seed, p->rng_seed_len);
    }
}

int platform_read(const void *fdt, struct platform *out, const char **problem,
                  void (*warn)(const char *line))
{
    struct platform_reader r = {.fdt = fdt, .out = out, .warn = warn};
    memset(out, 0, sizeof(*out));

    if (tree_check(fdt, fdt_totalsize(fdt))) {
        *problem = "the device tree is damaged";
        return -EINVAL;
    }
    out->fdt = fdt;
    read_model(&r);
    read_memory(&r);
    read_reservations(&r);
    read_chosen(&r);
    if (out->bank_count == 0) {
        *problem = "the device tree has no /memory";
        return -EINVAL;
    }
    int error = platform_read_cpus(&r, problem);
    if (error)
        return error;
    platform_read_devices(&r);
    return 0;
}

bool platform_has(const struct platform *p, const char *extension)
{
    size_t n = strlen(extension);
    const char *s = p->isa;
    while (*s) {
        const char *end = strchr(s, ' ');
        size_t len = end ? (size_t)(end - s) : strlen(s);
        if (len == n && memcmp(s, extension, n) == 0)
            return true;
        s += len + (end != NULL);
    }
    return false;
}
