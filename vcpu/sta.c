// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/sta.h"

#include "stage2/guest_mem.h"

enum { AREA_SEQUENCE = 0, AREA_STEAL = 8, AREA_PREEMPTED = 16, AREA_SIZE = 64 };
#define NS 1000000000ul

/* The memory was there when it was named. Should there be none left to populate it with anew, the guest
 * sees an old value. */
static void put(struct vcpu *v, unsigned at, const void *from, size_t len)
{
    if (guest_mem_write(&v->guest->s2, gpa(v->sta.area + at), from, len))
        return;
}

static void put_sequence(struct vcpu *v)
{
    v->sta.sequence++;
    put(v, AREA_SEQUENCE, &v->sta.sequence, sizeof(v->sta.sequence));
}

int sta_start(struct vcpu *v, uint64_t area)
{
    int error = guest_mem_zero(&v->guest->s2, gpa(area), AREA_SIZE);

    if (error)
        return error;
    sta_reset(v);
    v->sta.area = area;
    return 0;
}

static void put_steal(struct vcpu *v)
{
    uint64_t ticks = sta_stolen_ticks(v), more = ticks - v->sta.counted;

    v->sta.counted = ticks;
    v->sta.steal += more / timer_hz * NS + more % timer_hz * NS / timer_hz;
    put_sequence(v);
    arch_fence_rw(); /* for those who read it on other harts */
    put(v, AREA_STEAL, &v->sta.steal, sizeof(v->sta.steal));
    arch_fence_rw();
    put_sequence(v);
}

void sta_update(struct vcpu *v, bool preempted)
{
    uint8_t flag = preempted;

    if (!preempted && v->sta.counted != sta_stolen_ticks(v))
        put_steal(v);
    if (v->sta.preempted != preempted) {
        v->sta.preempted = preempted;
        put(v, AREA_PREEMPTED, &flag, sizeof(flag));
    }
}
