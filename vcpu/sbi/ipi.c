// SPDX-License-Identifier: BSD-2-Clause
// IPI (SBI 3.0 chapter 7).
#include "vcpu/sbi/act.h"
#include "vcpu/sbi/extensions.h"

static struct sbi_reply sbi_ipi_answer(struct vcpu *v, unsigned long fid)
{
    uint64_t vcpus;

    if (fid != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (sbi_hart_mask(v->guest, v->gpr[10], v->gpr[11], &vcpus) != SBI_OK)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    act_send_ipi(v, vcpus);
    return sbi_value(0);
}

const struct sbi_extension sbi_ext_ipi = {
    .name = "ipi",
    .first = SBI_EXT_IPI,
    .last = SBI_EXT_IPI,
    .answer = sbi_ipi_answer,
};
