// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/virtual.h"

#include "vcpu/boundary.h"
#include "vcpu/fault.h"
#include "vcpu/insn.h"
#include "vcpu/sbi/counters.h"

#define INSN_WRS_NTO_WORD 0x00d00073u /* traps like WFI while others want the hart (Zawrs) */

#define COUNTERS 0x60 /* top seven bits of a CSR instruction on 0xc00..0xc1f */

/* A CSR that the guest may use and the hart does not give it: one row each. */
struct csr_row {
    uint16_t number;
    bool (*read)(struct vcpu *v, uint64_t *value);
    bool (*write)(struct vcpu *v, uint64_t value);
    bool (*allowed)(const struct insn *in);
};

/* Hosts that cannot hand the time CSR to guests (hcounteren.TM is WARL). */
static bool read_time(struct vcpu *v, uint64_t *value)
{
    *value = arch_time() + v->guest->time_delta;
    return true;
}
/* Counters that the host withholds, or that the guest has configured. */
static bool read_cycle(struct vcpu *v, uint64_t *value) { return pmu_read(v, PMU_CYCLE, value); }
static bool read_instret(struct vcpu *v, uint64_t *value)
{
    return pmu_read(v, PMU_INSTRET, value);
}

/* Zkr: no virtual mode ever reaches it; whatever state the source is in, the guest sees it. */
static bool read_seed(struct vcpu *v, uint64_t *value)
{
    (void)v;
    return vcpu_features.seed && arch_csr_probe(CSR_SEED, value);
}
static bool write_seed(struct vcpu *v, uint64_t value)
{
    (void)v;
    (void)value; /* ignored, but an instruction that does not write is illegal */
    return true;
}

static bool is_kernel(void) { return csr_read(CSR_SSTATUS) & SSTATUS_SPP; }

/* User mode sees a counter only when the guest's scounteren lets it. */
static bool counter_allowed(const struct insn *in)
{
    return is_kernel() || csr_read(CSR_SCOUNTEREN) & BIT(in->csr & 31);
}
static bool seed_allowed(const struct insn *in) { return is_kernel() && insn_csr_writes(in); }

static const struct csr_row csr_rows[] = {
    {CSR_CYCLE, read_cycle, 0, counter_allowed},
    {CSR_TIME, read_time, 0, counter_allowed},
    {CSR_INSTRET, read_instret, 0, counter_allowed},
    {CSR_SEED, read_seed, write_seed, seed_allowed},
};

static bool access_csr(struct vcpu *v, const struct insn *in)
{
    for (unsigned i = 0; i < ARRAY_LEN(csr_rows); i++) {
        const struct csr_row *row = &csr_rows[i];
        uint64_t old = 0, operand;

        if (row->number != in->csr)
            continue;
        if (!row->allowed(in) || (insn_csr_writes(in) && !row->write))
            return false;
        if (insn_csr_reads(in) && !row->read(v, &old))
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
static bool may_be_row(uint32_t raw) { return raw >> 25 == COUNTERS || raw >> 20 == CSR_SEED; }

enum exit_result exit_virtual_instruction(struct vcpu *v)
{
    uint32_t raw = (uint32_t)v->exit.tval;
    struct insn in;

    /* stval holds the instruction, or 0 where the hart does not give it. */
    if (!raw && !fault_fetch(v->pc, &raw))
        return EXIT_RESUME;
    v->exit_length = 4;
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
    if (may_be_row(raw) && insn_decode(raw, &in) == 0 && in.kind == INSN_CSR && access_csr(v, &in))
        return EXIT_ADVANCE;
    vcpu_inject(v, CAUSE_ILLEGAL, raw);
    return EXIT_INJECT;
}
