// SPDX-License-Identifier: BSD-2-Clause
// FWFT (SBI 3.0, "Firmware Features"): hardware features that a guest may switch, each vCPU its own.
#include "vcpu/sbi/fwft.h"

#include "vcpu/sbi/extensions.h"

enum { FWFT_SET, FWFT_GET };
enum {
    MISALIGNED_EXC_DELEG,
    LANDING_PAD,
    SHADOW_STACK,
    DOUBLE_TRAP,
    PTE_AD_HW_UPDATING,
    POINTER_MASKING_PMLEN,
    FEATURES
};
#define FLAG_LOCK 1ul
#define PMM_7 (2ul << HENVCFG_PMM_SHIFT)
#define PMM_16 (3ul << HENVCFG_PMM_SHIFT)

static bool firmware_gives_ad;

static bool firmware_set(unsigned long feature, unsigned long value)
{
    return arch_sbi(SBI_EXT_FWFT, FWFT_SET, feature, value, 0, 0, 0, 0).error == 0;
}

/* Off, and can be switched on and off again. */
static bool firmware_can(unsigned long feature)
{
    struct sbi_ret r = arch_sbi(SBI_EXT_FWFT, FWFT_GET, feature, 0, 0, 0, 0, 0);

    return !r.error && !r.value && firmware_set(feature, 1) && firmware_set(feature, 0);
}

static bool henvcfg_takes(uint64_t bits)
{
    uint64_t back = 0;

    return arch_csr_probe_write(CSR_HENVCFG, bits, &back) && (back & bits) == bits;
}

void fwft_probe(bool svadu)
{
    struct vcpu_features *f = &vcpu_features;

    f->misaligned_deleg = firmware_can(MISALIGNED_EXC_DELEG);
    f->svadu = svadu && henvcfg_takes(HENVCFG_ADUE);
    firmware_gives_ad = false;
    if (svadu && !f->svadu && firmware_set(PTE_AD_HW_UPDATING, 1))
        f->svadu = firmware_gives_ad = henvcfg_takes(HENVCFG_ADUE);
    f->pmlen7 = henvcfg_takes(PMM_7);
    f->pmlen16 = henvcfg_takes(PMM_16);
    (void)henvcfg_takes(0);
}

/* henvcfg.ADUE is writable only where menvcfg.ADUE is set. Our own tables have A and D set, so it
 * changes nothing for us. */
void fwft_hart_init(void)
{
    if (firmware_gives_ad)
        (void)firmware_set(PTE_AD_HW_UPDATING, 1);
}

void fwft_delegate(const struct vcpu *v)
{
    if (firmware_set(MISALIGNED_EXC_DELEG, v->fwft.misaligned))
        this_hart()->delegates_misaligned = v->fwft.misaligned;
}

void fwft_reset(struct vcpu *v) { v->fwft = (struct vcpu_fwft){0}; }

static bool is_there(unsigned long feature)
{
    const struct vcpu_features *f = &vcpu_features;

    switch (feature) {
    case MISALIGNED_EXC_DELEG:
        return f->misaligned_deleg;
    case PTE_AD_HW_UPDATING:
        return f->svadu;
    case POINTER_MASKING_PMLEN:
        return f->pmlen7 || f->pmlen16;
    default: /* guests have no Zicfilp, Zicfiss or Ssdbltrp */
        return false;
    }
}

/* The least PMLEN that is at least this; true when there is one. */
static bool find_pmm(unsigned long pmlen, uint64_t *pmm)
{
    if (pmlen == 0)
        *pmm = 0;
    else if (pmlen <= 7 && vcpu_features.pmlen7)
        *pmm = PMM_7;
    else if (pmlen <= 16 && vcpu_features.pmlen16)
        *pmm = PMM_16;
    else
        return false;
    return true;
}

static bool apply(struct vcpu *v, unsigned long feature, unsigned long value)
{
    uint64_t pmm;

    if (feature == POINTER_MASKING_PMLEN) {
        if (!find_pmm(value, &pmm))
            return false;
        v->fwft.henvcfg = (v->fwft.henvcfg & ~HENVCFG_PMM) | pmm;
    } else {
        if (value > 1)
            return false;
        if (feature == MISALIGNED_EXC_DELEG)
            v->fwft.misaligned = value;
        else
            v->fwft.henvcfg = (v->fwft.henvcfg & ~HENVCFG_ADUE) | (value ? HENVCFG_ADUE : 0);
    }
    fwft_load(v);
    arch_hfence_vvma_all(); /* privileged architecture, henvcfg: a change of ADUE asks for it */
    return true;
}

static struct sbi_reply set(struct vcpu *v, unsigned long feature)
{
    unsigned long flags = v->gpr[12];

    if (flags & ~FLAG_LOCK)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (v->fwft.locked & BIT(feature))
        return sbi_error(SBI_ERR_DENIED_LOCKED);
    if (!apply(v, feature, v->gpr[11]))
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (flags & FLAG_LOCK)
        v->fwft.locked |= (uint32_t)BIT(feature);
    return sbi_value(0);
}

static struct sbi_reply get(const struct vcpu *v, unsigned long feature)
{
    uint64_t pmm = v->fwft.henvcfg & HENVCFG_PMM;

    switch (feature) {
    case MISALIGNED_EXC_DELEG:
        return sbi_value(v->fwft.misaligned);
    case PTE_AD_HW_UPDATING:
        return sbi_value(v->fwft.henvcfg & HENVCFG_ADUE ? 1 : 0);
    default:
        return sbi_value(pmm == PMM_7 ? 7 : pmm == PMM_16 ? 16 : 0);
    }
}

static struct sbi_reply sbi_fwft_answer(struct vcpu *v, unsigned long fid)
{
    uint32_t feature = (uint32_t)v->gpr[10];

    if (fid > FWFT_GET)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (feature >= FEATURES) /* reserved, or some platform's own */
        return sbi_error(SBI_ERR_DENIED);
    if (!is_there(feature))
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    return fid == FWFT_SET ? set(v, feature) : get(v, feature);
}

const struct sbi_extension sbi_ext_fwft = {
    .name = "fwft",
    .first = SBI_EXT_FWFT,
    .last = SBI_EXT_FWFT,
    .answer = sbi_fwft_answer,
};
