// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/virtual.h"

#include "vcpu/boundary.h"
#include "vcpu/fault.h"
#include "vcpu/hostpmu.h"
#include "vcpu/insn.h"
#include "vcpu/sbi/counters.h"

#define INSN_WRS_NTO_WORD 0x00d00073u /* traps like WFI while others want the hart (Zawrs) */

#define COUNTERS 6 /* top three bits of a CSR instruction on 0xc00..0xdff: counters, scountovf */

/* A CSR that the guest may use and the hart does not give it: one row each. */
struct csr_row {
    uint16_t first, last;
    bool (*read)(struct vcpu *v, unsigned number, uint64_t *value);
    bool (*write)(struct vcpu *v, uint64_t value);
    bool (*allowed)(const struct insn *in);
};

static bool is_kernel(void) { return csr_read(CSR_SSTATUS) & SSTATUS_SPP; }

/* Hosts that cannot hand the time CSR to guests (hcounteren.TM is WARL). */
static bool read_time(struct vcpu *v, unsigned number, uint64_t *value)
{
    (void)number;
    *value = arch_time() + v->guest->time_delta;
    return true;
}
/* Counters that the host withholds, that the guest has configured, or that nobody has. */
static bool read_counter(struct vcpu *v, unsigned number, uint64_t *value)
{
    return pmu_read(v, number - CSR_CYCLE, value);
}

/* Where the host could hand counters on to supervisors (Ssccfg), scountovf of a virtual mode is ours to show. */
static bool read_scountovf(struct vcpu *v, unsigned number, uint64_t *value)
{
    (void)number;
    *value = hostpmu_overflowed(v);
    return vcpu_features.sscofpmf;
}
static bool scountovf_allowed(const struct insn *in)
{
    (void)in;
    return is_kernel();
}

/* Zkr: no virtual mode ever reaches it; whatever state the source is in, the guest sees it. */
static bool read_seed(struct vcpu *v, unsigned number, uint64_t *value)
{
    (void)v;
    (void)number;
    return vcpu_features.seed && arch_csr_probe(CSR_SEED, value);
}
static bool write_seed(struct vcpu *v, uint64_t value)
{
    (void)v;
    (void)value; /* ignored, but an instruction that does not write is illegal */
    return true;
}

/* User mode sees a counter only when the guest's scounteren lets it. */
static bool counter_allowed(const struct insn *in)
{
    return is_kernel() || csr_read(CSR_SCOUNTEREN) & BIT(in->csr & 31);
}
static bool seed_allowed(const struct insn *in) { return is_kernel() && insn_csr_writes(in); }

static const struct csr_row csr_rows[] = {
    {CSR_CYCLE, CSR_CYCLE, read_counter, 0, counter_allowed},
    {CSR_TIME, CSR_TIME, read_time, 0, counter_allowed},
    {CSR_INSTRET, CSR_HPMCOUNTER31, read_counter, 0, counter_allowed},
    {CSR_SCOUNTOVF, CSR_SCOUNTOVF, read_scountovf, 0, scountovf_allowed},
    {CSR_SEED, CSR_SEED, read_seed, write_seed, seed_allowed},
};

static bool access_csr(struct vcpu *v, const struct insn *in)
{
    for (unsigned i = 0; i < ARRAY_LEN(csr_rows); i++) {
        const struct csr_row *row = &csr_rows[i];
        uint64_t old = 0, operand;

        if (in->csr < row->first || in->csr > row->last)
            continue;
        if (!row->allowed(in) || (insn_csr_writes(in) && !row->write))
            return false;
        if (insn_csr_reads(in) && !row->read(v, in->csr, &old))
            return false;
        if (insn_csr_writes(in)) {
            operand = in->funct & 4 ? in->rs1 : v->gpr[in->rs1];
            if ((in->funct & 3) == 2)
                operand |= old;
            else if ((in->funct & 3) == 3)
                operand = old & ~operand;
            if (!row->write(v, operand))
                return false;
        }
        if (in->rd)
            v->gpr[in->rd] = old;
        return true;
    }
    return false;
}

/* Nearly all that come here are not for us: told apart before they are decoded. */
static bool may_be_row(uint32_t raw) { return raw >> 29 == COUNTERS || raw >> 20 == CSR_SEED; }

static __attribute__((noinline)) enum exit_result exit_csr(struct vcpu *v, uint32_t raw)
{
    struct insn in;

    v->exit_length = 4;
    if (may_be_row(raw) && insn_decode(raw, &in) == 0 && in.kind == INSN_CSR && access_csr(v, &in))
        return EXIT_ADVANCE;
    vcpu_inject(v, CAUSE_ILLEGAL, raw);
    return EXIT_INJECT;
}

static inline enum exit_result exit_by(struct vcpu *v, uint32_t raw)
{
    if (raw == INSN_WFI_WORD && csr_read(CSR_SSTATUS) & SSTATUS_SPP) {
        v->in_wfi = true;
        v->pc += 4;
        return EXIT_BLOCK;
    }
    if (raw == INSN_WRS_NTO_WORD) {
        /* It waits for a lock that a descheduled sibling may hold. */
        v->yielding = true;
        v->pc += 4;
        return EXIT_BLOCK;
    }
    return exit_csr(v, raw);
}

static __attribute__((noinline)) enum exit_result exit_by_fetched(struct vcpu *v)
{
    uint32_t raw;

    return fault_fetch(v->pc, &raw) ? exit_by(v, raw) : EXIT_RESUME;
}

/* stval holds the instruction, or 0 where the hart does not give it. */
enum exit_result exit_virtual_instruction(struct vcpu *v)
{
    uint32_t raw = (uint32_t)v->exit.tval;

    return raw ? exit_by(v, raw) : exit_by_fetched(v);
}
