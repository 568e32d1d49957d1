// SPDX-License-Identifier: BSD-2-Clause
// Commands about memory: frames by owner, and both stages of an address translation step by step.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/command.h"
#include "ctl/inspect.h"
#include "mem/frame.h"

#define PTE_PPN(pte) ((pte) >> 10 & ((1ul << 44) - 1))
#define PTE_N (1ul << 63)
#define PTE_PBMT_SHIFT 61

static unsigned long kib(uint64_t frames) { return frames << (PAGE_SHIFT - 10); }

static void print_counts(const struct command_out *out, const char *name, int owner)
{
    uint64_t n[FRAME_STATES], sum = 0;

    frame_count(owner, n);
    for (unsigned i = 0; i < FRAME_STATES; i++)
        sum += n[i];
    command_print(out, "%-16s %10lu %10lu %8lu %10lu %8lu %8lu %8lu %9lu %11lu", name,
                  kib(n[FRAME_FREE]), kib(n[FRAME_HYP]), kib(n[FRAME_TABLE]), kib(n[FRAME_VM]),
                  kib(n[FRAME_SHARED]), kib(n[FRAME_IMAGE]), kib(n[FRAME_LENT]),
                  kib(n[FRAME_RESERVED]), kib(sum));
}

int cmd_frames(const struct command_out *out, int argc, char *const argv[])
{
    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    command_print(out, "%-16s %10s %10s %8s %10s %8s %8s %8s %9s %11s", "KiB OF", "FREE",
                  "HYPERVISOR", "TABLES", "VM RAM", "SHARED", "IMAGES", "LENT", "RESERVED",
                  "TOTAL");
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);

        if (vm)
            print_counts(out, vm->config.name, vm->guest.id);
    }
    print_counts(out, "no VM", OWNER_HYP);
    print_counts(out, "all", -1);
    command_print(out, "%lu free pieces of 2 MiB", (unsigned long)frame_free_blocks());
    return 0;
}

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
static void describe_pte(uint64_t pte, unsigned level, const char *what, char *to, size_t size)
{
    static const char *const pbmt[] = {"", ", non-cacheable", ", io", ", reserved pbmt"};
    unsigned long target = PTE_PPN(pte) << PAGE_SHIFT;
    char bits[10];

    flags(pte, bits);
    if (!(pte & PTE_V))
        fmt_snprintf(to, size, pte ? "not valid (software bits only)" : "not valid");
    else if ((pte & PTE_W) && !(pte & PTE_R))
        fmt_snprintf(to, size, "%s  reserved: w without r", bits);
    else if (pte & (PTE_R | PTE_X))
        fmt_snprintf(to, size, "%s  %s page at %s %#lx%s%s%s", bits,
                     pte & PTE_N ? "64 KiB" : page_size(level), what, target,
                     pbmt[pte >> PTE_PBMT_SHIFT & 3], pte & PTE_SOFT_COW ? ", bit 8" : "",
                     target & ((1ul << (PAGE_SHIFT + 9 * level)) - 1) ? ", misaligned" : "");
    else if (level == 0)
        fmt_snprintf(to, size, "%s  a table below the last level", bits);
    else
        fmt_snprintf(to, size, "%s  table at %s %#lx", bits, what, target);
}

static void print_g_step(const struct command_out *out, const struct stage2_step *s)
{
    char text[96];

    describe_pte(s->pte, s->level, "hpa", text, sizeof(text));
    command_print(out, "    G  level %u  table hpa %#014lx [%4u]  %016lx  %s", s->level,
                  (unsigned long)s->table.v, s->index, (unsigned long)s->pte, text);
}

/* Why there is no translation, and whether that is wrong. */
static void print_unmapped(const struct command_out *out, struct vm *vm, gpa_t g)
{
    struct stage2 *s2 = &vm->guest.s2;
    struct vdev *dev = bus_find(&vm->guest.bus, g);

    if (g.v >> stage2_mode_gpa_bits((enum stage2_mode)s2->mode))
        command_print(out, "    = beyond the %u bits of %s",
                      stage2_mode_gpa_bits((enum stage2_mode)s2->mode),
                      stage2_mode_name((enum stage2_mode)s2->mode));
    else if (stage2_find_ram(s2, g))
        command_print(out, "    = RAM that was not touched yet (the first access maps it)");
    else if (dev)
        command_print(out, "    = device %s, offset %#lx (never mapped: each access is an exit)",
                      dev->name, (unsigned long)(g.v - dev->base.v));
    else
        command_print(out, "    = nothing: an access here stops the VM with a report");
}

/* The G-stage's own translation of g; whether it has one. */
static bool print_g_stage(const struct command_out *out, struct vm *vm, gpa_t g)
{
    struct stage2 *s2 = &vm->guest.s2;
    struct stage2_step steps[5];
    struct stage2_leaf leaf;
    unsigned n = 0;

    /* The mode's root has four times the entries; past them there is no step to show. */
    if (!(g.v >> stage2_mode_gpa_bits((enum stage2_mode)s2->mode)))
        n = stage2_trace(s2, g, steps);
    for (unsigned i = 0; i < n; i++)
        print_g_step(out, &steps[i]);
    if (!n || stage2_lookup(s2, g, &leaf)) {
        print_unmapped(out, vm, g);
        return false;
    }
    command_print(out, "    = hpa %#lx", (unsigned long)leaf.pa.v);
    return true;
}

/* ---- commands ---- */

static const char *vsatp_mode(uint64_t vsatp)
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

static void print_walk(const struct command_out *out, struct vm *vm, const struct vcpu *v, gva_t va)
{
    uint64_t vsatp = v->csr.vsatp;
    struct vs_step steps[5];
    gpa_t g;
    int result;
    unsigned n = vcpu_walk_vs(&vm->guest.s2, vsatp, va, steps, &g, &result);

    command_print(out, "%s vCPU %u: gva %#lx, vsatp %#lx (%s, ASID %lu)", vm->config.name, v->index,
                  (unsigned long)va.v, (unsigned long)vsatp, vsatp_mode(vsatp),
                  (unsigned long)(vsatp >> 44 & 0xFFFF));
    for (unsigned i = 0; i < n; i++) {
        const struct vs_step *s = &steps[i];
        gpa_t entry = gpa_add(s->table, s->index * 8ul);
        char text[96];

        describe_pte(s->pte, s->level, "gpa", text, sizeof(text));
        if (!stage2_find_ram(&vm->guest.s2, entry))
            fmt_snprintf(text, sizeof(text), "cannot be read: the table is not in RAM");
        command_print(out, "VS level %u  table gpa %#014lx [%4u]  %016lx  %s", s->level,
                      (unsigned long)s->table.v, s->index, (unsigned long)s->pte, text);
        print_g_stage(out, vm, entry);
    }
    if (result) {
        command_print(out, n ? "no translation: the guest gets a page fault (or access fault) here"
                             : "no translation: the address is not canonical, or the mode unknown");
        return;
    }
    command_print(out, "gpa %#lx", (unsigned long)g.v);
    print_g_stage(out, vm, g);
}

int cmd_walk(const struct command_out *out, int argc, char *const argv[])
{
    uint64_t va, index = 0;
    struct inspect in;
    const char *why;
    struct vm *vm;
    int error;

    if (argc < 3 || argc > 4 || !command_number(argv[2], &va) ||
        (argc == 4 && !command_number(argv[3], &index)))
        return COMMAND_USAGE;
    vm = command_vm(out, argv[1]);
    if (!vm)
        return -ENOENT;
    error = inspect_vcpu(&in, vm, index, &why);
    if (error)
        return command_fail(out, error, "%s: %s", argv[1], why);
    if (atomic_load(&vm->state) == VM_OFF)
        error = command_fail(out, -ENOENT, "%s is off: it has no memory", argv[1]);
    else
        print_walk(out, vm, in.v, gva(va));
    inspect_end(&in);
    return error;
}

int cmd_gpa(const struct command_out *out, int argc, char *const argv[])
{
    struct inspect in;
    const char *why;
    struct vm *vm;
    uint64_t g;
    int error;

    if (argc != 3 || !command_number(argv[2], &g))
        return COMMAND_USAGE;
    vm = command_vm(out, argv[1]);
    if (!vm)
        return -ENOENT;
    error = inspect_vm(&in, vm, &why);
    if (error)
        return command_fail(out, error, "%s: %s", argv[1], why);
    if (atomic_load(&vm->state) == VM_OFF) {
        error = command_fail(out, -ENOENT, "%s is off: it has no memory", argv[1]);
    } else {
        command_print(out, "%s: gpa %#lx (%s)", argv[1], (unsigned long)g,
                      stage2_mode_name((enum stage2_mode)vm->guest.s2.mode));
        print_g_stage(out, vm, gpa(g));
    }
    inspect_end(&in);
    return error;
}
