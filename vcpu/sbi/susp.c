// SPDX-License-Identifier: BSD-2-Clause
// SUSP (SBI 3.0, "System Suspend"): suspend to RAM. With all other vCPUs stopped, what is left is
// the caller's own non-retentive suspend: an interrupt that its vsie enables wakes the system.
#include "vcpu/sbi/act.h"
#include "vcpu/sbi/extensions.h"

enum { SUSP_SYSTEM_SUSPEND };
#define SUSPEND_TO_RAM 0u /* all other types are reserved or a platform's own */

static bool others_stopped(const struct vcpu *v)
{
    const struct guest *g = v->guest;

    for (unsigned i = 0; i < g->vcpu_count; i++) {
        if (g->vcpu[i] != v && atomic_load(&g->vcpu[i]->hsm) != HSM_STOPPED)
            return false;
    }
    return true;
}

static enum exit_result sbi_susp_call(struct vcpu *v, unsigned long fid, struct sbi_reply *reply)
{
    if (fid != SUSP_SYSTEM_SUSPEND)
        reply->error = SBI_ERR_NOT_SUPPORTED;
    else if ((uint32_t)v->gpr[10] != SUSPEND_TO_RAM)
        reply->error = SBI_ERR_INVALID_PARAM;
    else if (!act_address_ok(v->guest, v->gpr[11]))
        reply->error = SBI_ERR_INVALID_ADDRESS;
    else if (!others_stopped(v))
        reply->error = SBI_ERR_DENIED;
    else
        return act_suspend(v, v->gpr[11], v->gpr[12]);
    return EXIT_ADVANCE;
}

const struct sbi_extension sbi_ext_susp = {
    .name = "susp",
    .first = SBI_EXT_SUSP,
    .last = SBI_EXT_SUSP,
    .call = sbi_susp_call,
};
