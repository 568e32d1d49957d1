// SPDX-License-Identifier: BSD-2-Clause
// The counters in a state stream: those that have an event, and the firmware events so far.
#include <errno.h>

#include "base/state.h"
#include "vcpu/pmu_abi.h"
#include "vcpu/sbi/counters.h"

void pmu_save(const struct vcpu *v, struct state_writer *w)
{
    const struct vcpu_pmu *p = &v->pmu;

    state_put_u8(w, (uint8_t)__builtin_popcountl(p->used));
    for (uint64_t set = p->used; set; set &= set - 1) {
        unsigned i = (unsigned)__builtin_ctzl(set);
        bool hardware = i < PMU_HARDWARE_COUNTERS;

        state_put_u8(w, (uint8_t)i);
        state_put_u32(w, p->event[i]);
        state_put_u64(w, p->value[i]);
        state_put_u64(w, hardware ? p->data[i] : 0);
        state_put_u8(w, hardware ? p->filter[i] : 0);
    }
    state_put_u64(w, p->running);
    state_put_u64(w, p->overflowed);
    state_put_u64(w, p->shmem);
    for (unsigned i = 0; i < PMU_EVENTS; i++)
        state_put_u64(w, atomic_load(&p->events[i]));
}

/* One counter; they come in order, so that none comes twice. */
static int load_counter(struct vcpu_pmu *to, struct state_reader *r)
{
    uint8_t i = state_get_u8(r);
    uint32_t event = state_get_u32(r);
    uint64_t value = state_get_u64(r), data = state_get_u64(r);
    uint8_t filter = state_get_u8(r);

    if (r->error)
        return r->error;
    if (i >= PMU_COUNTERS || to->used >> i)
        return -EINVAL;
    if (!(pmu_counters() & BIT(i)))
        return i < PMU_HARDWARE_COUNTERS ? -ENOTSUP : -EINVAL; /* the host lacks it */
    if (!pmu_can_count(i, event) || filter & ~(CONFIG_SET_UINH | CONFIG_SET_SINH))
        return -EINVAL;
    if (i >= PMU_HARDWARE_COUNTERS && (data || filter))
        return -EINVAL;
    to->used |= BIT(i);
    to->event[i] = event;
    to->value[i] = value;
    if (i < PMU_HARDWARE_COUNTERS) {
        to->data[i] = data;
        to->filter[i] = filter;
    }
    return 0;
}

void pmu_load_state(struct vcpu_pmu *to, struct state_reader *r)
{
    *to = (struct vcpu_pmu){0};
    for (unsigned n = state_get_u8(r); n && !r->error; n--) {
        int error = load_counter(to, r);
        if (error)
            state_fail(r, error);
    }
    to->running = state_get_u64(r);
    to->overflowed = state_get_u64(r);
    to->shmem = state_get_u64(r);
    for (unsigned i = 0; i < PMU_EVENTS; i++)
        atomic_init(&to->events[i], state_get_u64(r));
    if ((to->running | to->overflowed) & ~to->used || to->shmem & PAGE_MASK)
        state_fail(r, -EINVAL);
}
