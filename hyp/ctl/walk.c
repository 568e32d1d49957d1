// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/walk.h"

#include "base/log.h"

#define PTE_PPN(pte) ((pte) >> 10 & ((1ul << 44) - 1))
#define PTE_N (1ul << 63)
#define PTE_PBMT_SHIFT 61

/* ---- one entry ---- */

static const char *page_size(unsigned level)
{
    static const char *const sizes[] = {"4 KiB", "2 MiB", "1 GiB", "512 GiB", "256 TiB"};

    return level < ARRAY_LEN(sizes) ? sizes[level] : "?";
}

/* "rwxug ad": a dash for each bit that is clear. */
static void flags(uint64_t pte, char to[10])
{
    static const struct {
        char name;
        uint16_t bit;
    } bits[] = {
        {'r', PTE_R}, {'w', PTE_W}, {'x', PTE_X}, {'u', PTE_U},
        {'g', PTE_G}, {' ', 0},     {'a', PTE_A}, {'d', PTE_D},
    };
    unsigned n = 0;

    for (; n < ARRAY_LEN(bits); n++)
        to[n] = bits[n].bit && !(pte & bits[n].bit) ? '-' : bits[n].name;
    to[n] = '\0';
}

/* what: "hpa" or "gpa", which the entry holds. */
static void describe_pte(uint64_t pte, unsigned level, const char *what, char to[WALK_TEXT])
{
    static const char *const pbmt[] = {"", ", non-cacheable", ", io", ", reserved pbmt"};
    unsigned long target = PTE_PPN(pte) << PAGE_SHIFT;
    /* In a guest's own entry the bit is the guest's. */
    const char *soft = !(pte & PTE_SOFT_COW) ? "" : what[0] == 'h' ? ", copy-on-write" : ", bit 8";
    char bits[10];

    flags(pte, bits);
    if (!(pte & PTE_V))
        fmt_snprintf(to, WALK_TEXT, pte ? "not valid (software bits only)" : "not valid");
    else if ((pte & PTE_W) && !(pte & PTE_R))
        fmt_snprintf(to, WALK_TEXT, "%s  reserved: w without r", bits);
    else if (pte & (PTE_R | PTE_X))
        fmt_snprintf(to, WALK_TEXT, "%s  %s page at %s %#lx%s%s%s", bits,
                     pte & PTE_N ? "64 KiB" : page_size(level), what, target,
                     pbmt[pte >> PTE_PBMT_SHIFT & 3], soft,
                     target & ((1ul << (PAGE_SHIFT + 9 * level)) - 1) ? ", misaligned" : "");
    else if (level == 0)
        fmt_snprintf(to, WALK_TEXT, "%s  a table below the last level", bits);
    else
        fmt_snprintf(to, WALK_TEXT, "%s  table at %s %#lx", bits, what, target);
}

/* ---- the second stage ---- */

static void give(walk_fn each, void *ctx, enum walk_kind kind, uint64_t address, const char *text)
{
    struct walk_step s = {.kind = kind, .address = address};

    fmt_snprintf(s.text, sizeof(s.text), "%s", text);
    each(ctx, &s);
}

static void give_nothing(struct vm *vm, gpa_t g, walk_fn each, void *ctx)
{
    struct stage2 *s2 = &vm->guest.s2;
    struct vdev *dev = bus_find(&vm->guest.bus, g);
    char text[WALK_TEXT];

    if (g.v >> stage2_mode_gpa_bits((enum stage2_mode)s2->mode))
        fmt_snprintf(text, sizeof(text), "beyond the %u bits of %s",
                     stage2_mode_gpa_bits((enum stage2_mode)s2->mode),
                     stage2_mode_name((enum stage2_mode)s2->mode));
    else if (stage2_has_image(s2, g, 1))
        fmt_snprintf(text, sizeof(text),
                     "RAM that was not touched yet: an image's (the first access maps it)");
    else if (stage2_find_ram(s2, g))
        fmt_snprintf(text, sizeof(text), "RAM that was not touched yet (the first access maps it)");
    else if (dev)
        fmt_snprintf(text, sizeof(text),
                     "device %s, offset %#lx (never mapped: each access is an exit)", dev->name,
                     (unsigned long)(g.v - dev->base.v));
    else
        fmt_snprintf(text, sizeof(text), "nothing: an access here stops the VM with a report");
    give(each, ctx, WALK_NOTHING, 0, text);
}

void walk_gpa(struct vm *vm, gpa_t g, walk_fn each, void *ctx)
{
    struct stage2 *s2 = &vm->guest.s2;
    struct stage2_step steps[5];
    struct stage2_leaf leaf;
    unsigned n = 0;

    /* The mode's root has four times the entries; past them there is no step to show. */
    if (!(g.v >> stage2_mode_gpa_bits((enum stage2_mode)s2->mode)))
        n = stage2_trace(s2, g, steps);
    for (unsigned i = 0; i < n; i++) {
        struct walk_step s = {.kind = WALK_G,
                              .level = steps[i].level,
                              .index = steps[i].index,
                              .table = steps[i].table.v,
                              .pte = steps[i].pte};

        describe_pte(s.pte, s.level, "hpa", s.text);
        each(ctx, &s);
    }
    if (!n || stage2_lookup(s2, g, &leaf))
        give_nothing(vm, g, each, ctx);
    else
        give(each, ctx, WALK_FOUND, leaf.pa.v, "");
}

/* ---- both ---- */

const char *walk_mode(uint64_t vsatp)
{
    switch (vsatp >> 60) {
    case 0:
        return "Bare";
    case 8:
        return "Sv39";
    case 9:
        return "Sv48";
    case 10:
        return "Sv57";
    default:
        return "an unknown mode";
    }
}

unsigned walk_asid(uint64_t vsatp) { return (unsigned)(vsatp >> 44 & 0xFFFF); }

void walk_gva(struct vm *vm, const struct vcpu *v, gva_t va, walk_fn each, void *ctx)
{
    struct vs_step steps[5];
    gpa_t g;
    int result;
    unsigned n = vcpu_walk_vs(&vm->guest.s2, v->csr.vsatp, va, steps, &g, &result);

    for (unsigned i = 0; i < n; i++) {
        gpa_t entry = gpa_add(steps[i].table, steps[i].index * 8ul);
        struct walk_step s = {.kind = WALK_VS,
                              .level = steps[i].level,
                              .index = steps[i].index,
                              .table = steps[i].table.v,
                              .pte = steps[i].pte};

        describe_pte(s.pte, s.level, "gpa", s.text);
        if (!stage2_find_ram(&vm->guest.s2, entry))
            fmt_snprintf(s.text, sizeof(s.text), "cannot be read: the table is not in RAM");
        each(ctx, &s);
        walk_gpa(vm, entry, each, ctx);
    }
    if (result) {
        give(each, ctx, WALK_FAULT, 0,
             n ? "no translation: the guest gets a page fault (or access fault) here"
               : "no translation: the address is not canonical, or the mode unknown");
        return;
    }
    give(each, ctx, WALK_GPA, g.v, "");
    walk_gpa(vm, g, each, ctx);
}
