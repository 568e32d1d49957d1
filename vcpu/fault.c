// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/fault.h"

#include <errno.h>

#include "base/log.h"
#include "vcpu/insn.h"

/* RAM that the guest touched first, by itself or through its page tables. */
static enum exit_result populate(struct vcpu *v, gpa_t g, bool write)
{
    switch (stage2_populate(&v->guest->s2, g, write)) {
    case 0:
        return EXIT_RESUME;
    case -ENOMEM:
        if (!v->guest->ops->no_memory(v->guest))
            return exit_crash(v, "the host has no memory left for this VM's RAM");
        v->yielding = true; /* nobody wakes it: the same instruction again, after others */
        return EXIT_BLOCK;
    default:
        return exit_crash(v, "guest RAM that cannot be made present");
    }
}

/* What the guest tried: from htinst, or by reading the instruction. -EAGAIN: it cannot be read now (its
 * page went away between the fault and our look). */
static inline int decode(struct guest *g, uint64_t htinst, uint64_t pc, struct insn *in)
{
    uint32_t raw;

    if (htinst & g->htinst_mask)
        return insn_decode_htinst(htinst, in);
    if (htinst && !(htinst & 1))
        return -EILSEQ; /* no instruction's own access: its page tables' */
    if (!fault_fetch(pc, &raw))
        return -EAGAIN;
    return insn_decode(raw, in);
}

static enum exit_result access_device(struct vcpu *v, gpa_t g)
{
    bool write = v->exit.cause == CAUSE_STORE_GUEST_PAGE_FAULT;
    struct mmio_access a;
    struct insn in;
    int error = decode(v->guest, v->exit.htinst, v->pc, &in);

    if (error == -EAGAIN)
        return EXIT_RESUME;
    if (error || in.kind != (write ? INSN_STORE : INSN_LOAD)) {
        /* Atomics, FP and vector accesses to devices: no bus carries them, so an access fault. */
        if (!error && bus_find(&v->guest->bus, g)) {
            vcpu_inject(v, write ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS, v->exit.tval);
            return EXIT_INJECT;
        }
        return exit_crash(v, error ? "a device access by an instruction that cannot be decoded"
                                   : "an access to an address where nothing is");
    }
    a.gpa = gpa(g.v - in.offset);
    a.width = in.width;
    a.write = write;
    a.vcpu = v->index;
    a.value = write ? insn_store_value(&in, in.rs2 ? v->gpr[in.rs2] : 0) : 0;
    switch (bus_access(&v->guest->bus, &a)) {
    case MMIO_OK:
        break;
    case MMIO_RETRY:
        v->yielding = true; /* nobody wakes it: the same instruction again, after others */
        return EXIT_BLOCK;
    default:
        return exit_crash(v, "an access to an address where nothing is");
    }
    if (!write && in.rd)
        v->gpr[in.rd] = insn_load_value(&in, a.value);
    v->exit_length = in.length;
    return EXIT_ADVANCE;
}

/* Registers that switch.S saves on the way to a fast handler: all but gp and s0..s11. */
#define SAVED_REGISTERS (~(BIT(3) | BIT(8) | BIT(9) | 0x3ffUL << 18))

/* The frequent access: a plain load or store of a device that needs none of the registers that are not saved yet. EXIT_RESUME when done, sepc advanced; EXIT_SLOW before anything was. */
enum exit_result fault_fast_access(struct vcpu *v)
{
    uint64_t cause = csr_read(CSR_SCAUSE);
    bool write = cause == CAUSE_STORE_GUEST_PAGE_FAULT;
    struct guest *g = v->guest;
    struct mmio_access a;
    struct insn in;
    gpa_t at = gpa(csr_read(CSR_HTVAL) << 2 | (csr_read(CSR_STVAL) & 3));
    int error;

    if (at.v >= g->fast_mmio_end)
        return EXIT_SLOW;
    error = decode(g, csr_read(CSR_HTINST), csr_read(CSR_SEPC), &in);
    if (error == -EAGAIN) {
        /* The failed fetch has overwritten scause and stval, so nobody else may look: try again. */
        v->exits[cause]++;
        return EXIT_RESUME;
    }
    if (error || in.kind != (write ? INSN_STORE : INSN_LOAD) ||
        !(SAVED_REGISTERS >> (write ? in.rs2 : in.rd) & 1))
        return EXIT_SLOW;
    a.gpa = gpa(at.v - in.offset);
    a.width = in.width;
    a.write = write;
    a.vcpu = v->index;
    a.value = write ? insn_store_value(&in, v->gpr[in.rs2]) : 0;
    if (bus_access(&g->bus, &a) != MMIO_OK)
        return EXIT_SLOW; /* nothing was done: the slow path reports, or tries again */
    if (!write && in.rd)
        v->gpr[in.rd] = insn_load_value(&in, a.value);
    v->exits[cause]++;
    csr_write(CSR_SEPC, csr_read(CSR_SEPC) + in.length);
    return EXIT_RESUME;
}

/* What a guest page fault is about. */
struct fault_at {
    gpa_t gpa;
    /* The guest's page tables lie there: the hart's own access, not the instruction's. */
    bool tables;
    bool write;
    gpa_t leaf; /* by_walk: the entry in which the hart may want to set A or D, else 0 */
};

/* Without htval (no Shtvala) htinst tells nothing of page tables either (privileged architecture, "Transformed
 * Instruction or Pseudoinstruction for mtinst or htinst"): any of the tables may be what faulted. The walk has populated
 * those that are RAM, so it is the first that is not, or the page itself. Where the walk ends early the tables
 * changed under it, and the guest has a fault of its own now, or none; false when there are none at all. */
static bool fault_by_walk(struct vcpu *v, struct fault_at *at)
{
    struct stage2 *s2 = &v->guest->s2;
    struct vs_step steps[5];
    int result;
    unsigned n = vcpu_walk_vs(s2, csr_read(CSR_VSATP), gva(v->exit.tval), steps, &at->gpa, &result);

    for (unsigned i = 0; i < n; i++) {
        gpa_t entry = gpa_add(steps[i].table, steps[i].index * 8ul);

        if (!stage2_find_ram(s2, entry)) {
            *at = (struct fault_at){.gpa = entry, .tables = true};
            return true;
        }
        if (v->fwft.henvcfg & HENVCFG_ADUE)
            at->leaf = entry;
    }
    if (result && n) {
        /* Its last table may be RAM that the host has no memory for: populating it says so. */
        const struct vs_step *last = &steps[n - 1];

        *at = (struct fault_at){.gpa = gpa_add(last->table, last->index * 8ul), .tables = true};
        return true;
    }
    at->write = v->exit.cause == CAUSE_STORE_GUEST_PAGE_FAULT;
    return result == 0;
}

/* A jump to where no RAM is: an access fault, as on a machine; Linux's kexec leaves translation that
 * way (its pc, still virtual, is no address then). But when the trap vector is such a place, a machine
 * would fault for ever. */
static enum exit_result fetch_nothing(struct vcpu *v)
{
    if (v->pc == (csr_read(CSR_VSTVEC) & ~3ul))
        return exit_crash(v, "a jump to an address where no RAM is, and its trap vector is one");
    vcpu_inject(v, CAUSE_FETCH_ACCESS, v->exit.tval);
    return EXIT_INJECT;
}

static bool find_fault(struct vcpu *v, struct fault_at *at)
{
    bool table_write = insn_htinst_is_pt_write(v->exit.htinst);

    *at = (struct fault_at){0};
    if (!v->exit.htval || !vcpu_features.htval)
        return fault_by_walk(v, at);
    at->gpa = gpa(v->exit.htval << 2 | (v->exit.tval & 3));
    at->tables = table_write || insn_htinst_is_pt_read(v->exit.htinst);
    at->write = table_write || v->exit.cause == CAUSE_STORE_GUEST_PAGE_FAULT;
    return true;
}

enum exit_result exit_guest_page_fault(struct vcpu *v)
{
    struct fault_at at;

    if (!find_fault(v, &at))
        return EXIT_RESUME;
    if (at.leaf.v) {
        enum exit_result result = populate(v, at.leaf, true);

        if (result != EXIT_RESUME)
            return result;
    }
    if (stage2_find_ram(&v->guest->s2, at.gpa))
        return populate(v, at.gpa, at.write);
    if (at.tables) {
        /* Its page tables lie where no RAM is: the access fault that a machine would give. */
        vcpu_inject(v,
                    v->exit.cause == CAUSE_FETCH_GUEST_PAGE_FAULT  ? CAUSE_FETCH_ACCESS
                    : v->exit.cause == CAUSE_LOAD_GUEST_PAGE_FAULT ? CAUSE_LOAD_ACCESS
                                                                   : CAUSE_STORE_ACCESS,
                    v->exit.tval);
        return EXIT_INJECT;
    }
    if (v->exit.cause == CAUSE_FETCH_GUEST_PAGE_FAULT)
        return fetch_nothing(v);
    return access_device(v, at.gpa);
}

enum exit_result exit_reflect(struct vcpu *v)
{
    vcpu_inject(v, v->exit.cause, v->exit.tval);
    return EXIT_INJECT;
}
