// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/report.h"

#include <string.h>

#include "base/log.h"
#include "vcpu/exit.h"
#include "vcpu/insn.h"

#define INTERRUPT (1ul << 63)

struct text {
    char *to;
    size_t size, len;
};

static void put(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (t->len + 1 >= t->size)
        return;
    va_start(ap, fmt);
    n = fmt_vsnprintf(t->to + t->len, t->size - t->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->len = min_u64(t->len + (size_t)n, t->size - 1);
}

/* vsatp lies in the hart while the vCPU is loaded. */
static uint64_t current_vsatp(const struct vcpu *v)
{
    return atomic_load(&v->loaded_hart) >= 0 ? csr_read(CSR_VSATP) : v->csr.vsatp;
}

/* The same goes for the mode; SPVP, unlike SPP, outlives a trap of our own (hlv under a guard). */
static bool was_supervisor(const struct vcpu *v)
{
    uint64_t hstatus = atomic_load(&v->loaded_hart) >= 0 ? csr_read(CSR_HSTATUS) : v->hstatus;

    return hstatus & HSTATUS_SPVP;
}

static bool translate(struct vcpu *v, uint64_t va, gpa_t *out)
{
    struct vs_step steps[5];
    int result;

    vcpu_walk_vs(&v->guest->s2, current_vsatp(v), gva(va), steps, out, &result);
    return result == 0;
}

static void put_instruction(struct text *t, struct vcpu *v)
{
    uint32_t raw;
    char words[64];

    if (!vcpu_walk_fetch(&v->guest->s2, current_vsatp(v), gva(v->pc), &raw)) {
        put(t, "  instruction: cannot be read\n");
        return;
    }
    insn_describe(raw, words, sizeof(words));
    put(t, (raw & 3) == 3 ? "  instruction: %08x  %s\n" : "  instruction: %04x  %s\n", raw, words);
}

static bool is_guest_page_fault(uint64_t cause)
{
    return cause == CAUSE_FETCH_GUEST_PAGE_FAULT || cause == CAUSE_LOAD_GUEST_PAGE_FAULT ||
           cause == CAUSE_STORE_GUEST_PAGE_FAULT;
}

/* Whether stval holds an address of the guest. */
static bool has_address(uint64_t cause)
{
    switch (cause) {
    case CAUSE_FETCH_ACCESS:
    case CAUSE_LOAD_MISALIGNED:
    case CAUSE_LOAD_ACCESS:
    case CAUSE_STORE_MISALIGNED:
    case CAUSE_STORE_ACCESS:
        return true;
    default:
        return is_guest_page_fault(cause);
    }
}

/* htval is the address >> 2, its low bits are stval's; 0 on harts without Shtvala. */
static bool fault_gpa(struct vcpu *v, gpa_t *out)
{
    if (is_guest_page_fault(v->exit.cause) && v->exit.htval) {
        *out = gpa(v->exit.htval << 2 | (v->exit.tval & 3));
        return true;
    }
    return translate(v, v->exit.tval, out);
}

static void put_vs_stage(struct text *t, struct vcpu *v)
{
    static const char *const names[] = {[0] = "Bare", [8] = "Sv39", [9] = "Sv48", [10] = "Sv57"};
    uint64_t vsatp = current_vsatp(v), mode = vsatp >> 60;
    struct vs_step steps[5];
    gpa_t g;
    int result;
    unsigned n = vcpu_walk_vs(&v->guest->s2, vsatp, gva(v->exit.tval), steps, &g, &result);

    put(t, "  VS-stage (%s): ", mode < ARRAY_LEN(names) && names[mode] ? names[mode] : "?");
    if (n)
        put(t, "level %u entry %u of table %#lx is %#lx", steps[n - 1].level, steps[n - 1].index,
            (unsigned long)steps[n - 1].table.v, (unsigned long)steps[n - 1].pte);
    if (result)
        put(t, "%sno translation\n", n ? ": " : "");
    else
        put(t, "%sgpa %#lx\n", n ? ": " : "", (unsigned long)g.v);
}

static void put_g_stage(struct text *t, struct vcpu *v, gpa_t g)
{
    struct stage2 *s2 = &v->guest->s2;
    struct stage2_step steps[5];
    struct stage2_leaf leaf;
    unsigned n = stage2_trace(s2, g, steps);

    put(t, "  G-stage (%s): ", stage2_mode_name((enum stage2_mode)s2->mode));
    if (n)
        put(t, "level %u entry %u is %#lx: ", steps[n - 1].level, steps[n - 1].index,
            (unsigned long)steps[n - 1].pte);
    if (stage2_lookup(s2, g, &leaf))
        put(t, "not mapped\n");
    else
        put(t, "hpa %#lx\n", (unsigned long)leaf.pa.v);
}

/* The nearest thing below or around the address. */
static void put_neighbour(struct text *t, struct vcpu *v, gpa_t g)
{
    const struct bus *bus = &v->guest->bus;
    const struct vdev *below = NULL;

    for (unsigned i = 0; i < v->guest->s2.ram_count; i++) {
        const struct stage2_ram *ram = &v->guest->s2.ram[i];
        put(t, "  RAM: %#lx to %#lx\n", (unsigned long)ram->base.v,
            (unsigned long)(ram->base.v + ram->size));
    }
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->dev[i]->base.v <= g.v)
            below = bus->dev[i];
    if (below)
        put(t, "  device at or below it: %s, %#lx to %#lx\n", below->name,
            (unsigned long)below->base.v, (unsigned long)(below->base.v + below->size));
}

static const char *advice(struct vcpu *v, gpa_t g)
{
    const struct guest *guest = v->guest;

    if (stage2_find_ram(&guest->s2, g))
        return "it is RAM: see `frames` for memory left; stop a VM or give one less";
    for (unsigned i = 0; i < guest->bus.count; i++)
        if (g.v - guest->bus.dev[i]->base.v < guest->bus.dev[i]->size)
            return "it is a device: use plain loads and stores of 1, 2, 4 or 8 bytes there";
    for (unsigned i = 0; i < guest->s2.ram_count; i++)
        if (g.v - guest->s2.ram[i].base.v - guest->s2.ram[i].size < GIB(1))
            return "it is past the end of RAM: does the guest expect more memory than its bundle "
                   "gives?";
    return "nothing is there: compare the driver's address with `devices` and `fdt` of this VM";
}

void report_guest_fault(struct vcpu *v, const char *what, char *buf, size_t size)
{
    struct text t = {buf, size, 0};
    uint64_t cause = v->exit.cause;
    unsigned row = (unsigned)(cause & 31) | (cause & INTERRUPT ? 32 : 0);
    gpa_t g;

    if (!size)
        return;
    buf[0] = '\0';
    put(&t, "%s: %s\n", v->guest->name, what);
    put(&t, "  vCPU %u (hart id %lu), %s-mode, pc %#lx, ra %#lx, sp %#lx\n", v->index,
        (unsigned long)v->hartid, was_supervisor(v) ? "VS" : "VU", (unsigned long)v->pc,
        (unsigned long)v->gpr[1], (unsigned long)v->gpr[2]);
    put_instruction(&t, v);
    put(&t, "  exit: %s (cause %lu), stval %#lx, htval %#lx, htinst %#lx\n", exit_cause_name(row),
        (unsigned long)(cause & ~INTERRUPT), (unsigned long)v->exit.tval,
        (unsigned long)v->exit.htval, (unsigned long)v->exit.htinst);
    if (!has_address(cause)) {
        put(&t, "  check: `regs` and `exits` of this VM\n");
        return;
    }
    put_vs_stage(&t, v);
    if (!fault_gpa(v, &g)) {
        put(&t, "  gva %#lx has no gpa\n", (unsigned long)v->exit.tval);
        put(&t, "  check: the guest's own page tables: `walk` with this gva\n");
        return;
    }
    put(&t, "  gva %#lx, gpa %#lx\n", (unsigned long)v->exit.tval, (unsigned long)g.v);
    put_g_stage(&t, v, g);
    put_neighbour(&t, v, g);
    put(&t, "  check: %s\n", advice(v, g));
}

void report_log(struct vcpu *v, const char *what)
{
    char text[REPORT_SIZE], *line = text;

    report_guest_fault(v, what, text, sizeof(text));
    while (*line) {
        char *end = strchr(line, '\n');

        if (end)
            *end = '\0';
        log_error("%s", line);
        if (!end)
            break;
        line = end + 1;
    }
}

void report_log_vcpus(const struct guest *g)
{
    for (unsigned i = 0; i < g->vcpu_count; i++) {
        const struct vcpu *v = g->vcpu[i];

        log_error("  vCPU %u: hart %s%s, %s-mode, pc %#lx, ra %#lx, sp %#lx, vsatp %#lx", i,
                  vcpu_hsm_name(atomic_load(&v->hsm)), v->in_wfi ? ", in WFI" : "",
                  was_supervisor(v) ? "VS" : "VU", (unsigned long)v->pc, (unsigned long)v->gpr[1],
                  (unsigned long)v->gpr[2], (unsigned long)v->csr.vsatp);
    }
}
