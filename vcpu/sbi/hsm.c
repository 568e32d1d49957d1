// SPDX-License-Identifier: BSD-2-Clause
// HSM (SBI 3.0 chapter 9): start, stop, status, suspend of vCPUs.
#include "vcpu/sbi/hsm.h"

#include <errno.h>

#include "base/log.h"
#include "vcpu/sbi/act.h"
#include "vcpu/sbi/extensions.h"
#include "vcpu/sse.h"

enum { HSM_HART_START, HSM_HART_STOP, HSM_HART_STATUS, HSM_HART_SUSPEND };

/* All other types are reserved or a platform's own. */
#define SUSPEND_RETENTIVE 0x00000000u
#define SUSPEND_NON_RETENTIVE 0x80000000u

static struct vcpu *find_vcpu(struct guest *g, unsigned long hartid)
{
    return hartid < g->vcpu_count ? g->vcpu[hartid] : NULL;
}

static long hart_start(struct vcpu *v)
{
    struct vcpu *target = find_vcpu(v->guest, v->gpr[10]);

    if (!target)
        return SBI_ERR_INVALID_PARAM;
    if (!act_address_ok(v->guest, v->gpr[11]))
        return SBI_ERR_INVALID_ADDRESS;
    if (target->stop_reason)
        return SBI_ERR_FAILED; /* it could not go on, and its registers are wanted as they are */
    switch (vcpu_start(target, v->gpr[11], v->gpr[12])) {
    case 0:
        return SBI_OK;
    case -EALREADY:
        return SBI_ERR_ALREADY_AVAILABLE;
    default:
        return SBI_ERR_FAILED;
    }
}

static bool all_stopped(const struct guest *g)
{
    for (unsigned i = 0; i < g->vcpu_count; i++) {
        if (atomic_load(&g->vcpu[i]->hsm) != HSM_STOPPED)
            return false;
    }
    return true;
}

/* Once the state is written, another vCPU may start this one: nothing of it is touched after. When
 * the last one stops, nobody is left to start any: that is the VM's shutdown, which the legacy
 * extension defines in these words. Two that stop at the same time may both see it. */
static enum exit_result hart_stop(struct vcpu *v)
{
    struct guest *g = v->guest;

    sse_reset_hart(v);
    atomic_store(&v->hsm, HSM_STOPPED);
    if (!all_stopped(g))
        return EXIT_BLOCK;
    log_limited(&g->log, LOG_WARN,
                "%s: all vCPUs have stopped themselves (SBI hart_stop): taken as shutdown",
                g->name);
    g->ops->event(g, GUEST_SHUTDOWN, 0);
    return EXIT_STOP;
}

static void hart_status(struct vcpu *v, struct sbi_reply *reply)
{
    struct vcpu *target = find_vcpu(v->guest, v->gpr[10]);

    if (target)
        reply->value = atomic_load(&target->hsm);
    else
        reply->error = SBI_ERR_INVALID_PARAM;
}

/* What the hart resumes with is set up now, so that both kinds resume alike. */
static enum exit_result hart_suspend(struct vcpu *v, struct sbi_reply *reply)
{
    uint32_t type = (uint32_t)v->gpr[10];
    uint64_t address = v->gpr[11];

    if (type == SUSPEND_RETENTIVE) {
        v->gpr[10] = SBI_OK;
        v->gpr[11] = 0;
        v->pc += 4;
        return act_sleep(v);
    }
    if (type != SUSPEND_NON_RETENTIVE) {
        reply->error = SBI_ERR_INVALID_PARAM;
        return EXIT_ADVANCE;
    }
    if (!act_address_ok(v->guest, address)) {
        reply->error = SBI_ERR_INVALID_ADDRESS;
        return EXIT_ADVANCE;
    }
    return act_suspend(v, address, v->gpr[12]);
}

bool hsm_resume(struct vcpu *v)
{
    uint32_t state = HSM_SUSPENDED;

    if (!atomic_compare_exchange_strong(&v->hsm, &state, HSM_STARTED))
        return false;
    v->in_wfi = false;
    sse_resume(v); /* what came meanwhile */
    return true;
}

static enum exit_result sbi_hsm_call(struct vcpu *v, unsigned long fid, struct sbi_reply *reply)
{
    switch (fid) {
    case HSM_HART_START:
        reply->error = hart_start(v);
        return EXIT_ADVANCE;
    case HSM_HART_STOP:
        return hart_stop(v);
    case HSM_HART_STATUS:
        hart_status(v, reply);
        return EXIT_ADVANCE;
    case HSM_HART_SUSPEND:
        return hart_suspend(v, reply);
    default:
        reply->error = SBI_ERR_NOT_SUPPORTED;
        return EXIT_ADVANCE;
    }
}

const struct sbi_extension sbi_ext_hsm = {
    .name = "hsm",
    .first = SBI_EXT_HSM,
    .last = SBI_EXT_HSM,
    .call = sbi_hsm_call,
};
