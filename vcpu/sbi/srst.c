// SPDX-License-Identifier: BSD-2-Clause
// SRST (SBI 3.0 chapter 10): shutdown and reboot of the VM.
#include "vcpu/sbi/extensions.h"

enum { REASON_NONE = 0, REASON_SYSTEM_FAILURE = 1 };

static const enum guest_event events[] = {GUEST_SHUTDOWN, GUEST_REBOOT_COLD, GUEST_REBOOT_WARM};

static enum exit_result sbi_srst_call(struct vcpu *v, unsigned long fid, struct sbi_reply *reply)
{
    uint32_t type = (uint32_t)v->gpr[10], reason = (uint32_t)v->gpr[11];

    if (fid != 0) {
        reply->error = SBI_ERR_NOT_SUPPORTED;
        return EXIT_ADVANCE;
    }
    if (type >= ARRAY_LEN(events) || reason > REASON_SYSTEM_FAILURE) {
        reply->error = SBI_ERR_INVALID_PARAM;
        return EXIT_ADVANCE;
    }
    v->guest->ops->event(v->guest, events[type], reason);
    return EXIT_STOP;
}

const struct sbi_extension sbi_ext_srst = {
    .name = "srst",
    .first = SBI_EXT_SRST,
    .last = SBI_EXT_SRST,
    .call = sbi_srst_call,
};
