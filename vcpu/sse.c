// SPDX-License-Identifier: BSD-2-Clause
// SSE: how events get to a vCPU, and how their handlers begin and end.
#include "vcpu/sse.h"

#include <string.h>

#include "vcpu/trap_entry.h"

static bool is_pending(const struct sse_event *e)
{
    return e->attr[SSE_STATUS] & SSE_STATUS_PENDING;
}

static bool is_due(const struct sse_event *e)
{
    return is_pending(e) && sse_state(e) == SSE_ENABLED;
}

static bool is_ready(const struct vcpu *v)
{
    return v->sse.unmasked && atomic_load(&v->hsm) == HSM_STARTED;
}

/* Who shall handle a global event: the preferred hart, or else any that can. NULL: nobody now. */
static struct vcpu *find_hart(struct guest *g, const struct sse_event *e)
{
    struct vcpu *preferred =
        e->attr[SSE_PREFERRED_HART] < g->vcpu_count ? g->vcpu[e->attr[SSE_PREFERRED_HART]] : 0;

    if (preferred && is_ready(preferred))
        return preferred;
    for (unsigned i = 0; i < g->vcpu_count; i++)
        if (is_ready(g->vcpu[i]))
            return g->vcpu[i];
    return 0;
}

void sse_route(struct vcpu *v, enum sse_index index)
{
    struct sse_event *e = sse_event(v, index);
    struct vcpu *target = sse_is_global(index) ? find_hart(v->guest, e) : v;

    if (is_due(e) && target)
        vcpu_request(target, VCPU_REQ_SSE);
}

static void route_globals(struct vcpu *v)
{
    for (unsigned i = SSE_LOCALS; i < SSE_EVENTS; i++)
        sse_route(v, i);
}

static bool runs_here(struct vcpu *v, enum sse_index index)
{
    const struct sse_event *e = sse_event(v, index);

    return sse_state(e) == SSE_RUNNING && (!sse_is_global(index) || e->running_on == v->index);
}

/* Events are looked at in the order of their ids, so the first of equal priorities stays. */
static bool is_before(struct vcpu *v, enum sse_index index, int best)
{
    return best < 0 || sse_event(v, index)->attr[SSE_PRIORITY] <
                           sse_event(v, (enum sse_index)best)->attr[SSE_PRIORITY];
}

/* The event that v is handling, or -1. */
static int find_running(struct vcpu *v)
{
    int best = -1;

    for (unsigned i = 0; i < SSE_EVENTS; i++)
        if (runs_here(v, i) && is_before(v, i, best))
            best = (int)i;
    return best;
}

/* The event that v has to handle now, or -1. */
static int find_due(struct vcpu *v)
{
    int running = find_running(v), best = -1;

    for (unsigned i = 0; i < SSE_EVENTS; i++) {
        const struct sse_event *e = sse_event(v, i);

        if (is_due(e) && is_before(v, i, best) &&
            (!sse_is_global(i) || find_hart(v->guest, e) == v))
            best = (int)i;
    }
    if (best < 0 || running < 0)
        return best;
    /* Of equal priorities, the lower id preempts. */
    return best < running ? (is_before(v, (enum sse_index)running, best) ? -1 : best)
                          : (is_before(v, (enum sse_index)best, running) ? best : -1);
}

/* Section "Software Event Injection". */
static void begin_handler(struct vcpu *v, struct sse_event *e)
{
    uint64_t vsstatus = csr_read(CSR_VSSTATUS);

    e->attr[SSE_STATUS] = SSE_RUNNING;
    e->running_on = v->index;
    e->attr[SSE_INTERRUPTED_FLAGS] =
        (vsstatus & SSTATUS_SPP ? SSE_FLAG_SPP : 0) | (vsstatus & SSTATUS_SPIE ? SSE_FLAG_SPIE : 0);
    e->attr[SSE_INTERRUPTED_SEPC] = csr_read(CSR_VSEPC);
    e->attr[SSE_INTERRUPTED_A6] = v->gpr[16];
    e->attr[SSE_INTERRUPTED_A7] = v->gpr[17];
    v->gpr[16] = v->hartid;
    v->gpr[17] = e->attr[SSE_ENTRY_ARG];
    trap_entry(v, e->attr[SSE_ENTRY_PC]);
    v->in_wfi = false;
}

/* Section "Software Event Completion". */
static void end_handler(struct vcpu *v, const struct sse_event *e)
{
    uint64_t vsstatus = csr_read(CSR_VSSTATUS), flags = e->attr[SSE_INTERRUPTED_FLAGS];
    const uint64_t changed = SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP;
    uint64_t sstatus = csr_read(CSR_SSTATUS) & ~(uint64_t)SSTATUS_SPP;

    v->pc = csr_read(CSR_VSEPC);
    csr_write(CSR_SSTATUS, sstatus | (vsstatus & SSTATUS_SPP));
    csr_write(CSR_VSSTATUS, (vsstatus & ~changed) | (vsstatus & SSTATUS_SPIE ? SSTATUS_SIE : 0) |
                                (flags & SSE_FLAG_SPIE ? SSTATUS_SPIE : 0) |
                                (flags & SSE_FLAG_SPP ? SSTATUS_SPP : 0));
    csr_write(CSR_VSEPC, e->attr[SSE_INTERRUPTED_SEPC]);
    v->gpr[16] = e->attr[SSE_INTERRUPTED_A6];
    v->gpr[17] = e->attr[SSE_INTERRUPTED_A7];
}

static void set_ended(struct sse_event *e)
{
    sse_set_state(e, e->attr[SSE_CONFIG] & SSE_CONFIG_ONESHOT ? SSE_REGISTERED : SSE_ENABLED);
}

void sse_deliver(struct vcpu *v)
{
    int due;

    spin_lock(&v->guest->sse_lock);
    if (!is_ready(v)) {
        route_globals(v); /* it was asked before it masked events or suspended itself */
    } else {
        due = find_due(v);
        if (due >= 0)
            begin_handler(v, sse_event(v, (enum sse_index)due));
    }
    spin_unlock(&v->guest->sse_lock);
}

bool sse_complete(struct vcpu *v)
{
    int running;

    spin_lock(&v->guest->sse_lock);
    running = find_running(v);
    if (running >= 0) {
        struct sse_event *e = sse_event(v, (enum sse_index)running);

        set_ended(e);
        end_handler(v, e);
        route_globals(v);
        vcpu_request(v, VCPU_REQ_SSE); /* those of lower priority, and the same one raised again */
    }
    spin_unlock(&v->guest->sse_lock);
    return running >= 0;
}

void sse_raise(struct vcpu *v, enum sse_index index)
{
    spin_lock(&v->guest->sse_lock);
    sse_event(v, index)->attr[SSE_STATUS] |= SSE_STATUS_PENDING;
    sse_route(v, index);
    spin_unlock(&v->guest->sse_lock);
}

static void reset_locals(struct vcpu *v)
{
    memset(v->sse.event, 0, SSE_LOCALS * sizeof(v->sse.event[0]));
    for (unsigned i = 0; i < SSE_LOCALS; i++)
        v->sse.event[i].attr[SSE_PREFERRED_HART] = v->hartid;
    v->sse.unmasked = false;
}

void sse_reset_hart(struct vcpu *v)
{
    spin_lock(&v->guest->sse_lock);
    for (unsigned i = SSE_LOCALS; i < SSE_EVENTS; i++)
        if (runs_here(v, i))
            set_ended(sse_event(v, i));
    reset_locals(v);
    route_globals(v);
    spin_unlock(&v->guest->sse_lock);
}

void sse_reset(struct vcpu *v)
{
    memset(&v->sse, 0, sizeof(v->sse));
    reset_locals(v);
}
