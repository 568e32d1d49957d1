// SPDX-License-Identifier: BSD-2-Clause
// STA (SBI 3.0 chapter 16): where a vCPU is told what time was stolen from it.
#include <errno.h>

#include "stage2/guest_mem.h"
#include "vcpu/sbi/extensions.h"
#include "vcpu/sta.h"

#define ALL_ONES (~0ul)
enum { SET_SHMEM, AREA_SIZE = 64 };

static long set_shmem(struct vcpu *v, uint64_t low, uint64_t high, uint64_t flags)
{
    if (flags)
        return SBI_ERR_INVALID_PARAM;
    if (low == ALL_ONES && high == ALL_ONES) {
        sta_reset(v);
        return SBI_OK;
    }
    if (low & (AREA_SIZE - 1))
        return SBI_ERR_INVALID_PARAM;
    if (high || !guest_mem_is_ram(&v->guest->s2, gpa(low), AREA_SIZE))
        return SBI_ERR_INVALID_ADDRESS;
    switch (sta_start(v, low)) {
    case 0:
        return SBI_OK;
    case -EFAULT: /* RAM that is not writable */
        return SBI_ERR_INVALID_ADDRESS;
    default:
        return SBI_ERR_FAILED;
    }
}

static enum exit_result sbi_sta_call(struct vcpu *v, unsigned long fid, struct sbi_reply *reply)
{
    if (fid == SET_SHMEM)
        reply->error = set_shmem(v, v->gpr[10], v->gpr[11], v->gpr[12]);
    else
        reply->error = SBI_ERR_NOT_SUPPORTED;
    return EXIT_ADVANCE;
}

const struct sbi_extension sbi_ext_sta = {
    .name = "sta",
    .first = SBI_EXT_STA,
    .last = SBI_EXT_STA,
    .call = sbi_sta_call,
};
