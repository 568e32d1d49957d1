// SPDX-License-Identifier: BSD-2-Clause
// RFENCE (SBI 3.0 chapter 8). Functions 3 to 6 are for harts with the hypervisor extension, which
// guests do not have.
#include "vcpu/sbi/act.h"
#include "vcpu/sbi/extensions.h"

static struct sbi_reply sbi_rfence_answer(struct vcpu *v, unsigned long fid)
{
    uint64_t vcpus;
    unsigned long asid = v->gpr[14];

    if (fid > ACT_SFENCE_ASID)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (sbi_hart_mask(v->guest, v->gpr[10], v->gpr[11], &vcpus) != SBI_OK ||
        (fid == ACT_SFENCE_ASID && asid > ACT_ASID_MAX))
        return sbi_error(SBI_ERR_INVALID_PARAM);
    act_fence(v, vcpus, (enum act_fence_kind)fid, v->gpr[12], v->gpr[13], asid);
    return sbi_value(0);
}

const struct sbi_extension sbi_ext_rfence = {
    .name = "rfence",
    .first = SBI_EXT_RFENCE,
    .last = SBI_EXT_RFENCE,
    .answer = sbi_rfence_answer,
};
