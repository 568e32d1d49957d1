// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/kick.h"

#include "vcpu/insn.h"
#include "vcpu/sse.h"

static bool is_user(const struct vcpu *v) { return !(v->sstatus & SSTATUS_SPP); }

static bool is_wfi_at(struct vcpu *v, uint64_t pc)
{
    uint32_t word;

    return vcpu_walk_fetch(&v->guest->s2, v->csr.vsatp, gva(pc), &word) && word == INSN_WFI_WORD;
}

/* Alone on its hart it waits there, without an exit; the pc is behind WFI already, or still at it. */
static bool is_waiting(struct vcpu *v)
{
    return v->in_wfi || (!is_user(v) && (is_wfi_at(v, v->pc - 4) || is_wfi_at(v, v->pc)));
}

static enum kick_result by_event(struct vcpu *v)
{
    bool at_once = v->sse.unmasked && sse_state(sse_event(v, SSE_KICK)) == SSE_ENABLED;

    sse_raise(v, SSE_KICK);
    return at_once ? KICK_EVENT : KICK_MASKED;
}

enum kick_result kick_vcpu(struct vcpu *v, bool insist)
{
    if (atomic_load(&v->hsm) != HSM_STARTED)
        return KICK_OFF;
    if (sse_state(sse_event(v, SSE_KICK)) >= SSE_ENABLED && !insist)
        return by_event(v);
    if (!insist && is_waiting(v))
        return KICK_IDLE;
    if (is_user(v) && !insist)
        return KICK_USER;
    vcpu_request(v, VCPU_REQ_KICK);
    return KICK_EXCEPTION;
}

void kick_inject(struct vcpu *v)
{
    if (atomic_load(&v->hsm) != HSM_STARTED)
        return; /* stopped or suspended itself meanwhile */
    v->in_wfi = false;
    vcpu_inject(v, CAUSE_HARDWARE_ERROR, 0);
}
