// SPDX-License-Identifier: BSD-2-Clause
// TIME (SBI 3.0 chapter 6).
#include "vcpu/sbi/act.h"
#include "vcpu/sbi/extensions.h"

static struct sbi_reply sbi_time_answer(struct vcpu *v, unsigned long fid)
{
    if (fid != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    act_set_timer(v, v->gpr[10]);
    return sbi_value(0);
}

const struct sbi_extension sbi_ext_time = {
    .name = "time",
    .first = SBI_EXT_TIME,
    .last = SBI_EXT_TIME,
    .answer = sbi_time_answer,
};
