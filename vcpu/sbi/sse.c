// SPDX-License-Identifier: BSD-2-Clause
// SSE (SBI 3.0, "Supervisor Software Events"): the calls. Events that guests do not have: local double trap (they
// have no Ssdbltrp), RAS (nothing reports such errors), PMU overflow.
#include "vcpu/sse.h"

#include "stage2/guest_mem.h"
#include "vcpu/sbi/extensions.h"

enum {
    READ_ATTRS,
    WRITE_ATTRS,
    REGISTER,
    UNREGISTER,
    ENABLE,
    DISABLE,
    COMPLETE,
    INJECT,
    HART_UNMASK,
    HART_MASK
};

static const struct {
    uint32_t id;
    bool inject;
} events[SSE_EVENTS] = {
    [SSE_KICK] = {0x00004000, false}, /* platform specific, local */
    [SSE_LOCAL_SOFTWARE] = {0xFFFF0000, true},
    [SSE_GLOBAL_SOFTWARE] = {0xFFFF8000, true},
};

/* Standard ones that are not for guests: local and global RAS of high and low priority, double trap, PMU. */
static const uint32_t not_here[] = {0x00000000, 0x00000001, 0x00008000,
                                    0x00010000, 0x00100000, 0x00108000};

/* An event's place by its id (32 bits), or an SBI error. */
static long find_event(unsigned long id)
{
    for (unsigned i = 0; i < SSE_EVENTS; i++)
        if (events[i].id == (uint32_t)id)
            return i;
    for (unsigned i = 0; i < ARRAY_LEN(not_here); i++)
        if (not_here[i] == (uint32_t)id)
            return SBI_ERR_NOT_SUPPORTED;
    return SBI_ERR_INVALID_PARAM;
}

/* The range of attributes and the memory for them: SBI_OK or an error. */
static long check_range(struct vcpu *v)
{
    uint64_t base = (uint32_t)v->gpr[11], count = (uint32_t)v->gpr[12];
    uint64_t address = v->gpr[13], address_high = v->gpr[14];

    if (!count)
        return SBI_ERR_INVALID_PARAM;
    if (base + count > SSE_ATTRS)
        return SBI_ERR_BAD_RANGE;
    if (!is_aligned(address, 8) || address_high ||
        !guest_mem_is_ram(&v->guest->s2, gpa(address), 8 * count))
        return SBI_ERR_INVALID_ADDRESS;
    return SBI_OK;
}

/* The value of attribute base + i goes to, or comes from, the ith word of the memory, as in all
 * implementations; by the words of the specification it would be the one at base + i, past its size. */
static long read_attrs(struct vcpu *v, enum sse_index index)
{
    uint64_t copy[SSE_ATTRS];
    uint32_t base = (uint32_t)v->gpr[11], count = (uint32_t)v->gpr[12];
    long error = check_range(v);

    if (error)
        return error;
    spin_lock(&v->guest->sse_lock);
    for (unsigned i = 0; i < SSE_ATTRS; i++)
        copy[i] = sse_event(v, index)->attr[i];
    spin_unlock(&v->guest->sse_lock);
    if (events[index].inject)
        copy[SSE_STATUS] |= SSE_STATUS_INJECT;
    return guest_mem_write(&v->guest->s2, gpa(v->gpr[13]), copy + base, 8 * count) ? SBI_ERR_FAILED
                                                                                   : SBI_OK;
}

/* Whether an attribute may be written with this value now. */
static long check_attr(struct vcpu *v, enum sse_index index, unsigned attr, uint64_t value)
{
    const struct sse_event *e = sse_event(v, index);
    uint64_t legal = UINT64_MAX;

    switch (attr) {
    case SSE_PREFERRED_HART:
        if (!sse_is_global(index))
            return SBI_ERR_DENIED;
        if (sse_state(e) > SSE_REGISTERED)
            return SBI_ERR_INVALID_STATE;
        return value < v->guest->vcpu_count ? SBI_OK : SBI_ERR_INVALID_PARAM;
    case SSE_PRIORITY:
    case SSE_CONFIG:
        legal = attr == SSE_PRIORITY ? UINT32_MAX : SSE_CONFIG_ONESHOT;
        if (sse_state(e) > SSE_REGISTERED)
            return SBI_ERR_INVALID_STATE;
        break;
    case SSE_INTERRUPTED_FLAGS:
        legal = SSE_FLAGS;
        /* fallthrough */
    case SSE_INTERRUPTED_SEPC:
    case SSE_INTERRUPTED_A6:
    case SSE_INTERRUPTED_A7:
        if (sse_state(e) != SSE_RUNNING || (sse_is_global(index) && e->running_on != v->index))
            return SBI_ERR_INVALID_STATE;
        break;
    default:
        return SBI_ERR_DENIED;
    }
    return value & ~legal ? SBI_ERR_INVALID_PARAM : SBI_OK;
}

/* All or none; the first error in the order of the attributes' ids. */
static long write_attrs(struct vcpu *v, enum sse_index index)
{
    uint64_t values[SSE_ATTRS];
    uint32_t base = (uint32_t)v->gpr[11], count = (uint32_t)v->gpr[12];
    long error = check_range(v);

    if (error)
        return error;
    if (guest_mem_read(&v->guest->s2, gpa(v->gpr[13]), values, 8 * count))
        return SBI_ERR_FAILED;
    spin_lock(&v->guest->sse_lock);
    for (unsigned i = 0; i < count && !error; i++)
        error = check_attr(v, index, base + i, values[i]);
    for (unsigned i = 0; i < count && !error; i++)
        sse_event(v, index)->attr[base + i] = values[i];
    spin_unlock(&v->guest->sse_lock);
    return error;
}

static long change_state(struct vcpu *v, enum sse_index index, enum sse_state from,
                         enum sse_state to)
{
    struct sse_event *e = sse_event(v, index);
    long error = SBI_OK;

    spin_lock(&v->guest->sse_lock);
    if (sse_state(e) != from) {
        error = SBI_ERR_INVALID_STATE;
    } else {
        if (from == SSE_UNUSED) {
            e->attr[SSE_ENTRY_PC] = v->gpr[11];
            e->attr[SSE_ENTRY_ARG] = v->gpr[12];
        }
        sse_set_state(e, to);
        sse_route(v, index);
    }
    spin_unlock(&v->guest->sse_lock);
    return error;
}

static long inject(struct vcpu *v, enum sse_index index)
{
    struct guest *g = v->guest;
    uint64_t hart = sse_is_global(index) ? v->index : v->gpr[11];

    if (hart >= g->vcpu_count || atomic_load(&g->vcpu[hart]->hsm) == HSM_STOPPED)
        return SBI_ERR_INVALID_PARAM;
    if (!events[index].inject)
        return SBI_ERR_FAILED;
    sse_raise(g->vcpu[hart], index);
    return SBI_OK;
}

static long set_mask(struct vcpu *v, bool unmasked)
{
    bool changed;

    spin_lock(&v->guest->sse_lock);
    changed = v->sse.unmasked != unmasked;
    v->sse.unmasked = unmasked;
    spin_unlock(&v->guest->sse_lock);
    if (!changed)
        return unmasked ? SBI_ERR_ALREADY_STARTED : SBI_ERR_ALREADY_STOPPED;
    vcpu_request(v, VCPU_REQ_SSE); /* what is due now; or what another hart has to take instead */
    return SBI_OK;
}

/* The calls about one event, a0. */
static long event_call(struct vcpu *v, unsigned long fid)
{
    long found = find_event(v->gpr[10]);
    enum sse_index index = (enum sse_index)found;

    if (found < 0)
        return found;
    switch (fid) {
    case READ_ATTRS:
        return read_attrs(v, index);
    case WRITE_ATTRS:
        return write_attrs(v, index);
    case REGISTER:
        return v->gpr[11] & 1 ? SBI_ERR_INVALID_PARAM
                              : change_state(v, index, SSE_UNUSED, SSE_REGISTERED);
    case UNREGISTER:
        return change_state(v, index, SSE_REGISTERED, SSE_UNUSED);
    case ENABLE:
        return change_state(v, index, SSE_REGISTERED, SSE_ENABLED);
    case DISABLE:
        return change_state(v, index, SSE_ENABLED, SSE_REGISTERED);
    default:
        return inject(v, index);
    }
}

static enum exit_result sbi_sse_call(struct vcpu *v, unsigned long fid, struct sbi_reply *reply)
{
    if (fid > HART_MASK)
        reply->error = SBI_ERR_NOT_SUPPORTED;
    else if (fid >= HART_UNMASK)
        reply->error = set_mask(v, fid == HART_UNMASK);
    else if (fid != COMPLETE)
        reply->error = event_call(v, fid);
    else if (sse_complete(v))
        return EXIT_RESUME;
    return EXIT_ADVANCE;
}

const struct sbi_extension sbi_ext_sse = {
    .name = "sse",
    .first = SBI_EXT_SSE,
    .last = SBI_EXT_SSE,
    .call = sbi_sse_call,
};
