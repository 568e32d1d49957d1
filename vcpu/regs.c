// SPDX-License-Identifier: BSD-2-Clause
// The register table: every register of a vCPU by name, for the shell, gdb, snapshots and tests;
// and the vCPU's state as a stream of (name, value), so that a stream from another version or
// host is understood exactly or refused.
#include <errno.h>
#include <string.h>

#include "mem/heap.h"
#include "vcpu/sbi/counters.h"
#include "vcpu/sbi/fwft.h"
#include "vcpu/sse.h"
#include "vcpu/sta.h"
#include "vcpu/vector.h"

#define NO_CSR 0xFFFF
#define AT(field) offsetof(struct vcpu, field)
#define GPR(n, abi) {abi, AT(gpr) + 8 * (n), 8, NO_CSR}
#define FPR(n, abi) {abi, AT(fpr) + 8 * (n), 8, NO_CSR}
#define CSR(field, number) {#field, AT(csr.field), 8, number}
#define OTHER(field) {#field, AT(field), sizeof(((struct vcpu *)0)->field), NO_CSR}
#define SSE_AT(n, a) (AT(sse.event) + (n) * sizeof(struct sse_event) + 8 * (a))
/* A software event without its preferred hart, which for a local one is the hart itself. */
#define SSE(n, name) \
    {name "_status", SSE_AT(n, SSE_STATUS), 8, NO_CSR}, \
        {name "_priority", SSE_AT(n, SSE_PRIORITY), 8, NO_CSR}, \
        {name "_config", SSE_AT(n, SSE_CONFIG), 8, NO_CSR}, \
        {name "_entry", SSE_AT(n, SSE_ENTRY_PC), 8, NO_CSR}, \
        {name "_arg", SSE_AT(n, SSE_ENTRY_ARG), 8, NO_CSR}, \
        {name "_sepc", SSE_AT(n, SSE_INTERRUPTED_SEPC), 8, NO_CSR}, \
        {name "_flags", SSE_AT(n, SSE_INTERRUPTED_FLAGS), 8, NO_CSR}, \
        {name "_a6", SSE_AT(n, SSE_INTERRUPTED_A6), 8, NO_CSR}, \
    { \
        name "_a7", SSE_AT(n, SSE_INTERRUPTED_A7), 8, NO_CSR \
    }
#define VECTOR(field) {#field, AT(vector.field), 8, NO_CSR}

enum { REG_NAME_MAX = 15 };

/* hstatus and sstatus are ours but for the mode that the guest was in; "priv" is that: 1 is VS, 0
 * VU. */
const struct vcpu_reg vcpu_regs[] = {
    GPR(1, "ra"),
    GPR(2, "sp"),
    GPR(3, "gp"),
    GPR(4, "tp"),
    GPR(5, "t0"),
    GPR(6, "t1"),
    GPR(7, "t2"),
    GPR(8, "s0"),
    GPR(9, "s1"),
    GPR(10, "a0"),
    GPR(11, "a1"),
    GPR(12, "a2"),
    GPR(13, "a3"),
    GPR(14, "a4"),
    GPR(15, "a5"),
    GPR(16, "a6"),
    GPR(17, "a7"),
    GPR(18, "s2"),
    GPR(19, "s3"),
    GPR(20, "s4"),
    GPR(21, "s5"),
    GPR(22, "s6"),
    GPR(23, "s7"),
    GPR(24, "s8"),
    GPR(25, "s9"),
    GPR(26, "s10"),
    GPR(27, "s11"),
    GPR(28, "t3"),
    GPR(29, "t4"),
    GPR(30, "t5"),
    GPR(31, "t6"),
    OTHER(pc),
    {"priv", AT(sstatus), 0, NO_CSR},
    CSR(vsstatus, CSR_VSSTATUS),
    CSR(vsie, CSR_VSIE),
    CSR(vstvec, CSR_VSTVEC),
    CSR(vsscratch, CSR_VSSCRATCH),
    CSR(vsepc, CSR_VSEPC),
    CSR(vscause, CSR_VSCAUSE),
    CSR(vstval, CSR_VSTVAL),
    CSR(vsatp, CSR_VSATP),
    CSR(hvip, CSR_HVIP),
    CSR(vstimecmp, CSR_VSTIMECMP),
    CSR(scounteren, CSR_SCOUNTEREN),
    CSR(senvcfg, CSR_SENVCFG),
    CSR(sstateen0, CSR_SSTATEEN0),
    FPR(0, "ft0"),
    FPR(1, "ft1"),
    FPR(2, "ft2"),
    FPR(3, "ft3"),
    FPR(4, "ft4"),
    FPR(5, "ft5"),
    FPR(6, "ft6"),
    FPR(7, "ft7"),
    FPR(8, "fs0"),
    FPR(9, "fs1"),
    FPR(10, "fa0"),
    FPR(11, "fa1"),
    FPR(12, "fa2"),
    FPR(13, "fa3"),
    FPR(14, "fa4"),
    FPR(15, "fa5"),
    FPR(16, "fa6"),
    FPR(17, "fa7"),
    FPR(18, "fs2"),
    FPR(19, "fs3"),
    FPR(20, "fs4"),
    FPR(21, "fs5"),
    FPR(22, "fs6"),
    FPR(23, "fs7"),
    FPR(24, "fs8"),
    FPR(25, "fs9"),
    FPR(26, "fs10"),
    FPR(27, "fs11"),
    FPR(28, "ft8"),
    FPR(29, "ft9"),
    FPR(30, "ft10"),
    FPR(31, "ft11"),
    OTHER(fcsr),
    VECTOR(vl),
    VECTOR(vtype),
    VECTOR(vcsr),
    VECTOR(vstart),
    OTHER(hsm),
    OTHER(in_wfi),
    OTHER(irq_level),
    OTHER(irq_edge),
    OTHER(wake_at),
    OTHER(start_pc),
    OTHER(start_arg),
    {"fwft_henvcfg", AT(fwft.henvcfg), 8, NO_CSR},
    {"fwft_locked", AT(fwft.locked), 4, NO_CSR},
    {"fwft_misalign", AT(fwft.misaligned), 1, NO_CSR},
    {"sta_area", AT(sta.area), 8, NO_CSR},
    {"sta_steal", AT(sta.steal), 8, NO_CSR},
    {"sta_sequence", AT(sta.sequence), 4, NO_CSR},
    {"sse_unmasked", AT(sse.unmasked), 1, NO_CSR},
    SSE(SSE_KICK, "ssek"),
    SSE(SSE_LOCAL_SOFTWARE, "ssel"),
    SSE(SSE_GLOBAL_SOFTWARE, "sseg"),
    {"sseg_hart", SSE_AT(SSE_GLOBAL_SOFTWARE, SSE_PREFERRED_HART), 8, NO_CSR},
    {"sseg_on", SSE_AT(SSE_GLOBAL_SOFTWARE, SSE_ATTRS), 8, NO_CSR},
};
const unsigned vcpu_reg_count = ARRAY_LEN(vcpu_regs);

uint64_t vcpu_reg_get(const struct vcpu *v, const struct vcpu_reg *r)
{
    uint64_t value = 0;

    if (r->size == 0)
        return v->sstatus & SSTATUS_SPP ? 1 : 0;
    memcpy(&value, (const char *)v + r->offset, r->size); /* little endian, as both our hosts are */
    return value;
}

/* The mode is in two places: what sret goes to, and what HLV acts as. */
static void set_priv(struct vcpu *v, uint64_t value)
{
    v->sstatus &= ~(uint64_t)SSTATUS_SPP;
    v->hstatus &= ~(uint64_t)HSTATUS_SPVP;
    if (value & 1) {
        v->sstatus |= SSTATUS_SPP;
        v->hstatus |= HSTATUS_SPVP;
    }
}

static bool is_bool(const struct vcpu_reg *r)
{
    return r->offset == AT(in_wfi) || r->offset == AT(fwft.misaligned) ||
           r->offset == AT(sse.unmasked);
}

static bool is_vector(const struct vcpu_reg *r)
{
    return r->offset >= AT(vector) && r->offset < AT(vector) + sizeof(struct vector_csrs);
}

/* From now on its registers are what the fields say. */
static void vector_use(struct vcpu *v)
{
    if (!v->vector_regs || v->vector_used)
        return;
    memset(v->vector_regs, 0, vector_bytes());
    v->vector_used = true;
}

void vcpu_reg_set(struct vcpu *v, const struct vcpu_reg *r, uint64_t value)
{
    if (r->size == 0) {
        set_priv(v, value);
        return;
    }
    if (r->offset == AT(pc))
        value &= ~1ul;
    else if (r->offset == AT(fcsr))
        value &= 0xFF;
    else if (is_bool(r))
        value = value != 0;
    else if (is_vector(r))
        vector_use(v);
    if (value && r->offset >= AT(fpr) && r->offset <= AT(fcsr))
        v->fp_used = true;
    memcpy((char *)v + r->offset, &value, r->size);
}

void vcpu_save(struct vcpu *v, struct state_writer *w)
{
    state_put_u16(w, (uint16_t)vcpu_reg_count);
    for (unsigned i = 0; i < vcpu_reg_count; i++) {
        const struct vcpu_reg *r = &vcpu_regs[i];
        size_t len = strlen(r->name);

        state_put_u8(w, (uint8_t)len);
        state_put(w, r->name, len);
        state_put_u64(w, vcpu_reg_get(v, r));
    }
    state_put_u32(w, vcpu_features.vlenb);
    state_put_u8(w, v->vector_used);
    if (v->vector_used)
        state_put(w, v->vector_regs, vector_bytes());
    pmu_save(v, w);
}

/* Index in the table, or -1. */
static int find_reg(const char *name)
{
    for (unsigned i = 0; i < vcpu_reg_count; i++)
        if (!strcmp(vcpu_regs[i].name, name))
            return (int)i;
    return -1;
}

static bool is_sse(const struct vcpu_reg *r)
{
    return r->offset >= AT(sse.event) && r->offset < SSE_AT(SSE_EVENTS, 0);
}

/* The bits that an attribute of a software event can have. */
static uint64_t sse_legal(const struct vcpu_reg *r)
{
    switch ((r->offset - AT(sse.event)) % sizeof(struct sse_event) / 8) {
    case SSE_STATUS:
        return SSE_STATUS_STATE | SSE_STATUS_PENDING;
    case SSE_PRIORITY:
        return UINT32_MAX;
    case SSE_CONFIG:
        return SSE_CONFIG_ONESHOT;
    case SSE_ENTRY_PC:
        return ~1ul;
    case SSE_INTERRUPTED_FLAGS:
        return SSE_FLAGS;
    default:
        return UINT64_MAX;
    }
}

/* Values that the hypervisor itself acts on; what only the hart sees is WARL there. */
static bool is_valid(const struct vcpu_reg *r, uint64_t value)
{
    const uint64_t lines = HVIP_VSSIP | HVIP_VSTIP | HVIP_VSEIP;
    const uint64_t hvip = lines | (vcpu_features.sscofpmf ? HVIP_LCOFIP : 0);

    if (r->size && r->size < 8 && value >> (8 * r->size))
        return false;
    if (r->size == 0 || is_bool(r))
        return value <= 1;
    if (is_sse(r))
        return !(value & ~sse_legal(r));
    if (r->offset == AT(hsm))
        return value <= HSM_RESUME_PENDING;
    if (r->offset == AT(fcsr))
        return value <= 0xFF;
    if (r->offset == AT(sta.area))
        return !(value & 63);
    if (r->offset == AT(sta.sequence))
        return !(value & 1) && value <= UINT32_MAX;
    if (r->offset == AT(fwft.henvcfg))
        return !(value & ~FWFT_HENVCFG) && (value & HENVCFG_PMM) != 1ul << HENVCFG_PMM_SHIFT;
    if (r->offset == AT(irq_level) || r->offset == AT(irq_edge))
        return !(value & ~lines);
    if (r->offset == AT(csr.hvip))
        return !(value & ~hvip);
    if (r->offset == AT(pc) || r->offset == AT(start_pc))
        return !(value & 1);
    return true;
}

static int read_one(struct state_reader *r, uint64_t *values, bool *seen)
{
    char name[REG_NAME_MAX + 1] = "";
    uint8_t len = state_get_u8(r);
    int i;

    if (!r->error && (len == 0 || len > REG_NAME_MAX))
        return -EINVAL;
    state_get(r, name, len);
    uint64_t value = state_get_u64(r);
    if (r->error)
        return r->error;
    i = find_reg(name);
    if (i < 0)
        return -ENOTSUP; /* the vCPU has a register that we lack */
    if (seen[i] || !is_valid(&vcpu_regs[i], value))
        return -EINVAL;
    seen[i] = true;
    values[i] = value;
    return 0;
}

/* The vector registers, into memory of their own: *regs is NULL when the vCPU has never used them. The guest knows
 * how long they are, so no other length will do. */
static int read_vector(struct state_reader *r, void **regs)
{
    uint32_t vlenb = state_get_u32(r);
    uint8_t used = state_get_u8(r);

    if (r->error)
        return r->error;
    if (used > 1 || (used && !vlenb))
        return -EINVAL;
    if (vlenb && vlenb != vcpu_features.vlenb)
        return -ENOTSUP;
    if (!used)
        return 0;
    *regs = heap_alloc(vector_bytes());
    if (!*regs)
        return -ENOMEM;
    state_get(r, *regs, vector_bytes());
    return r->error;
}

/* All or nothing: the vCPU is only touched when the whole stream is good. */
int vcpu_load_state(struct vcpu *v, struct state_reader *r)
{
    uint64_t values[ARRAY_LEN(vcpu_regs)];
    bool seen[ARRAY_LEN(vcpu_regs)] = {false};
    void *vector = 0;
    struct vcpu_pmu pmu;
    uint16_t count = state_get_u16(r);

    if (!r->error && count != vcpu_reg_count)
        state_fail(r, count > vcpu_reg_count ? -ENOTSUP : -EINVAL);
    for (unsigned i = 0; i < count && !r->error; i++) {
        int error = read_one(r, values, seen);
        if (error)
            state_fail(r, error);
    }
    if (!r->error) {
        int error = read_vector(r, &vector);
        if (error)
            state_fail(r, error);
    }
    if (!r->error)
        pmu_load_state(&pmu, r);
    if (r->error) {
        heap_free(vector);
        return r->error;
    }
    for (unsigned i = 0; i < vcpu_reg_count; i++)
        vcpu_reg_set(v, &vcpu_regs[i], values[i]);
    v->vector_used = vector != 0;
    if (vector)
        memcpy(v->vector_regs, vector, vector_bytes());
    heap_free(vector);
    v->pmu = pmu;
    (void)pmu_used_changed(v);
    sta_restored(v);
    sse_resume(v);
    atomic_store(&v->start_ready, atomic_load(&v->hsm) == HSM_START_PENDING);
    return 0;
}
