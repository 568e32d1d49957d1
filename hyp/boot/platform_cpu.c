// SPDX-License-Identifier: BSD-2-Clause
// Harts and their ISA: riscv,isa-extensions where there is one, else the riscv,isa string
// (Documentation/devicetree/bindings/riscv/extensions.yaml of Linux).
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "boot/platform_fdt.h"

enum { NAME = 32 };

/* Called for each extension of a hart, lower case; returns whether to go on. */
typedef bool (*isa_visit)(void *ctx, const char *name);

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool visit_name(isa_visit visit, void *ctx, const char *s, size_t len)
{
    char name[NAME];
    if (len == 0 || len >= sizeof(name))
        return true;
    for (size_t i = 0; i < len; i++)
        name[i] = lower(s[i]);
    name[len] = '\0';
    return visit(ctx, name);
}

static bool visit_words(isa_visit visit, void *ctx, const char *const *words)
{
    for (; *words; words++)
        if (!visit(ctx, *words))
            return false;
    return true;
}

/* "g" and "b" stand for others. */
static bool visit_letter(isa_visit visit, void *ctx, char letter)
{
    static const char *const general[] = {"i", "m", "a", "f", "d", "zicsr", "zifencei", NULL};
    static const char *const bits[] = {"zba", "zbb", "zbs", NULL};
    if (letter == 'g')
        return visit_words(visit, ctx, general);
    return visit_name(visit, ctx, &letter, 1) && (letter != 'b' || visit_words(visit, ctx, bits));
}

/* The length of a name without a version such as 2p0 at its end; no name ends in a digit. */
static size_t unversioned(const char *s, size_t len)
{
    size_t n = len;
    while (n > 0 && is_digit(s[n - 1]))
        n--;
    if (n == len || n == 0)
        return len;
    if (lower(s[n - 1]) == 'p' && n > 1 && is_digit(s[n - 2])) {
        n--;
        while (n > 0 && is_digit(s[n - 1]))
            n--;
    }
    return n;
}

static const char *skip_version(const char *s)
{
    while (is_digit(*s))
        s++;
    if (lower(*s) == 'p' && is_digit(s[1]))
        for (s++; is_digit(*s);)
            s++;
    return s;
}

static bool each_in_string(const char *s, isa_visit visit, void *ctx)
{
    s += 4; /* rv64 */
    while (*s) {
        char c = lower(*s);
        if (c == '_') {
            s++;
        } else if (c == 's' && lower(s[1]) == 'u' && s[-1] != '_') {
            s += 2; /* old QEMU lists the modes S and U among the letters */
        } else if (c == 's' || c == 'x' || c == 'z') {
            const char *end = strchr(s, '_');
            size_t len = end ? (size_t)(end - s) : strlen(s);
            if (!visit_name(visit, ctx, s, unversioned(s, len)))
                return false;
            s += len;
        } else {
            if (c >= 'a' && c <= 'z' && !visit_letter(visit, ctx, c))
                return false;
            s = skip_version(s + 1);
        }
    }
    return true;
}

static bool each_in_list(const void *fdt, int node, isa_visit visit, void *ctx)
{
    int len;
    const char *s;
    for (int i = 0; (s = fdt_stringlist_get(fdt, node, "riscv,isa-extensions", i, &len)); i++) {
        if (len == 1 ? !visit_letter(visit, ctx, lower(*s))
                     : !visit_name(visit, ctx, s, (size_t)len))
            return false;
    }
    return true;
}

/* The hart's riscv,isa, if it begins as RV64 does. */
static const char *isa_string(const void *fdt, int node)
{
    const char *s = platform_string(fdt, node, "riscv,isa");
    return s && lower(s[0]) == 'r' && lower(s[1]) == 'v' && s[2] == '6' && s[3] == '4' ? s : NULL;
}

static void isa_each(const void *fdt, int node, isa_visit visit, void *ctx)
{
    const char *s = isa_string(fdt, node);
    if (platform_string(fdt, node, "riscv,isa-extensions"))
        each_in_list(fdt, node, visit, ctx);
    else if (s)
        each_in_string(s, visit, ctx);
}

struct search {
    const char *name;
    size_t len;
    bool found;
};

static bool visit_search(void *ctx, const char *name)
{
    struct search *s = ctx;
    s->found = strlen(name) == s->len && memcmp(name, s->name, s->len) == 0;
    return !s->found;
}

static bool hart_has(const void *fdt, int node, const char *name, size_t len)
{
    struct search s = {name, len, false};
    isa_each(fdt, node, visit_search, &s);
    return s.found;
}

static bool visit_append(void *ctx, const char *name)
{
    struct platform_reader *r = ctx;
    char *isa = r->out->isa;
    size_t have = strlen(isa), len = strlen(name);
    if (platform_has(r->out, name))
        return true;
    if (have + len + 2 > PLATFORM_ISA) {
        platform_warn(r, "ISA list too long: %s and what follows left out", name);
        return false;
    }
    fmt_snprintf(isa + have, PLATFORM_ISA - have, "%s%s", have ? " " : "", name);
    return true;
}

/* Drops what this hart has not. */
static void isa_intersect(struct platform_reader *r, int node)
{
    char *isa = r->out->isa, *to = isa;
    for (const char *s = isa; *s;) {
        const char *end = strchr(s, ' ');
        size_t len = end ? (size_t)(end - s) : strlen(s);
        const char *next = s + len + (end != NULL);
        if (hart_has(r->fdt, node, s, len)) {
            if (to != isa)
                *to++ = ' ';
            memmove(to, s, len);
            to += len;
        }
        s = next;
    }
    *to = '\0';
}

static const char *mmu_type(const void *fdt, int node)
{
    const char *s = platform_string(fdt, node, "mmu-type");
    if (!s)
        return "sv39"; /* an old tree; what every RV64 Linux machine has */
    return strncmp(s, "riscv,", 6) == 0 ? s + 6 : s;
}

static const char *why_unusable(const void *fdt, int node)
{
    const char *base = platform_string(fdt, node, "riscv,isa-base");
    if (!platform_enabled(fdt, node))
        return "disabled";
    if (base ? strcmp(base, "rv64i") != 0 : !isa_string(fdt, node))
        return "not RV64";
    if (strncmp(mmu_type(fdt, node), "sv", 2) != 0)
        return "no MMU";
    if (!hart_has(fdt, node, "h", 1))
        return "no H extension";
    return NULL;
}

/* A block size that two harts do not share is of no use to either. */
static uint32_t common_block(bool first, uint32_t have, uint32_t block)
{
    bool sane =
        block >= 8 && block <= PAGE_SIZE && is_aligned(block, 8) && (block & (block - 1)) == 0;
    return sane && (first || have == block) ? block : 0;
}

static void add_capabilities(struct platform_reader *r, int node, bool first)
{
    struct platform *p = r->out;
    const char *mmu = mmu_type(r->fdt, node);
    if (first)
        isa_each(r->fdt, node, visit_append, r);
    else
        isa_intersect(r, node);
    if (first || strcmp(mmu, p->mmu_type) < 0) /* sv39 < sv48 < sv57 */
        fmt_snprintf(p->mmu_type, sizeof(p->mmu_type), "%s", mmu);
    p->cbom_block =
        common_block(first, p->cbom_block, platform_u32(r->fdt, node, "riscv,cbom-block-size", 0));
    p->cboz_block =
        common_block(first, p->cboz_block, platform_u32(r->fdt, node, "riscv,cboz-block-size", 0));
}

static bool is_cpu(const void *fdt, int node)
{
    const char *type = platform_string(fdt, node, "device_type");
    return type && strcmp(type, "cpu") == 0;
}

static bool seen(const struct platform *p, uint64_t hartid)
{
    for (unsigned i = 0; i < p->hart_count; i++)
        if (p->hart[i].hartid == hartid)
            return true;
    return false;
}

/* hart ids come from reg: /cpus is no bus, so no size cells and no ranges. */
static bool read_hartid(const void *fdt, int node, uint64_t *hartid)
{
    *hartid = platform_number(fdt, node, "reg", UINT64_MAX);
    return *hartid != UINT64_MAX;
}

static bool read_hart(struct platform_reader *r, int node, bool any_usable)
{
    struct platform *p = r->out;
    uint64_t hartid;
    const char *why_not = why_unusable(r->fdt, node);

    if (!read_hartid(r->fdt, node, &hartid) || seen(p, hartid)) {
        platform_warn(r, "/cpus/%s: no hart id of its own, left out",
                      fdt_get_name(r->fdt, node, NULL));
        return false;
    }
    if (p->hart_count == PLATFORM_HARTS) {
        p->harts_left_out++;
        return false;
    }
    p->hart[p->hart_count++] = (struct platform_hart){
        .hartid = hartid,
        .usable = !why_not,
        .why_not = why_not,
        .irq_context = UINT32_MAX,
    };
    if (!why_not)
        add_capabilities(r, node, !any_usable);
    return !why_not;
}

int platform_read_cpus(struct platform_reader *r, const char **problem)
{
    struct platform *p = r->out;
    int node, cpus = fdt_path_offset(r->fdt, "/cpus");
    bool any_usable = false;
    if (cpus < 0) {
        *problem = "the device tree has no /cpus";
        return -EINVAL;
    }

    p->timebase_hz = platform_number(r->fdt, cpus, "timebase-frequency", 0);
    fdt_for_each_subnode(node, r->fdt, cpus)
    {
        if (!is_cpu(r->fdt, node))
            continue;
        if (p->timebase_hz == 0) /* some boards have it here */
            p->timebase_hz = platform_number(r->fdt, node, "timebase-frequency", 0);
        any_usable |= read_hart(r, node, any_usable);
    }
    if (!platform_has(p, "zicbom"))
        p->cbom_block = 0;
    if (!platform_has(p, "zicboz"))
        p->cboz_block = 0;

    if (!any_usable) {
        *problem = "no hart has the H (hypervisor) extension and is enabled";
        return -EINVAL;
    }
    if (p->timebase_hz == 0) {
        *problem = "the device tree has no timebase-frequency";
        return -EINVAL;
    }
    return 0;
}
