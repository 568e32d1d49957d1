// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/kick.h"

#include "stage2/guest_mem.h"
#include "vcpu/insn.h"
#include "vcpu/sse.h"

static bool is_user(const struct vcpu *v) { return !(v->sstatus & SSTATUS_SPP); }

static bool is_wfi_at(struct vcpu *v, uint64_t pc)
{
    uint32_t word = 0;

    for (unsigned i = 0; i < 2; i++) { /* halves, as it may lie across two pages */
        struct vs_step steps[5];
        uint16_t half;
        gpa_t g;
        int result;

        vcpu_walk_vs(&v->guest->s2, v->csr.vsatp, gva(pc + 2 * i), steps, &g, &result);
        if (result || guest_mem_read(&v->guest->s2, g, &half, sizeof(half)))
            return false;
        word |= (uint32_t)half << 16 * i;
    }
    return word == INSN_WFI_WORD;
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
